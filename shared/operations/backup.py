"""Take one backup: preflight, snapshot, dump, seal, objects, manifest (the commit point), catalog.

The way of a byte: Postgres sends a table's rows to pg_dump (`postgres.dump`), which writes a file that grows in the
scratch folder; a reader (`dump_reading`) follows it and hands its chunks to the object writer (`repository.writer`),
which counts, fingerprints, compresses, encrypts and stores them, or finds that the repository holds them already. When
pg_dump has ended well and every object is durable, the manifest is written once, read back and compared. Only then does
the backup exist, and only then does the catalog say so.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupId, BackupKind, BackupStatus
from shared.domain.manifest import DerivedRecord, Manifest
from shared.domain.source import Source
from shared.errors import PreflightRefused, SourceChanged, SourceLocked
from shared.operations.adoption import adopt_unrecorded
from shared.operations.anomalies import look_at_backup
from shared.operations.derived_facts import read_derived, require_same_rows
from shared.operations.dump_reading import DumpReading
from shared.operations.progress import OnProgress, PhaseTimer
from shared.operations.role_proof import ROLES_FILE
from shared.operations.scratch_space import require_scratch_space
from shared.operations.source_facts import (
    SourceFacts,
    read_source_facts,
    records_of_sequences,
    records_of_tables,
    require_large_objects,
)
from shared.operations.source_identity import require_same_source
from shared.postgres.archive import Toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.connection_errors import explain_broken_connection
from shared.postgres.dump import DumpRequest, start_dump
from shared.postgres.facts import read_sequences
from shared.postgres.owned_folders import owned_folder
from shared.postgres.preflight import Preflight, check_source
from shared.postgres.schema import Schema, digest_schema
from shared.postgres.schema_changes import find_replaced, require_unchanged
from shared.postgres.snapshot import Snapshot, break_off, open_snapshot
from shared.postgres.tools import Toolset, choose_client
from shared.repository.repository import Repository
from shared.repository.writer import ObjectWriter, StoredFile, WrittenObjects
from shared.supabase.rules import unreadable_known
from shared.units import format_instant

ATTEMPTS_WHEN_CHANGED = 6
_PREVIOUS_MANIFESTS, _RUNS_LOOKED_AT = 3, 50


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRequest:
    """One backup to take.

    Attributes:
        source: What to back up.
        address: How to reach it.
        kind: Why it is taken; retention is set per kind.
        reason: A person's words, or empty.
        may_have_moved: Whether a person said that another database on another server is meant.
        run_reference: The orchestrator's id of this run, or None.
    """

    source: Source
    address: DatabaseAddress
    kind: BackupKind
    reason: str = ""
    may_have_moved: bool = False
    run_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlace:
    """Where a backup is made and kept, and with what."""

    repository: Repository
    catalog: Catalog
    toolsets: Sequence[Toolset]
    recipients: tuple[str, ...]
    scratch_folder: Path
    upload_threads: int
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupResult:
    """A complete backup, what its manifest says, and what is newly odd about it, in sentences."""

    manifest: Manifest
    status: str = "complete"
    anomalies: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return the result in JSON's own types."""
        manifest = self.manifest
        return {
            "backup_id": manifest.backup_id,
            "source": manifest.source,
            "kind": manifest.kind.value,
            "status": self.status,
            "recovery_point_at": format_instant(manifest.recovery_point_at),
            "duration_seconds": round(manifest.duration_seconds, 3),
            "dumped_bytes": manifest.dumped_bytes,
            "stored_bytes": manifest.stored_bytes,
            "new_bytes": manifest.new_bytes,
            "table_count": len(manifest.tables),
            "row_count": manifest.row_count,
            "warnings": list(manifest.warnings),
            "anomalies": list(self.anomalies),
            "excluded": [{"object": item.object, "reason": item.reason} for item in manifest.excluded],
            "phases": manifest.durations_seconds,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Dumped:
    """What one dump left behind, before it is a manifest."""

    snapshot: Snapshot
    toolset: Toolset
    preflight: Preflight
    facts: SourceFacts
    derived: tuple[DerivedRecord, ...]
    toc: Toc
    stored: Mapping[str, StoredFile]
    written: WrittenObjects


def run_backup(
    request: BackupRequest, place: BackupPlace, *, now: Callable[[], datetime], on_progress: OnProgress
) -> BackupResult:
    """Take one backup.

    Args:
        request: What to back up.
        place: Where to.
        now: Clock, aware UTC.
        on_progress: Told of every step.

    Returns:
        The complete backup; its manifest is durable and was read back.

    Raises:
        GoldcopyError: Why there is no backup. Nothing but unnamed objects is left behind.
    """
    catalog, source = place.catalog, request.source.name
    with catalog.claimed_run("backup", source, exclusive=True, now=now, run_reference=request.run_reference) as run:
        adopt_unrecorded(place.repository, catalog, source, now)
        backup_id = str(BackupId(at=now(), source=source, suffix=token_hex(2)))
        catalog.backup_started(
            backup_id=backup_id, source=source, kind=request.kind, reason=request.reason, now=now(), run=run
        )
        try:
            making = _BackupInTheMaking(request, place, backup_id, now, on_progress)
            manifest, digest = making.complete()
        except BaseException as error:
            catalog.backup_failed(backup_id, error, now())
            raise
        catalog.backup_completed(manifest, digest, now())
        key = place.repository.fingerprint_key
        odd = look_at_backup(catalog, request.source, manifest, making.schema, key, now())
    return BackupResult(manifest=manifest, anomalies=tuple(item.sentence for item in odd))


class _BackupInTheMaking:
    """One backup from its first connection to its manifest."""

    def __init__(
        self,
        request: BackupRequest,
        place: BackupPlace,
        backup_id: str,
        now: Callable[[], datetime],
        on_progress: OnProgress,
    ) -> None:
        self._request = request
        self._place = place
        self._backup_id = backup_id
        self._now = now
        self._on_progress = on_progress
        self._started_at = now()
        self._timer = PhaseTimer()
        self._policy = request.source.dump
        self._is_last_attempt = False
        self._replaced: list[str] = []
        self.schema: Schema = {}

    def complete(self) -> tuple[Manifest, str]:
        """Make the backup; begin again when a table was dropped or altered while the dump was starting."""
        address = self._request.address
        try:
            # Only pg_dump's first connection holds the locks; without others they are not asked for again, and refused.
            with_one_job = replace(self._policy, jobs=1)
            for _attempt in range(ATTEMPTS_WHEN_CHANGED - 1):
                try:
                    return self._make()
                except SourceChanged as error:
                    self._on_progress("begin again: the source changed", 0, None)
                    self._policy = with_one_job if isinstance(error, SourceLocked) else self._policy
            self._policy, self._is_last_attempt = with_one_job, True
            return self._make()
        except psycopg.Error as error:
            raise explain_broken_connection(error, address.label, address.parameters) from error

    def _make(self) -> tuple[Manifest, str]:
        self._on_progress("preflight", 0, None)
        with self._timer.phase("preflight"):
            request = self._request
            source = request.source.name
            self._previous = self._place.repository.newest_manifests(source, _PREVIOUS_MANIFESTS)
            self._moved = require_same_source(
                request.address, source, self._previous, may_have_moved=request.may_have_moved
            )
            toolset, preflight = self._preflight()
        writer = self._writer()
        try:
            with (
                owned_folder(self._place.scratch_folder / f"dump-{self._backup_id}") as folder,
                open_snapshot(self._request.address, role=self._request.source.dump.role) as snapshot,
            ):
                dumped = self._dump(snapshot, toolset, preflight, folder / "files", writer)
            with self._timer.phase("commit"):
                return self._place.repository.commit_manifest(self._manifest(dumped))
        except BaseException:
            writer.abort()
            raise

    def _preflight(self) -> tuple[Toolset, Preflight]:
        request = self._request
        with request.address.connect(read_only=True) as connection:
            server_major = connection.info.server_version // 10000
        toolset = choose_client(self._place.toolsets, server_major)
        preflight = check_source(
            request.address,
            request.source,
            client_major=toolset.major,
            unreadable_known=unreadable_known(request.source.kind),
        )
        errors = preflight.errors
        if errors:
            raise PreflightRefused(
                f"the backup of {request.source.name} would not be whole: "
                + "; ".join(finding.message for finding in errors[:5])
                + (f"; and {len(errors) - 5} more" if len(errors) > 5 else ""),
                hint=preflight.remedy(request.source.name),
            )
        require_scratch_space(self._place.scratch_folder, preflight.estimated_bytes, request.source.dump)
        return toolset, preflight

    def _writer(self) -> ObjectWriter:
        source = self._request.source.name
        return ObjectWriter(
            self._place.repository,
            source=source,
            recipients=self._place.recipients,
            previous=self._previous,
            damaged_keys=self._place.catalog.damaged_keys(source),
            upload_threads=self._place.upload_threads,
        )

    def _dump(
        self, snapshot: Snapshot, toolset: Toolset, preflight: Preflight, folder: Path, writer: ObjectWriter
    ) -> _Dumped:
        request = DumpRequest(
            toolset=toolset,
            address=self._request.address,
            snapshot_id=snapshot.snapshot_id,
            policy=self._policy,
            encoding=snapshot.connection.info.parameter_status("server_encoding") or "",
            excluded_tables=preflight.excluded_tables,
            excluded_data=preflight.excluded_data,
            excluded_schemas=preflight.excluded_schemas,
            estimated_bytes=preflight.estimated_bytes,
        )
        # Sequences stand outside every snapshot and only move on: read before pg_dump looks at them, they can be behind
        # what it dumps, never ahead, which is what the proof compares.
        sequences = read_sequences(snapshot.connection)
        with (
            self._timer.phase("dump"),
            start_dump(request, folder) as dump,
            DumpReading(dump, writer, request.policy.jobs + 1, self._on_progress) as reading,
        ):
            dump.also_stop(partial(break_off, snapshot.connection))
            toc = dump.toc()
            facts = read_source_facts(snapshot, sequences, preflight)
            with self._request.address.connect(read_only=True) as now:
                dump.also_stop(partial(break_off, now))
                require_unchanged(snapshot.connection, now)
                self._replaced = find_replaced(snapshot.connection, now)
            self._refuse_replaced()
            reading.expect(facts.estimated_bytes)
            derived = read_derived(request, snapshot, facts, dump, preflight, self._place.repository.fingerprint_key)
            reading.wait()
            stored = reading.store_leftovers(_facts_files(facts))
        with self._timer.phase("store"):
            self._on_progress("store", 0, None)
            written = writer.finish()
        return _Dumped(
            snapshot=snapshot,
            toolset=toolset,
            preflight=preflight,
            facts=facts,
            derived=derived,
            toc=toc,
            stored=stored,
            written=written,
        )

    def _refuse_replaced(self) -> None:
        """Begin again where a table was emptied; one that is emptied at every attempt must not end all backups."""
        if self._replaced and not self._is_last_attempt:
            raise SourceChanged(f"changed while the dump was starting: {self._replaced[0]}", hint="Run it again.")

    def _refuse_sudden_emptiness(self, row_count: int) -> None:
        """A wrong URL must not let a backup of nothing take the place of real ones."""
        if row_count or self._request.source.dump.allow_empty or not self._previous or not self._previous[0].row_count:
            return
        raise PreflightRefused(
            f"{self._request.source.name} has no rows, and its last backup {self._previous[0].backup_id} has "
            f"{self._previous[0].row_count}",
            hint="Check that its url leads to the right database; `allow_empty = true` of the source allows it.",
        )

    def _manifest(self, dumped: _Dumped) -> Manifest:
        facts, snapshot = dumped.facts, dumped.snapshot
        self.schema = facts.schema
        objects = [stored for name, stored in dumped.stored.items() if name.startswith("blob_")]
        require_large_objects(facts, len(objects))
        tables = records_of_tables(dumped.toc, facts, dumped.stored, dumped.preflight)
        require_same_rows(tables, dumped.derived)
        self._refuse_sudden_emptiness(sum(table.rows for table in tables))
        return Manifest(
            backup_id=self._backup_id,
            source=self._request.source.name,
            source_kind=self._request.source.kind.value,
            kind=self._request.kind,
            reason=self._request.reason,
            started_at=self._started_at,
            recovery_point_at=snapshot.at,
            finished_at=self._now(),
            snapshot_id=snapshot.snapshot_id,
            lsn=snapshot.lsn,
            server=facts.server,
            client_version=dumped.toolset.version,
            archive_version=dumped.toc.archive_version,
            tool_version=self._place.tool_version,
            recipients=self._place.recipients,
            objects=dumped.written.objects,
            files=dumped.written.files,
            tables=tables,
            sequences=records_of_sequences(dumped.toc, facts),
            large_object_count=len(objects),
            large_object_bytes=sum(stored.plain_bytes for stored in objects),
            schema_digest=digest_schema(facts.schema, self._place.repository.fingerprint_key),
            roles=facts.role_names,
            extensions=facts.extensions,
            derived=dumped.derived,
            excluded=dumped.preflight.excluded,
            warnings=tuple(finding.message for finding in dumped.preflight.findings)
            + snapshot.warnings
            + self._moved
            + tuple(f"{name} at every attempt: its rows may be of a later instant" for name in self._replaced),
            new_bytes=dumped.written.new_bytes,
            dumped_bytes=sum(stored.plain_bytes for stored in dumped.stored.values()),
            durations_seconds=self._timer.durations_seconds(),
        )


def _facts_files(facts: SourceFacts) -> dict[str, bytes]:
    """What belongs to a backup besides pg_dump's own files."""
    return {
        "roles.sql": facts.roles_sql.encode("utf-8", "surrogateescape"),
        "settings.sql": facts.settings_sql.encode("utf-8", "surrogateescape"),
        ROLES_FILE: facts.roles_file,
        "schema.json": json.dumps(facts.schema, sort_keys=True, ensure_ascii=True).encode(),
    }


def find_earlier_result(
    catalog: Catalog, repository: Repository, source: str, run_reference: str | None
) -> BackupResult | None:
    """Return the backup that this firing of a schedule made already, so that starting it twice gives one backup."""
    if not run_reference:
        return None
    done = {run.id for run in catalog.runs(source, limit=_RUNS_LOOKED_AT) if run.run_reference == run_reference}
    for row in catalog.backups(source, statuses=[BackupStatus.COMPLETE], limit=_RUNS_LOOKED_AT):
        if row.run_id in done:
            return BackupResult(manifest=repository.read_manifest(source, row.id))
    return None
