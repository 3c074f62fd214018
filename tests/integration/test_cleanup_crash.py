"""A cleanup that dies after any of its writes loses nothing, and the next one finishes the work.

Each case begins from the same repository and catalog, kills the cleanup right after its k-th change of the store or of
the catalog, looks at what is left, runs it again cleanly, and compares with a cleanup that nobody disturbed.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection

from shared.catalog.connection import Database, open_database
from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.process_identity import ProcessIdentity, this_process
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.domain.source import KeepRule, Source
from shared.operations import cleanup
from shared.operations.cleanup import CleanupResult, run_cleanup
from shared.operations.cleanup_plan import plan_source
from shared.operations.holds import place_hold, release_hold
from shared.repository.layout import KeyKind, parse_key
from shared.repository.repository import Repository
from shared.repository.store import ObjectStore, StoredObject
from tests.support.faulty_store import MemoryStore, SimulatedCrash, WrappedStore
from tests.support.repository_builder import NOW, BuiltRepository, build_repository

POLICY = {"app": Source(name="app", retention={BackupKind.DAILY: KeepRule(age=timedelta(days=7))})}


class Fuse:
    """Burns down by one with every change; when it is gone, the process is dead and stays dead."""

    def __init__(self, changes: int) -> None:
        self.left = changes

    def require_alive(self) -> None:
        if self.left <= 0:
            raise SimulatedCrash

    def burn(self) -> None:
        self.left -= 1
        self.require_alive()


class CrashingStore(WrappedStore):
    """A store whose process dies right after a change."""

    def __init__(self, inner: ObjectStore, fuse: Fuse) -> None:
        super().__init__(inner)
        self._fuse = fuse

    def put(self, key: str, data: bytes, *, replace: bool = False) -> StoredObject:
        self._fuse.require_alive()
        stored = super().put(key, data, replace=replace)
        self._fuse.burn()
        return stored

    def delete(self, key: str) -> None:
        self._fuse.require_alive()
        super().delete(key)
        self._fuse.burn()


class CrashingDatabase(Database):
    """A catalog's database whose process dies right after a commit."""

    def __init__(self, inner: Database, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse
        self.label = inner.label

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        self._fuse.require_alive()
        with self._inner.reading() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        self._fuse.require_alive()
        with self._inner.writing() as connection:
            yield connection
        self._fuse.burn()

    def close(self) -> None:
        self._inner.close()


@dataclass(frozen=True)
class Beginning:
    """A repository and a catalog to begin from again and again, and what must outlive any crash."""

    objects: dict[str, object]
    folder: Path
    fingerprint_key: bytes
    precious: frozenset[str]

    def fresh(self, folder: Path, number: int) -> BuiltRepository:
        """Return a copy to work on."""
        own = folder / f"{number}"
        own.mkdir()
        shutil.copy(self.folder / "catalog.db", own / "catalog.db")
        store = MemoryStore()
        store.objects = dict(self.objects)  # type: ignore[arg-type]
        catalog = open_catalog(f"sqlite:///{own / 'catalog.db'}", actor="tester")
        return BuiltRepository(own, store, Repository.open(store, fingerprint_key=self.fingerprint_key), catalog)


@pytest.fixture(scope="module")
def beginning(tmp_path_factory: pytest.TempPathFactory) -> Beginning:
    """A history with everything that matters: shared objects, a hold, proofs, failures, damage, orphans, bundles."""
    built = build_repository(tmp_path_factory.mktemp("beginning"))
    static = {"customers": b"1\tAda\n", "countries": b"1\tCH\n"}
    held = built.back_up(40, tables=static | {"orders": b"a\n"})
    proven = built.back_up(30, tables=static | {"orders": b"b\n"}, is_proven=True)
    built.back_up(20, tables=static | {"orders": b"b\n"}, small={"toc.dat": b"other"})
    released = built.back_up(12, tables={"orders": b"c\n", "customers": b"2\tBob\n"})
    bad = built.back_up(11, tables={"orders": b"d\n", "customers": b"2\tBob\n"})
    newest = built.back_up(9, tables={"orders": b"e\n", "customers": b"2\tBob\n"})
    for manifest in (held, released):
        place_hold(built.repository, built.catalog, manifest.backup_id, owner="Ada", reason="audit", now=NOW)
    release_hold(built.repository, built.catalog, released.backup_id, reason="closed", now=NOW)
    built.test_restore(bad.backup_id, Outcome.PASSED)
    built.test_restore(bad.backup_id, Outcome.FAILED, at=NOW)
    built.store.put(f"sources/app/objects/ab/{'ab' * 32}.00000001", b"what a dead backup left")
    built.catalog.close()
    assert isinstance(built.store, MemoryStore)
    return Beginning(
        objects=dict(built.store.objects),
        folder=built.folder,
        fingerprint_key=built.repository.fingerprint_key,
        precious=frozenset({held.backup_id, proven.backup_id, newest.backup_id}),
    )


@pytest.fixture(autouse=True)
def one_delete_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the k-th change is always the same one."""
    monkeypatch.setattr(cleanup, "DELETE_THREADS", 1)


def clean_up(built: BuiltRepository) -> CleanupResult:
    return run_cleanup(built.repository, built.catalog, POLICY, now=lambda: NOW)


def end_state(built: BuiltRepository) -> dict[str, object]:
    """What must be the same however often the way there was interrupted; histories of runs may differ."""
    rows = built.catalog.backups(include_expired=True)
    return {
        "stored": built.contents(),
        "statuses": {row.id: row.status for row in rows},
        "objects": {row.id: built.catalog.objects(row.id) for row in rows},
        "unfinished": built.catalog.unfinished_cleanups(),
        "status": [replace(row, updated_at=None) for row in built.catalog.source_statuses()],
    }


def crash(built: BuiltRepository, changes: int, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Run a cleanup in a process that dies after so many changes; say whether it died."""
    fuse = Fuse(changes)
    database = CrashingDatabase(open_database(f"sqlite:///{built.folder / 'catalog.db'}"), fuse)
    doomed = built.over(CrashingStore(built.store, fuse), Catalog(database, "tester"))
    with monkeypatch.context() as patched:
        patched.setattr("shared.catalog.claims.this_process", dead_process)
        try:
            clean_up(doomed)
        except SimulatedCrash:
            return True
        finally:
            database.close()
    return False


def dead_process() -> ProcessIdentity:
    """An identity that no living process has: the same host and boot, but started at another time."""
    living = this_process()
    return replace(living, started=living.started.rpartition(" ")[0] + " 1")


def check_nothing_is_lost(built: BuiltRepository, beginning: Beginning) -> None:
    assert beginning.precious <= built.restorable_ids()  # reads every object of every manifest that is there
    for row in built.catalog.backups():
        if row.status is BackupStatus.COMPLETE:
            assert row.id in built.restorable_ids(), f"the catalog says that {row.id} is complete"


def test_a_cleanup_that_dies_anywhere_loses_nothing_and_the_next_one_finishes(
    beginning: Beginning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed = beginning.fresh(tmp_path, 0)
    expected_result = clean_up(undisturbed)
    expected = end_state(undisturbed)
    assert len(expected_result.expired) == 2
    assert expected_result.orphans_removed == 1
    gone = {item.backup_id for item in expected_result.expired}
    assert gone & {parse_key(key).backup_id for key in beginning.objects if parse_key(key).kind is KeyKind.EVIDENCE}
    assert not gone & {parse_key(item.key).backup_id for item in undisturbed.store.list("sources/app/backups/")}

    changes = 0
    while True:
        changes += 1
        built = beginning.fresh(tmp_path, changes)
        died = crash(built, changes, monkeypatch)
        check_nothing_is_lost(built, beginning)
        clean_up(built)
        assert end_state(built) == expected, f"after a crash at change {changes}"
        built.catalog.close()
        if not died:
            break

    assert changes > 20, "the cleanup makes too few changes for this test to mean anything"
    undisturbed.catalog.close()


@pytest.mark.parametrize("seed", range(3))
def test_many_crashes_in_a_row_still_converge(
    beginning: Beginning, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    undisturbed = beginning.fresh(tmp_path, 0)
    clean_up(undisturbed)
    expected = end_state(undisturbed)
    undisturbed.catalog.close()

    built = beginning.fresh(tmp_path, 1)
    attempts = 0
    while crash(built, 9 + seed + attempts % 2, monkeypatch):
        attempts += 1
        check_nothing_is_lost(built, beginning)
        assert attempts < 50, "no progress"

    assert attempts >= 2
    assert end_state(built) == expected
    built.catalog.close()


@pytest.mark.parametrize(
    "happens",
    [
        pytest.param(lambda built, row: built.catalog.place_hold(row, owner="Bob", reason="case", now=NOW), id="hold"),
        pytest.param(
            lambda built, row: built.catalog.begin_run("restore", "app", exclusive=False, now=NOW, backup_id=row),
            id="restore begins",
        ),
    ],
)
def test_what_happens_between_plan_and_deed_wins(
    beginning: Beginning,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    happens: Callable[[BuiltRepository, str], object],
) -> None:
    built = beginning.fresh(tmp_path, 0)
    dry = run_cleanup(built.repository, built.catalog, POLICY, now=lambda: NOW, dry_run=True)
    first, *others = [item.backup_id for item in dry.expired]

    def plan_then_interfere(*arguments: object) -> object:
        planned = plan_source(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(cleanup, "plan_source", plan_source)
        happens(built, first)
        return planned

    monkeypatch.setattr(cleanup, "plan_source", plan_then_interfere)

    result = clean_up(built)

    assert [item.backup_id for item in result.expired] == others
    assert first in {decision.backup.id for decision in result.kept}
    assert {first, *beginning.precious} <= built.restorable_ids()
    built.catalog.close()
