"""A backup that dies after any of its writes leaves nothing half-done, and the next one converges."""

from pathlib import Path

import pytest

from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.source import Source
from shared.operations.backup import BackupPlace, BackupRequest, run_backup
from shared.operations.progress import no_progress
from shared.postgres.connection import DatabaseAddress
from shared.postgres.tools import Toolset
from shared.repository.repository import Repository
from shared.repository.sealing import make_identity
from shared.repository.store import ObjectStore
from tests.integration.test_cleanup_crash import CrashingDatabase, CrashingStore, Fuse
from tests.support.faulty_store import MemoryStore, SimulatedCrash
from tests.support.postgres_servers import run_sql


class Scene:
    """One source, one repository in memory, one catalog; runs can be killed after their k-th write."""

    def __init__(self, folder: Path, address: DatabaseAddress, toolsets: tuple[Toolset, ...]) -> None:
        self._folder, self._address, self._toolsets = folder, address, toolsets
        _private, self.recipient = make_identity()
        self.store = MemoryStore()
        self.key = Repository.create(self.store, [self.recipient], now=utc_now()).fingerprint_key
        self.catalog = self.open_catalog()

    def open_catalog(self) -> Catalog:
        return open_catalog(f"sqlite:///{self._folder / 'catalog.db'}")

    def repository(self, store: ObjectStore | None = None) -> Repository:
        return Repository.open(store or self.store, fingerprint_key=self.key)

    def back_up(self, fuse: Fuse | None = None) -> str:
        catalog = self.open_catalog()
        repository = self.repository()
        if fuse is not None:
            catalog = Catalog(CrashingDatabase(catalog._database, fuse), "tester")
            repository = self.repository(CrashingStore(self.store, fuse))
        place = BackupPlace(
            repository=repository,
            catalog=catalog,
            toolsets=self._toolsets,
            recipients=(self.recipient,),
            scratch_folder=self._folder / "scratch",
            upload_threads=1,
            tool_version="test",
        )
        request = BackupRequest(source=Source(name="app"), address=self._address, kind=BackupKind.MANUAL)
        try:
            return run_backup(request, place, now=utc_now, on_progress=no_progress).manifest.backup_id
        finally:
            catalog.close()

    def change_source(self, number: int) -> None:
        """So that every run has a small and a large table to store."""
        run_sql(self._address, f"insert into t values (-{number}, 'new'); update wide set g = g + 1 where g < 3")

    def let_the_dead_go(self) -> None:
        """This process lives on, so its runs are closed as a look at a dead process would."""
        with self.catalog._database.writing() as connection:
            connection.exec_driver_sql("update run set pid = 999999999 where state = 'running'")
        self.catalog.reclaim_lost_runs(utc_now())


@pytest.fixture
def scene(tmp_path: Path, database: DatabaseAddress, toolsets: tuple[Toolset, ...]) -> Scene:
    run_sql(database, "create table t as select g, md5(g::text) from generate_series(1, 2000) g")
    run_sql(database, "create table wide as select g, repeat(md5(g::text), 60) from generate_series(1, 40000) g")
    return Scene(tmp_path, database, toolsets)


def test_after_a_crash_at_any_write_the_invariants_hold_and_the_next_run_converges(scene: Scene) -> None:
    writes = 0
    while True:
        writes += 1
        scene.change_source(writes)
        before = set(scene.repository().list_backup_ids("app"))
        try:
            scene.back_up(Fuse(writes))
        except SimulatedCrash:
            pass
        else:
            break  # the fuse outlived the run: every write was a point of death once
        stored = scene.repository().list_backup_ids("app")
        everything = scene.repository().read_all("app")
        assert everything.unreadable == (), f"died after write {writes}"
        for manifest in everything.manifests:
            assert all(record.key in scene.store.objects for record in manifest.objects), f"died after write {writes}"
        complete = {row.id for row in scene.catalog.backups("app", statuses=[BackupStatus.COMPLETE])}
        assert complete <= set(stored), f"the catalog knows a backup without manifest; died after write {writes}"
        assert len(set(stored) - before) <= 1
        scene.let_the_dead_go()
        good = scene.back_up()
        rows = {row.id: row.status for row in scene.catalog.backups("app")}
        assert rows[good] is BackupStatus.COMPLETE
        assert {key for key, status in rows.items() if status is BackupStatus.COMPLETE} == set(
            scene.repository().list_backup_ids("app")
        ), f"catalog and repository differ after write {writes}"
        assert BackupStatus.RUNNING not in rows.values()
        assert not list((scene._folder / "scratch").glob("dump-*"))
    assert writes >= 8
