"""Runs are locks: one exclusive run per source, and the dead let go."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text

from shared.catalog import process_identity
from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.process_identity import LOST_BEFORE_RESTART, LOST_ELSEWHERE
from shared.catalog.records import CleanupState, RunRow, RunState
from shared.clock import monotonic_seconds, utc_now, wait
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.errors import BackupUnknown, CatalogProblem, Interrupted, RunConflict, SourceUnreachable
from tests.support.catalogs import NOW, Clock, complete, make_id, make_manifest, prove

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


def _begin(catalog: Catalog, operation: str = "backup", source: str = "app", *, exclusive: bool = True) -> RunRow:
    return catalog.begin_run(operation, source, exclusive=exclusive, now=NOW)


def _change_run(catalog_url: str, run: RunRow, assignment: str, **values: str) -> None:
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE run SET {assignment} WHERE id = :id"), {"id": run.id, **values})
    engine.dispose()


def test_second_exclusive_run_is_refused_and_told_who_holds_the_source(catalog: Catalog) -> None:
    run = _begin(catalog)
    with pytest.raises(RunConflict) as caught:
        _begin(catalog, "cleanup")
    message = caught.value.message
    assert "cleanup of app cannot begin: a backup" in message
    assert f"run {run.id}, process {os.getpid()} on {run.host}, since 2026-11-21T02:00:00Z" in message


def test_other_source_shared_run_and_ended_run_do_not_conflict(catalog: Catalog) -> None:
    run = _begin(catalog)
    _begin(catalog, source="other")
    _begin(catalog, "restore-test", exclusive=False)
    _begin(catalog, "restore-test", exclusive=False)
    catalog.finish_run(run, RunState.DONE, NOW + HOUR)
    _begin(catalog, "cleanup")
    assert len(catalog.runs("app", state=RunState.RUNNING)) == 3


def test_of_many_that_begin_at_once_exactly_one_wins(catalog: Catalog) -> None:
    barrier = threading.Barrier(8)
    outcomes: list[str] = []

    def begin() -> None:
        barrier.wait()
        try:
            _begin(catalog)
            outcomes.append("won")
        except RunConflict:
            outcomes.append("refused")

    threads = [threading.Thread(target=begin) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused"] * 7 + ["won"]


def test_claimed_run_is_recorded_as_done(catalog: Catalog) -> None:
    with catalog.claimed_run("backup", "app", exclusive=True, now=Clock(), run_reference="flow-1") as run:
        assert catalog.runs()[0].state is RunState.RUNNING
    (ended,) = catalog.runs()
    assert (ended.id, ended.state, ended.run_reference) == (run.id, RunState.DONE, "flow-1")
    assert ended.finished_at is not None


@pytest.mark.parametrize(
    ("error", "state", "code"),
    [
        (SourceUnreachable("gone", hint="x"), RunState.FAILED, 21),
        (ValueError("secret"), RunState.FAILED, 1),
        (Interrupted("stopped", hint="x"), RunState.INTERRUPTED, 90),
        (KeyboardInterrupt(), RunState.INTERRUPTED, 90),
    ],
)
def test_claimed_run_records_why_it_ended(catalog: Catalog, error: BaseException, state: RunState, code: int) -> None:
    with pytest.raises(type(error)), catalog.claimed_run("backup", "app", exclusive=True, now=Clock()):
        raise error
    (ended,) = catalog.runs()
    assert (ended.state, ended.error_code) == (state, code)
    assert "secret" not in ended.error_message
    _begin(catalog)


def test_claimed_run_gives_signs_of_life(catalog: Catalog) -> None:
    with catalog.claimed_run("backup", "app", exclusive=True, now=Clock(), heartbeat_seconds=0.01) as run:
        deadline = monotonic_seconds() + 20
        while catalog.runs()[0].heartbeat_at <= run.heartbeat_at + 2 * SECOND:
            assert monotonic_seconds() < deadline, "no heartbeat"
            wait(0.02)
    assert threading.active_count() == 1 or all(thread.name != "heartbeat" for thread in threading.enumerate())


def test_first_error_is_not_hidden_by_a_catalog_that_went_away(
    catalog: Catalog, catalog_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone() -> None:
        raise CatalogProblem("the catalog is gone", hint="x")

    def lose_catalog_and_fail() -> None:
        with catalog.claimed_run("backup", "app", exclusive=True, now=Clock()):
            monkeypatch.setattr(catalog._database, "writing", gone)
            raise SourceUnreachable("gone", hint="x")

    with pytest.raises(SourceUnreachable):
        lose_catalog_and_fail()


_HOLDER = """
import sys
from shared.catalog.engine import open_catalog
from shared.clock import utc_now, wait
from shared.domain.backup import BackupKind
catalog = open_catalog(sys.argv[1])
run = catalog.begin_run("backup", "app", exclusive=True, now=utc_now())
catalog.backup_started(backup_id=sys.argv[2], source="app", kind=BackupKind.DAILY, reason="", now=utc_now(), run=run)
print("claimed", flush=True)
wait(600)
"""


@contextmanager
def _holder(catalog_url: str, backup_id: str) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", _HOLDER, catalog_url, backup_id]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "claimed\n"
            yield process
        finally:
            process.kill()


def test_living_process_of_this_host_is_respected_however_silent(catalog: Catalog, catalog_url: str) -> None:
    with _holder(catalog_url, make_id()):
        later = utc_now() + timedelta(days=3)
        assert catalog.reclaim_lost_runs(later) == []
        with pytest.raises(RunConflict):
            catalog.begin_run("backup", "app", exclusive=True, now=later)


def test_killed_holder_lets_go_at_once_and_its_backup_is_failed(catalog: Catalog, catalog_url: str) -> None:
    with _holder(catalog_url, make_id()) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        run = catalog.begin_run("backup", "app", exclusive=True, now=utc_now())
    assert [row.state for row in catalog.runs("app")] == [RunState.RUNNING, RunState.LOST]
    backup = catalog.backup(make_id())
    assert backup.status is BackupStatus.FAILED
    assert "died or fell silent" in backup.error_message
    status = catalog.source_status("app")
    assert status is not None
    assert (status.running_id, status.last_failure_id) == ("", backup.id)
    assert catalog.runs("app")[0].id == run.id


def test_pid_used_again_by_another_process_is_not_mistaken_for_the_holder(catalog: Catalog, catalog_url: str) -> None:
    run = _begin(catalog)
    boot, name_space, _ = run.process_started.split(" ")
    _change_run(catalog_url, run, "process_started = :started", started=f"{boot} {name_space} 1")
    assert [lost.id for lost in catalog.reclaim_lost_runs(NOW)] == [run.id]


def test_holder_of_another_host_is_lost_only_after_long_silence(catalog: Catalog, catalog_url: str) -> None:
    run = _begin(catalog)
    _change_run(catalog_url, run, "host = 'elsewhere'")
    assert catalog.reclaim_lost_runs(NOW + LOST_ELSEWHERE) == []
    assert [lost.id for lost in catalog.reclaim_lost_runs(NOW + LOST_ELSEWHERE + SECOND)] == [run.id]


def test_holder_of_before_a_restart_is_lost_after_short_silence(catalog: Catalog, catalog_url: str) -> None:
    run = _begin(catalog)
    _, name_space, started = run.process_started.split(" ")
    _change_run(catalog_url, run, "process_started = :started", started=f"other-boot {name_space} {started}")
    assert catalog.reclaim_lost_runs(NOW + LOST_BEFORE_RESTART) == []
    assert [lost.id for lost in catalog.reclaim_lost_runs(NOW + LOST_BEFORE_RESTART + SECOND)] == [run.id]


def test_holder_in_another_container_of_the_same_name_is_judged_by_silence(catalog: Catalog, catalog_url: str) -> None:
    run = _begin(catalog)
    boot, _, started = run.process_started.split(" ")
    _change_run(catalog_url, run, "process_started = :started", started=f"{boot} pid:[1] {started}")
    assert catalog.reclaim_lost_runs(NOW + LOST_ELSEWHERE) == []
    assert len(catalog.reclaim_lost_runs(NOW + LOST_ELSEWHERE + SECOND)) == 1


def test_without_process_ids_only_silence_counts(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_identity, "_boot", lambda: "")
    _begin(catalog)
    assert catalog.reclaim_lost_runs(NOW + LOST_ELSEWHERE) == []
    assert len(catalog.reclaim_lost_runs(NOW + LOST_ELSEWHERE + SECOND)) == 1


def test_lost_run_leaves_no_restore_test_running_and_no_plan_open(catalog: Catalog, catalog_url: str) -> None:
    old, _, newest = (complete(catalog, make_manifest(at=NOW + day * timedelta(days=1))) for day in range(3))
    prove(catalog, newest.backup_id, Outcome.PASSED, NOW + timedelta(days=3))
    run = _begin(catalog, "cleanup")
    catalog.record_restore_test_started(test_id="rt", backup_id=newest.backup_id, picked="newest", now=NOW, run=run)
    catalog.plan_cleanup([(old.backup_id, "too old")], run=run, now=NOW)
    _change_run(catalog_url, run, "host = 'elsewhere'")
    catalog.reclaim_lost_runs(NOW + HOUR)
    test = next(test for test in catalog.restore_tests("app") if test.id == "rt")
    assert test.outcome is Outcome.NOT_MEASURED
    assert "died or fell silent" in test.not_measured[0].reason
    assert catalog.backup(newest.backup_id).proven_at is not None
    assert [action.state for action in catalog.cleanup_actions()] == [CleanupState.DROPPED]


def test_two_that_reclaim_at_once_close_a_run_once(catalog: Catalog, catalog_url: str) -> None:
    run = _begin(catalog)
    _change_run(catalog_url, run, "host = 'elsewhere'")
    barrier = threading.Barrier(4)
    closed: list[RunRow] = []

    def reclaim() -> None:
        barrier.wait()
        closed.extend(catalog.reclaim_lost_runs(NOW + HOUR))

    threads = [threading.Thread(target=reclaim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [row.id for row in closed] == [run.id]
    assert [entry.action for entry in catalog.audit_entries()] == ["run.lost"]


def test_heartbeat_says_when_the_run_was_closed_by_others(catalog: Catalog, catalog_url: str) -> None:
    run = _begin(catalog)
    assert catalog.heartbeat(run, NOW + SECOND)
    _change_run(catalog_url, run, "host = 'elsewhere'")
    catalog.reclaim_lost_runs(NOW + HOUR)
    assert not catalog.heartbeat(run, NOW + HOUR)


def test_run_that_reads_a_backup_keeps_it_in_use(catalog: Catalog) -> None:
    backup_id = complete(catalog, make_manifest()).backup_id
    with catalog.claimed_run("restore", "app", exclusive=False, now=Clock(), backup_id=backup_id):
        assert catalog.backups_in_use() == {backup_id}
    assert catalog.backups_in_use() == frozenset()


def test_run_cannot_begin_to_read_a_backup_that_expires(catalog: Catalog) -> None:
    old, middle, newest = (complete(catalog, make_manifest(at=NOW + day * timedelta(days=1))) for day in range(3))
    prove(catalog, newest.backup_id, Outcome.PASSED, NOW + timedelta(days=3))
    catalog.mark_expiring(old.backup_id, "too old", run=None, now=NOW)
    with pytest.raises(BackupUnknown, match="is expiring"):
        catalog.begin_run("restore", "app", exclusive=False, now=NOW, backup_id=old.backup_id)
    with pytest.raises(BackupUnknown, match="is expiring"):
        catalog.record_restore_test_started(test_id="rt", backup_id=old.backup_id, picked="named", now=NOW)
    assert catalog.backup(middle.backup_id).status is BackupStatus.COMPLETE


def test_reading_process_sees_a_backup_of_a_run_only_when_it_is_recorded(catalog: Catalog, catalog_url: str) -> None:
    with open_catalog(catalog_url) as other, catalog.claimed_run("backup", "app", exclusive=True, now=Clock()) as run:
        catalog.backup_started(backup_id=make_id(), source="app", kind=BackupKind.DAILY, reason="", now=NOW, run=run)
        assert other.newest_complete("app") is None
        complete(catalog, make_manifest())
        newest = other.newest_complete("app")
        assert newest is not None
        assert newest.run_id == run.id
