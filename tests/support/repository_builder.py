"""Real repositories with many small backups, made quickly: sealed objects, manifests, catalog rows, no Postgres."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest

from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.records import RunState
from shared.domain.backup import BackupId, BackupKind
from shared.domain.evidence import RestoreTestEvidence, RestoreTestResult
from shared.domain.manifest import Manifest, ServerFacts, TableRecord
from shared.domain.proof import Outcome
from shared.errors import ProgramFailed
from shared.repository.evidence import write_evidence
from shared.repository.repository import Repository
from shared.repository.store import ObjectStore
from shared.repository.writer import ObjectWriter
from tests.support.faulty_store import MemoryStore

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
IDENTITY = pyrage.x25519.Identity.generate()
RECIPIENTS = (str(IDENTITY.to_public()),)

# A table announced with this size is stored as an object of its own, however small it is.
_NOT_BUNDLED_BYTES = 1 << 20


@dataclass
class BuiltRepository:
    """A repository, its catalog, and the means to fill them."""

    folder: Path
    store: ObjectStore
    repository: Repository
    catalog: Catalog
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 16)))

    def back_up(
        self,
        days_ago: float,
        *,
        source: str = "app",
        kind: BackupKind = BackupKind.DAILY,
        tables: Mapping[str, bytes] | None = None,
        small: Mapping[str, bytes] | None = None,
        is_recorded: bool = True,
        is_proven: bool = False,
    ) -> Manifest:
        """Make one complete backup; `tables` get an object each and are shared when equal, `small` are bundled."""
        at = NOW - timedelta(days=days_ago)
        backup_id = str(BackupId(at=at, source=source, suffix=f"{next(self.numbers):04x}"))
        if is_recorded:
            self.begin(backup_id, source, kind, at)
        manifest, digest = self.commit(backup_id, source, kind, at, tables, small)
        if is_recorded:
            self.catalog.backup_completed(manifest, digest, at)
        if is_proven:
            self.test_restore(backup_id, Outcome.PASSED)
        return manifest

    def begin(self, backup_id: str, source: str, kind: BackupKind, at: datetime) -> None:
        """Record that a backup has begun, in a run of its own: what no run made counts as imported."""
        run = self.catalog.begin_run("backup", source, exclusive=True, now=at)
        self.catalog.backup_started(backup_id=backup_id, source=source, kind=kind, reason="", now=at, run=run)
        self.catalog.finish_run(run, RunState.DONE, at)

    def commit(
        self,
        backup_id: str,
        source: str,
        kind: BackupKind,
        at: datetime,
        tables: Mapping[str, bytes] | None,
        small: Mapping[str, bytes] | None,
    ) -> tuple[Manifest, str]:
        """Store the objects and the manifest of one backup, sharing what earlier ones hold."""
        tables = {"customers": b"1\tAda\n", "orders": f"{backup_id}\n".encode()} if tables is None else tables
        small = {"toc.dat": b"contents"} if small is None else small
        previous = self.repository.newest_manifests(source, 3)
        with ObjectWriter(self.repository, source, RECIPIENTS, previous=previous, upload_threads=1) as writer:
            stored = {
                name: writer.store_file(f"{name}.dat", [rows], size_hint=_NOT_BUNDLED_BYTES)
                for name, rows in sorted(tables.items())
            }
            for name, content in sorted(small.items()):
                writer.store_file(name, [content])
            written = writer.finish()
        manifest = Manifest(
            backup_id=backup_id,
            source=source,
            source_kind="postgres",
            kind=kind,
            reason="",
            started_at=at,
            recovery_point_at=at + timedelta(seconds=1),
            finished_at=at + timedelta(seconds=9),
            snapshot_id="00000003-0000001B-1",
            lsn="0/16B3748",
            server=ServerFacts(
                server_version="17.4",
                server_version_num=170004,
                database=source,
                encoding="UTF8",
                collate="C",
                ctype="C",
            ),
            client_version="17.4",
            archive_version="1.16",
            tool_version="0.1.0",
            recipients=RECIPIENTS,
            objects=written.objects,
            files=written.files,
            tables=tuple(
                TableRecord(
                    schema="public",
                    name=name,
                    columns=("line",),
                    rows=item.rows,
                    plain_bytes=item.plain_bytes,
                    fingerprint=item.fingerprint,
                    file=item.path,
                )
                for name, item in stored.items()
            ),
            sequences=(),
            large_object_count=0,
            large_object_bytes=0,
            schema_digest={},
            roles=(),
            extensions=(),
            new_bytes=written.new_bytes,
            dumped_bytes=sum(item.plain_bytes for item in stored.values()),
        )
        return self.repository.commit_manifest(manifest)

    def fail(self, days_ago: float, *, source: str = "app") -> str:
        """Record an attempt that failed."""
        at = NOW - timedelta(days=days_ago)
        backup_id = str(BackupId(at=at, source=source, suffix=f"{next(self.numbers):04x}"))
        self.begin(backup_id, source, BackupKind.DAILY, at)
        self.catalog.backup_failed(backup_id, ProgramFailed("pg_dump ended with 1", hint="See the log."), at)
        return backup_id

    def test_restore(self, backup_id: str, outcome: Outcome, *, at: datetime | None = None) -> None:
        """Record a restore test, and its evidence."""
        row = self.catalog.backup(backup_id)
        began = at or NOW - timedelta(hours=1)
        result = RestoreTestResult(
            id=f"test-{next(self.numbers):04x}",
            backup_id=backup_id,
            source=row.source,
            picked="named",
            outcome=outcome,
            started_at=began,
            finished_at=began + timedelta(minutes=1),
        )
        write_evidence(self.repository, RestoreTestEvidence(result=result, manifest_sha256=row.manifest_sha256))
        self.catalog.record_restore_test(result, began)

    def contents(self) -> dict[str, str]:
        """Digests of everything that is stored, by key."""
        return {item.key: hashlib.sha256(self.store.get(item.key)).hexdigest() for item in self.store.list("")}

    def stored_bytes(self) -> int:
        """Bytes of everything that is stored."""
        return sum(item.stored_bytes for item in self.store.list(""))

    def restorable_ids(self) -> set[str]:
        """Ids of the backups whose manifest and every object are there, byte for byte."""
        found = set()
        for manifest in self.repository.read_all().manifests:
            for record in manifest.objects:
                self.repository.read_object(record)
            found.add(manifest.backup_id)
        return found

    def over(self, store: ObjectStore, catalog: Catalog | None = None) -> "BuiltRepository":
        """Return the same repository seen through another store, such as one that fails."""
        seen = Repository.open(store, fingerprint_key=self.repository.fingerprint_key)
        return BuiltRepository(self.folder, store, seen, catalog or self.catalog, self.numbers)


def build_repository(folder: Path, store: ObjectStore | None = None) -> BuiltRepository:
    """Make an empty repository, in memory unless a store is given, and a catalog beside it."""
    store = MemoryStore() if store is None else store
    repository = Repository.create(store, RECIPIENTS, NOW - timedelta(days=400))
    catalog = open_catalog(f"sqlite:///{folder / 'catalog.db'}", actor="tester")
    return BuiltRepository(folder, store, repository, catalog)


@pytest.fixture
def built(tmp_path: Path) -> Iterator[BuiltRepository]:
    """An empty repository in memory with a catalog."""
    made = build_repository(tmp_path)
    yield made
    made.catalog.close()
