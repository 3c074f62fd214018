"""The snapshot: one instant, exported, with the server's time and ours."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from shared.clock import utc_now
from shared.errors import SourceRefused
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import read_tables
from shared.postgres.snapshot import open_snapshot
from tests.support.postgres_servers import run_sql


def test_snapshot_shows_nothing_that_is_committed_later(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)")
    with open_snapshot(database) as snapshot:
        run_sql(database, "INSERT INTO public.t VALUES (2); CREATE TABLE public.later (a int)")
        assert snapshot.connection.execute("SELECT count(*) FROM public.t").fetchone() == (1,)
        assert [table.name for table in read_tables(snapshot.connection)] == ["t"]


def test_another_session_can_take_the_exported_snapshot(database: DatabaseAddress) -> None:
    run_sql(database, "CREATE TABLE t (a int)")
    with open_snapshot(database) as snapshot, database.connect() as other:
        run_sql(database, "INSERT INTO public.t VALUES (1)")
        other.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        other.execute(f"SET TRANSACTION SNAPSHOT '{snapshot.snapshot_id}'".encode())
        assert other.execute("SELECT count(*) FROM public.t").fetchone() == (0,)


def test_recovery_point_is_not_later_than_anything_missing(database: DatabaseAddress) -> None:
    with open_snapshot(database) as snapshot:
        (after,) = run_sql(database, "SELECT clock_timestamp()")[0]
    assert snapshot.at.tzinfo is UTC
    assert snapshot.at < after < snapshot.at + timedelta(minutes=1)
    assert snapshot.lsn.count("/") == 1
    assert not snapshot.is_standby
    assert snapshot.warnings == ()


@pytest.mark.parametrize(("ahead", "word"), [(timedelta(minutes=5), "behind"), (timedelta(minutes=-5), "ahead of")])
def test_clock_skew_is_measured_and_told(database: DatabaseAddress, ahead: timedelta, word: str) -> None:
    def clock() -> datetime:
        return utc_now() + ahead

    with open_snapshot(database, clock=clock) as snapshot:
        pass
    assert abs(snapshot.clock_skew + ahead) < timedelta(seconds=10)
    (warning,) = snapshot.warnings
    assert warning == f"the source's clock is 5 min {word} this machine's"


def test_snapshot_refuses_writes_and_leaves_no_session(database: DatabaseAddress) -> None:
    with open_snapshot(database) as snapshot:
        with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
            snapshot.connection.execute("CREATE TABLE public.t (a int)")
        process = snapshot.connection.info.backend_pid
    assert snapshot.connection.closed
    left = run_sql(database, f"SELECT pg_sleep(0.2); SELECT count(*) FROM pg_stat_activity WHERE pid = {process}")
    assert left == [(0,)]


def test_error_of_the_work_is_not_hidden_by_a_server_that_is_gone(database: DatabaseAddress) -> None:
    def work() -> None:
        with open_snapshot(database) as snapshot:
            run_sql(database, f"SELECT pg_terminate_backend({snapshot.connection.info.backend_pid})")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        work()


def test_snapshot_is_taken_as_the_dump_role(database: DatabaseAddress) -> None:
    run_sql(database, 'CREATE ROLE "dump ""role"""')
    with open_snapshot(database, role='dump "role"') as snapshot:
        assert snapshot.connection.execute("SELECT current_user::text").fetchone() == ('dump "role"',)
    run_sql(database, 'DROP ROLE "dump ""role"""')
    with (
        pytest.raises(SourceRefused, match="cannot become the dump role absent"),
        open_snapshot(database, role="absent"),
    ):
        pass
