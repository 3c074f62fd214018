"""Restore one backup to a scratch server, prove that it equals the source, keep the evidence.

The order: fetch and unseal with every digest and fingerprint compared, start a server of the source's own major
version, create the roles and the database, pg_restore, the database's settings; here the database is usable, and the
recovery time ends. Then the proof, and the source's own checks. Damage is an outcome (failed), not an exception; what
could not be carried out (no server, no identity, a store that does not answer) is the outcome *not measured*.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from shared.catalog.engine import Catalog
from shared.catalog.records import RunRow
from shared.clock import monotonic_seconds
from shared.domain.evidence import RestoreTestResult
from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, NotMeasured, Severity, overall_outcome
from shared.domain.restore_testing import Pick
from shared.domain.source_checks import SourceChecks
from shared.errors import CatalogProblem, DecryptionFailed, GoldcopyError, IntegrityProblem, Interrupted
from shared.operations.evidence import keep_test
from shared.operations.fetch import fetch_backup
from shared.operations.manifest_proof import read_manifest_to_prove
from shared.operations.meanwhile import Meanwhile
from shared.operations.progress import OnProgress, PhaseTimer, no_progress
from shared.operations.proving import Proof, Restored, prove_restored
from shared.operations.restore_ending import raise_if_cut
from shared.operations.role_proof import ROLES_FILE
from shared.operations.scratch_database import ScratchDatabase, open_scratch_database
from shared.operations.scratch_space import require_bytes
from shared.postgres.archive import read_toc
from shared.postgres.checks import run_checks
from shared.postgres.connection import DatabaseAddress
from shared.postgres.owned_folders import owned_folder
from shared.postgres.restore import RestoreOptions, run_pg_restore, write_use_list
from shared.postgres.restore_selection import depends_on_order, without_extensions
from shared.postgres.tools import Toolset
from shared.repository.repository import Repository
from shared.repository.sealing import Identity
from shared.units import format_instant

FIRST_FILES = frozenset({"toc.dat", "schema.json", "roles.sql", ROLES_FILE, "settings.sql"})
"""Small files that say what the rest is."""

PHASES = ("fetch", "unseal", "start", "restore_data", "restore_indexes", "prove")
"""The recovery time is that of all phases but the last. The scratch server starts while the backup is fetched: `start`
is what it took beyond that."""

_SERVER_SIZE_RATIO = 2.0
"""How much larger a restored database is than its dump, indexes included; measured between 1.2 and 2.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestRequest:
    """One backup to test.

    Attributes:
        source: Name of its source.
        backup_id: Its whole id.
        pick: How it was chosen.
        checks: The source's own checks, or None.
        jobs: Parallel jobs of pg_restore, at least 2.
        stall_seconds: End the restore when nothing moves for this long.
        run_reference: The orchestrator's id of this run, or None.
    """

    source: str
    backup_id: str
    pick: Pick
    checks: SourceChecks | None = None
    jobs: int = 2
    stall_seconds: float = 900.0
    run_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestPlace:
    """With what a restore test is made.

    Attributes:
        scratch_folder: Where the backup is unpacked and the scratch server lives.
        scratch_address: A configured server to use instead of a throwaway one, as a superuser; or None.
    """

    repository: Repository
    catalog: Catalog
    toolsets: Sequence[Toolset]
    identities: Sequence[Identity]
    scratch_folder: Path
    scratch_address: DatabaseAddress | None
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestReport:
    """What a restore test found, as it is recorded.

    Attributes:
        result: The recorded evidence.
        damaged_keys: Stored objects that are missing or damaged.
        manifest_damage: What is wrong with the backup's manifest, or empty.
    """

    result: RestoreTestResult
    damaged_keys: tuple[str, ...] = ()
    manifest_damage: str = ""

    def document(self) -> dict[str, Any]:
        """Return the result as the command line prints it."""
        result = self.result
        return {
            "outcome": result.outcome.value,
            "restore_test_id": result.id,
            "backup_id": result.backup_id,
            "source": result.source,
            "picked": result.picked,
            "started_at": format_instant(result.started_at),
            "finished_at": format_instant(result.finished_at),
            "findings": [finding.document() for finding in result.findings],
            "not_measured": [item.document() for item in result.not_measured],
            "tables_proven": result.tables_proven,
            "rows_proven": result.rows_proven,
            "phases": result.phases,
            "recovery_time_seconds": result.recovery_time_seconds,
            "source_version": result.source_version,
            "scratch_version": result.scratch_version,
        }


def run_restore_test(
    request: RestoreTestRequest, place: RestoreTestPlace, *, now: Callable[[], datetime], on_progress: OnProgress
) -> RestoreTestReport:
    """Test one backup and record the evidence.

    Args:
        request: Which backup, and how.
        place: With what.
        now: Clock, aware UTC.
        on_progress: Told of every step.

    Returns:
        The evidence; its outcome says whether the backup is proven.

    Raises:
        BackupUnknown: The catalog does not know the backup, or it is expiring.
        CatalogProblem: The evidence cannot be recorded.
        Interrupted: A person ended it.
    """
    catalog = place.catalog
    with catalog.claimed_run(
        "restore-test",
        request.source,
        exclusive=False,
        now=now,
        run_reference=request.run_reference,
        backup_id=request.backup_id,
    ) as run:
        test = _RestoreTest(request, place, now, on_progress)
        _record_start(catalog, test, run)
        try:
            test.run()
        except BaseException:
            _record_interruption(catalog, test, now())
            raise
        report = test.report()
        result = keep_test(place.repository, report.result, test.manifest_sha256)
        report = replace(report, result=result)
        _record_end(catalog, report, now())
    return report


def _record_start(catalog: Catalog, test: "_RestoreTest", run: RunRow) -> None:
    """Let the catalog know that a test runs, so that one that is killed is seen."""
    catalog.record_restore_test_started(
        test_id=test.test_id,
        backup_id=test.request.backup_id,
        picked=test.request.pick.value,
        now=test.started_at,
        run=run,
    )


def _record_interruption(catalog: Catalog, test: "_RestoreTest", now: datetime) -> None:
    """A test that somebody ended measured nothing; without this it would count as running for ever."""
    test.note_interruption()
    with suppress(CatalogProblem):  # what ended the test matters more
        _record_end(catalog, test.report(), now)


def _record_end(catalog: Catalog, report: RestoreTestReport, now: datetime) -> None:
    """Keep the evidence; damaged objects are never shared with later backups again."""
    for key in report.damaged_keys:
        catalog.mark_object_damaged(key, f"found by restore test {report.result.id}", now)
    if report.manifest_damage:
        catalog.mark_manifest_damaged(report.result.backup_id, report.manifest_damage, now)
    catalog.record_restore_test(report.result, now)


def _in_order(phases: dict[str, float]) -> dict[str, float]:
    return {name: phases[name] for name in PHASES if name in phases}


class _RestoreTest:
    """One restore test while it runs."""

    def __init__(
        self,
        request: RestoreTestRequest,
        place: RestoreTestPlace,
        now: Callable[[], datetime],
        on_progress: OnProgress,
    ) -> None:
        self.request = request
        self.started_at = now()
        self.manifest_sha256 = ""
        self._manifest_damage = ""
        self.test_id = f"{self.started_at:%Y%m%dT%H%M%SZ}-{request.source}-{token_hex(4)}"
        self._place = place
        self._now = now
        self._on_progress = on_progress
        self._timer = PhaseTimer()
        self._phases: dict[str, float] = {}
        self._proof = Proof()
        self._damaged_keys: tuple[str, ...] = ()
        self._source_version = ""
        self._scratch_version = ""
        self._recovery_seconds: float | None = None

    def run(self) -> None:
        """Test; everything but an interruption becomes part of the evidence."""
        try:
            with owned_folder(self._place.scratch_folder / f"restore-test-{self.test_id}") as folder:
                self._test(folder)
        except Interrupted:
            raise
        except DecryptionFailed as error:
            self._not_measured("fetch", str(error))
        except IntegrityProblem as error:
            self._failed("integrity", self.request.backup_id, error)
        except GoldcopyError as error:
            self._not_measured("restore-test", error.message)
        except (psycopg.Error, OSError) as error:
            self._not_measured("restore-test", str(error).splitlines()[0] if str(error) else type(error).__name__)

    def note_interruption(self) -> None:
        """Make the interruption part of the evidence."""
        self._not_measured("restore-test", "the test was interrupted before it was done")

    def report(self) -> RestoreTestReport:
        """Add up the evidence."""
        proof = self._proof
        result = RestoreTestResult(
            id=self.test_id,
            backup_id=self.request.backup_id,
            source=self.request.source,
            picked=self.request.pick.value,
            outcome=overall_outcome(proof.findings, proof.not_measured),
            started_at=self.started_at,
            finished_at=self._now(),
            findings=tuple(proof.findings),
            not_measured=tuple(proof.not_measured),
            phases=_in_order(self._phases | self._timer.durations_seconds()),
            recovery_time_seconds=self._recovery_seconds,
            tables_proven=proof.tables_proven,
            rows_proven=proof.rows_proven,
            source_version=self._source_version,
            scratch_version=self._scratch_version,
            tool_version=self._place.tool_version,
        )
        return RestoreTestReport(result=result, damaged_keys=self._damaged_keys, manifest_damage=self._manifest_damage)

    def _test(self, folder: Path) -> None:
        began = monotonic_seconds()
        place, request = self._place, self.request
        read = read_manifest_to_prove(place.repository, place.catalog, request.source, request.backup_id)
        self.manifest_sha256 = read.sha256
        if read.finding is not None:
            self._manifest_damage = read.finding.message
            self._proof.findings.append(read.finding)
        if (manifest := read.manifest) is None:
            return
        self._source_version = manifest.server.server_version
        self._require_space(manifest, folder)
        # What the scratch server needs to know comes first; the rest is fetched while it starts.
        if not self._fetch(manifest, folder, first=True):
            return
        with Meanwhile(self._on_progress) as meanwhile:
            fetching = meanwhile.begin(lambda progress: self._fetch(manifest, folder, first=False, progress=progress))
            with self._open_scratch(manifest, folder) as scratch:
                self._scratch_version = scratch.version
                self._proof.findings += scratch.findings
                if not fetching.result():
                    return
                self._phases["start"] = max(0.0, round(monotonic_seconds() - began - self._fetched_seconds(), 3))
                restored = self._restore(manifest, folder, scratch)
                self._recovery_seconds = round(monotonic_seconds() - began, 3)
                with self._timer.phase("prove"):
                    self._prove(restored)
                if problem := scratch.problem():
                    raise problem

    def _open_scratch(self, manifest: Manifest, folder: Path) -> AbstractContextManager[ScratchDatabase]:
        return open_scratch_database(
            manifest,
            folder,
            toolsets=self._place.toolsets,
            scratch_folder=self._place.scratch_folder,
            configured=self._place.scratch_address,
            on_progress=self._on_progress,
        )

    def _require_space(self, manifest: Manifest, folder: Path) -> None:
        dump_bytes = sum(file.plain_bytes for file in manifest.files)
        if self._place.scratch_address is None:
            require_bytes(
                folder, int(dump_bytes * (1 + _SERVER_SIZE_RATIO)), "the unpacked backup and its scratch server"
            )

    def _fetch(self, manifest: Manifest, folder: Path, *, first: bool, progress: OnProgress = no_progress) -> bool:
        """Unpack the backup, its first files or the rest; say whether what came is whole."""
        fetched = fetch_backup(
            self._place.repository,
            manifest,
            self._place.identities,
            folder,
            is_wanted=lambda file: (file.path in FIRST_FILES) is first,
            on_progress=progress,
        )
        for name, seconds in fetched.phases_seconds.items():
            self._phases[name] = round(self._phases.get(name, 0.0) + seconds, 3)
        self._proof.findings += fetched.findings
        self._damaged_keys += fetched.damaged_keys
        return not fetched.findings

    def _fetched_seconds(self) -> float:
        return self._phases["fetch"] + self._phases["unseal"]

    def _restore(self, manifest: Manifest, folder: Path, scratch: ScratchDatabase) -> Restored:
        toc = read_toc(folder / "toc.dat")
        selection = without_extensions(toc, scratch.missing_extensions)
        use_list = write_use_list(folder / "use.list", selection.entries) if selection.left_out else None
        options = RestoreOptions(
            jobs=self.request.jobs,
            in_order=depends_on_order(toc),
            use_list=use_list,
            stall_seconds=self.request.stall_seconds,
        )
        run = run_pg_restore(scratch.toolset, folder, scratch.address, options, on_progress=self._on_progress)
        self._phases |= run.phases_seconds
        if problem := scratch.problem():
            raise problem
        raise_if_cut(run.messages)
        self._proof.note_messages(run.messages)
        self._proof.findings += scratch.apply_settings(folder)
        for entry, reason in selection.left_out_of(toc):
            if entry.description in {"EXTENSION", "TABLE", "FUNCTION", "VIEW", "MATERIALIZED VIEW", "INDEX", "TYPE"}:
                name = ".".join(part for part in (entry.schema, entry.tag) if part)
                self._proof.not_measured.append(
                    NotMeasured(check="restore", object=f"{entry.description.lower()} {name}", reason=reason)
                )
        return Restored(
            toolset=scratch.toolset,
            address=scratch.address,
            manifest=manifest,
            dump_folder=folder,
            key=self._place.repository.fingerprint_key,
            toc=toc,
            left_out=selection.left_out,
            roles=scratch.roles,
        )

    def _prove(self, restored: Restored) -> None:
        prove_restored(restored, self._proof, on_progress=self._on_progress)
        checks = self.request.checks
        if checks is None:
            return
        found = run_checks(
            restored.address,
            checks,
            recovery_point_at=restored.manifest.recovery_point_at,
            on_check=lambda done: self._on_progress("checks", done, checks.count),
        )
        self._proof.findings += found.findings
        self._proof.not_measured += found.not_measured

    def _failed(self, check: str, about: str, error: GoldcopyError) -> None:
        self._proof.findings.append(
            Finding(check=check, severity=Severity.ERROR, object=about, message=error.message, hint=error.hint)
        )

    def _not_measured(self, check: str, reason: str) -> None:
        self._proof.not_measured.append(NotMeasured(check=check, object=self.request.backup_id, reason=reason))
