"""Backups while clients write: each is proven, and none raises a false alarm."""

import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import psycopg
import pytest

from shared.domain.proof import Outcome
from shared.domain.source import DumpPolicy
from shared.operations.backup import ATTEMPTS_WHEN_CHANGED
from shared.postgres.connection import DatabaseAddress
from shared.postgres.dump import DumpRequest, RunningDump, start_dump
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import run_sql
from tests.support.real_backups import RealBackups, open_real_backups

CLIENTS = 4

TABLES = """
CREATE TABLE accounts (id serial PRIMARY KEY, branch int NOT NULL, balance int NOT NULL DEFAULT 0, filler text,
    summary text GENERATED ALWAYS AS (branch || ':' || balance || ':' || length(filler)) STORED);
INSERT INTO accounts (branch, filler) SELECT g % 10, repeat('f', 80) FROM generate_series(1, 20000) g;
CREATE TABLE history (id bigint GENERATED ALWAYS AS IDENTITY, account int REFERENCES accounts, delta int,
    at timestamptz DEFAULT clock_timestamp(), note text, twice int GENERATED ALWAYS AS (delta * 2) STORED)
    PARTITION BY HASH (id);
CREATE TABLE history_0 PARTITION OF history FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE history_1 PARTITION OF history FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE queue (id serial PRIMARY KEY, payload jsonb);
CREATE TABLE emptied (id int, text text, next int GENERATED ALWAYS AS (id + 1) STORED);
CREATE TABLE files (id serial PRIMARY KEY, object oid);
CREATE SEQUENCE tickets CACHE 5;
CREATE SEQUENCE down INCREMENT -3;
CREATE MATERIALIZED VIEW sums AS SELECT branch, sum(balance) AS total FROM accounts GROUP BY branch;
CREATE UNIQUE INDEX ON sums (branch);
CREATE MATERIALIZED VIEW queued AS SELECT count(*) FROM queue;
"""

WORK = (
    "UPDATE accounts SET balance = balance + {n} WHERE id = {n}",
    "INSERT INTO history (account, delta, note) VALUES ({n}, {n}, repeat('h', {n} % 300))",
    "INSERT INTO queue (payload) SELECT jsonb_build_object('n', {n}, 'g', g) FROM generate_series(1, {n} % 50) g",
    "DELETE FROM queue WHERE id IN (SELECT id FROM queue ORDER BY id LIMIT 20)",
    "DELETE FROM history WHERE id % 97 = {n} % 97",
    "SELECT nextval('tickets'), nextval('down')",
    "SELECT setval('tickets', nextval('tickets') + 3)",
    "INSERT INTO files (object) SELECT lo_from_bytea(0, convert_to(repeat('file {n} ', {n} % 3000), 'UTF8'))",
    "WITH f AS (DELETE FROM files WHERE id = (SELECT min(id) FROM files) RETURNING *) SELECT lo_unlink(object) FROM f",
    "SELECT lo_put(object, {n}, 'changed') FROM files ORDER BY random() LIMIT 1",
    "INSERT INTO emptied SELECT g, 't' FROM generate_series(1, {n} % 200) g",
    "TRUNCATE emptied",
    "BEGIN; TRUNCATE emptied RESTART IDENTITY; INSERT INTO emptied VALUES ({n}, 'only'); COMMIT",
    "CREATE TEMPORARY TABLE scratch_{n} ON COMMIT DROP AS SELECT * FROM accounts LIMIT 10",
    "BEGIN; UPDATE accounts SET filler = 'rolled back' WHERE branch = {n} % 10; ROLLBACK",
    "REFRESH MATERIALIZED VIEW CONCURRENTLY sums",
    "REFRESH MATERIALIZED VIEW queued",
    "UPDATE accounts SET filler = repeat('g', {n} % 120) WHERE id BETWEEN {n} AND {n} + 30",
    "ANALYZE accounts",
    "VACUUM queue",
)
EXPECTED = (
    psycopg.errors.DeadlockDetected,  # clients meet each other
    psycopg.errors.UndefinedObject,  # a large object that another client has just removed
    psycopg.errors.LockNotAvailable,
    psycopg.errors.SerializationFailure,
    psycopg.errors.UniqueViolation,
    psycopg.errors.ObjectNotInPrerequisiteState,
)


class Writers:
    """Clients that write until they are told to stop."""

    def __init__(self, address: DatabaseAddress) -> None:
        self._address = address
        self._stop = threading.Event()
        self.statements = 0
        self.problems: list[BaseException] = []
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(CLIENTS)]

    @contextmanager
    def writing(self) -> Iterator["Writers"]:
        """Write while the context is open."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            for thread in self._threads:
                thread.join()

    def _write(self, number: int) -> None:
        chance = random.Random(number)
        try:
            with self._address.connect() as connection:
                connection.execute("SET search_path = public")
                while not self._stop.is_set():
                    self._one(connection, chance)
        except psycopg.Error as error:
            self.problems.append(error)

    def _one(self, connection: "psycopg.Connection[tuple[object, ...]]", chance: random.Random) -> None:
        statement = chance.choice(WORK).format(n=chance.randint(1, 20000))
        try:
            for part in statement.split("; "):
                connection.execute(part.encode())
        except EXPECTED:
            connection.rollback()
            connection.execute("ROLLBACK")
        self.statements += 1
        self._stop.wait(chance.random() * 0.004)


@pytest.fixture
def backups(tmp_path: Path, toolsets: Sequence[Toolset]) -> Iterator[RealBackups]:
    made = open_real_backups(tmp_path, toolsets)
    yield made
    made.catalog.close()


@pytest.mark.parametrize("count", [pytest.param(5, id="five"), pytest.param(50, id="fifty", marks=pytest.mark.slow)])
def test_backups_under_write_load_are_all_proven(backups: RealBackups, database: DatabaseAddress, count: int) -> None:
    run_sql(database, TABLES)
    alarms, rows, seen = [], set[int](), 0
    with Writers(database).writing() as writers:
        for _ in range(count):
            manifest = backups.back_up(database)
            report = backups.test(manifest)
            if report.result.outcome is not Outcome.PASSED:
                alarms.append((report.result.findings, report.result.not_measured))
            rows.add(manifest.row_count)
            assert writers.statements > seen, f"nobody writes: {writers.problems}"
            seen = writers.statements
    assert alarms == []
    assert writers.problems == []
    assert len(rows) > 1, "the backups are all of one moment"
    print(f"{count} backups proven while {CLIENTS} clients ran {seen} statements; false alarms: {len(alarms)}")


def test_the_last_attempt_asks_for_no_lock_twice(
    backups: RealBackups, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parallel jobs are refused a table that somebody waits for: at the last attempt that would end the backup."""
    run_sql(database, TABLES)
    jobs: list[int] = []

    def start(request: DumpRequest, folder: Path) -> AbstractContextManager[RunningDump]:
        jobs.append(request.policy.jobs)
        return start_dump(request, folder)

    def change(*_connections: object) -> list[str]:
        return ["public.emptied"]

    monkeypatch.setattr("shared.operations.backup.start_dump", start)
    monkeypatch.setattr("shared.operations.backup.find_replaced", change)

    assert backups.back_up(database).row_count
    assert jobs == [*[DumpPolicy().jobs] * (ATTEMPTS_WHEN_CHANGED - 1), 1]
    assert DumpPolicy().jobs > 1
