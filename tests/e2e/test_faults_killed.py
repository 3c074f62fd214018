"""Commands that are killed or interrupted anywhere: the next run clears up after the dead and converges."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from shared.clock import wait
from shared.domain.backup import BackupKind
from shared.postgres.connection import DatabaseAddress
from tests.support.faults import await_true, children_of, end, gone, left_in_scratch, no_leak, run_states
from tests.support.postgres_servers import run_sql
from tests.support.site import MakeSite, Site

ROWS = "create table big as select g, md5(g::text) h, repeat(md5((g * 7)::text), 8) t from generate_series(1, 120000) g"
linux_only = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")


@pytest.fixture
def site(make_site: MakeSite, database: DatabaseAddress) -> Site:
    """A site with a source of about 40 MB."""
    run_sql(database, ROWS)
    return make_site(app=database)


def scratch(site: Site, pattern: str) -> list[Path]:
    return list((site.folder / ".goldcopy" / "scratch").glob(pattern))


def stored(site: Site) -> list[Path]:
    return [path for path in site.repository_folder.rglob("*") if path.is_file()]


@contextmanager
def running(site: Site, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    process = site.start(*arguments)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


BACKUP_MOMENTS: dict[str, Callable[[Site], object]] = {
    "as it claims the source": lambda site: (site.folder / ".goldcopy" / "catalog.db").exists(),
    "as the dump folder is made": lambda site: scratch(site, "dump-*.lock"),
    "while it dumps": lambda site: scratch(site, "dump-*/files/*.dat"),
    "while it stores": lambda site: list(site.repository_folder.glob("sources/app/objects/*/*")),
    "as it commits": lambda site: list(site.repository_folder.glob("sources/app/backups/*/files.tsv")),
}


@linux_only
@pytest.mark.parametrize("moment", BACKUP_MOMENTS)
def test_a_backup_that_is_killed_leaves_nothing_for_long(site: Site, moment: str) -> None:
    with running(site, "backup", "app", "--json") as process:
        await_true(moment, lambda: BACKUP_MOMENTS[moment](site) or process.poll() is not None)
        children = [pid for pid, _ in children_of(process.pid)]
        end(process, signal.SIGKILL)
    assert gone(children), "a child outlived its killed parent"
    with site.open() as workspace:
        workspace.back_up("app", BackupKind.MANUAL)
        assert {row["status"] for row in workspace.list_backups()} <= {"failed", "complete"}
        assert workspace.verify().document()["outcome"] == "passed"
        audited = workspace.audit().document()
    assert (audited["missing"], audited["drifted"]) == ([], []), audited
    assert left_in_scratch(site) == []
    assert ("backup", "running") not in run_states(site)


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_takes_its_children_along_and_is_recorded(site: Site, number: signal.Signals) -> None:
    with running(site, "backup", "app", "--json") as process:
        await_true("a dump", lambda: scratch(site, "dump-*/files/toc.dat") or process.poll() is not None)
        children = [pid for pid, _ in children_of(process.pid)]
        assert children
        ended = end(process, number)
    no_leak(site, ended)
    assert ended.exit_code == 130, ended.stderr
    assert ended.document["error"]["hint"]
    assert gone(children, seconds=1)
    assert left_in_scratch(site) == []
    assert run_states(site) == [("backup", "interrupted")]
    with site.open() as workspace:
        assert [row["status"] for row in workspace.list_backups()] == ["failed"]


@linux_only
@pytest.mark.parametrize("pause_seconds", [0.0, 0.2])
def test_an_impatient_second_interrupt_leaves_nothing_either(site: Site, pause_seconds: float) -> None:
    with running(site, "backup", "app", "--json") as process:
        await_true("a dump", lambda: scratch(site, "dump-*/files/toc.dat") or process.poll() is not None)
        children = [pid for pid, _ in children_of(process.pid)]
        process.send_signal(signal.SIGINT)
        wait(pause_seconds)
        ended = end(process, signal.SIGINT)
    no_leak(site, ended)
    assert ended.exit_code in (130, -signal.SIGINT), ended.stderr  # -2: as the interpreter ends
    assert gone(children, seconds=5)
    assert left_in_scratch(site) == []
    assert run_states(site) == [("backup", "interrupted")]
    with site.open() as workspace:
        workspace.back_up("app", BackupKind.MANUAL)
    assert left_in_scratch(site) == []


TEST_MOMENTS: dict[str, Callable[[Site, int], object]] = {
    "while it fetches": lambda site, _pid: scratch(site, "restore-test-*/*"),
    "while it restores": lambda site, pid: [
        name for _, name in children_of(pid) if name == "pg_restore" and scratch(site, "restore-test-*/toc.dat")
    ],
}


@linux_only
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("moment", TEST_MOMENTS)
def test_a_restore_test_that_is_ended_leaves_no_server_and_no_unsealed_rows(
    site: Site, moment: str, number: signal.Signals
) -> None:
    with site.open() as workspace:
        backup_id = workspace.back_up("app", BackupKind.MANUAL).manifest.backup_id
    with running(site, "restore-test", "app", "--json") as process:
        await_true(moment, lambda: TEST_MOMENTS[moment](site, process.pid) or process.poll() is not None)
        children = [pid for pid, _ in children_of(process.pid)]
        ended = end(process, number)
    no_leak(site, ended)
    assert ended.exit_code == (130 if number == signal.SIGINT else -signal.SIGKILL), ended.stderr
    assert gone(children)
    if number == signal.SIGINT:
        assert left_in_scratch(site) == []
        assert run_states(site)[-1] == ("restore-test", "interrupted")
    with site.open() as workspace:
        assert workspace.run_restore_test("app").document()["outcome"] == "passed"
        shown = workspace.show(backup_id)
    assert left_in_scratch(site) == []
    assert sorted(test["outcome"] for test in shown["restore_tests"]) == ["not_measured", "passed"]


@linux_only
def test_what_a_living_backup_works_with_is_left_alone(make_site: MakeSite, database: DatabaseAddress) -> None:
    run_sql(database, ROWS)
    site = make_site(app=database, other=database)
    with running(site, "backup", "app", "--json") as process:
        await_true("a dump", lambda: scratch(site, "dump-*/files/*.dat"))
        process.send_signal(signal.SIGSTOP)
        try:
            folders = scratch(site, "dump-*-app-*")
            with site.open() as workspace:
                workspace.back_up("other", BackupKind.MANUAL)
            assert scratch(site, "dump-*-app-*") == folders
        finally:
            process.send_signal(signal.SIGCONT)
        process.communicate(timeout=60)
        assert process.returncode == 0


@linux_only
@pytest.mark.parametrize("removed", [1, 4])
def test_a_cleanup_that_is_killed_is_taken_up_again(site: Site, database: DatabaseAddress, removed: int) -> None:
    with site.config_path.open("a") as config:
        config.write("retention = { manual = { minimum_count = 1 } }\n")
    with site.open() as workspace:
        for number in range(2):
            workspace.back_up("app", BackupKind.MANUAL)
            run_sql(database, f"update big set t = 'x{number}' where g % 1000 = {number}")
        kept = workspace.back_up("app", BackupKind.MANUAL).manifest.backup_id
        assert workspace.run_restore_test("app").document()["outcome"] == "passed"
    before = len(stored(site))
    with running(site, "cleanup", "--json") as process:
        await_true("a removal", lambda: len(stored(site)) <= before - removed or process.poll() is not None)
        end(process, signal.SIGKILL)
    again = site.goldcopy("cleanup", "--json")
    no_leak(site, again)
    assert again.exit_code == 0, again.stdout
    with site.open() as workspace:
        complete = [row["backup_id"] for row in workspace.list_backups() if row["status"] == "complete"]
        assert workspace.verify().document()["outcome"] == "passed"
        audited = workspace.audit().document()
    assert complete == [kept]
    assert len(list(site.repository_folder.rglob("manifest.json"))) == 1
    assert (audited["missing"], audited["drifted"], audited["orphans"]) == ([], [], [])
