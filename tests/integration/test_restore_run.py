"""pg_restore run for real: phases, messages, use-lists, one transaction, and a hang that is noticed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.clock import monotonic_seconds
from shared.errors import ProgramStalled
from shared.postgres.archive import read_toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.process import run_program
from shared.postgres.restore import RestoreOptions, RestoreRun, run_pg_restore, write_use_list
from shared.postgres.restore_messages import Verdict
from tests.support.postgres_servers import PostgresServer, ServerOf, run_sql

LOAD = """
SET search_path = public;
CREATE TABLE a AS SELECT g AS id, 'row ' || g AS text FROM generate_series(1, 20000) g;
CREATE TABLE b AS SELECT g AS id FROM generate_series(1, 10) g;
ALTER TABLE a ADD PRIMARY KEY (id);
CREATE INDEX a_text ON a (text);
SELECT lo_from_bytea(4711, 'large');
"""


def dump_of(server: PostgresServer, address: DatabaseAddress, folder: Path) -> Path:
    with address.child_environment() as environment:
        argv: list[str | Path] = [
            server.toolset.program("pg_dump"),
            "-Fd",
            "-Z0",
            "-f",
            folder,
            "-d",
            "service=goldcopy",
        ]
        result = run_program(argv, environment=environment, timeout_seconds=120)
    assert result.exit_code == 0, result.stderr_tail
    return folder


@pytest.fixture(scope="module")
def dump(postgres_server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    address = postgres_server.new_database()
    run_sql(address, LOAD)
    yield dump_of(postgres_server, address, tmp_path_factory.mktemp("run") / "dump")
    postgres_server.drop_database(address)


def restore(
    server: PostgresServer, dump: Path, address: DatabaseAddress, options: RestoreOptions | None = None
) -> tuple[RestoreRun, list[tuple[int, int | None]]]:
    steps: list[tuple[int, int | None]] = []
    run = run_pg_restore(
        server.toolset,
        dump,
        address,
        options or RestoreOptions(),
        on_progress=lambda _step, done, total: steps.append((done, total)),
    )
    return run, steps


@pytest.mark.parametrize(
    "options", [RestoreOptions(jobs=1), RestoreOptions(single_transaction=True)], ids=["jobs", "one"]
)
def test_a_restore_tells_phases_and_progress(
    postgres_server: PostgresServer, dump: Path, database: DatabaseAddress, options: RestoreOptions
) -> None:
    run, steps = restore(postgres_server, dump, database, options)
    assert (run.exit_code, run.messages) == (0, ())
    assert run.phases_seconds["restore_data"] > 0
    assert run.phases_seconds["restore_indexes"] > 0
    done = [count for count, _ in steps]
    assert done == sorted(done)
    assert 5 < done[-1] <= (steps[-1][1] or 0) + 5


def test_one_job_is_never_used(postgres_server: PostgresServer, tmp_path: Path, database: DatabaseAddress) -> None:
    # Small rows that a plain restore would put into the holes that large ones leave at the end of pages.
    source = postgres_server.new_database()
    run_sql(
        source,
        "CREATE TABLE public.t AS SELECT g AS id, repeat('x', CASE WHEN g % 3 = 0 THEN 3000 ELSE 20 END) AS pad "
        "FROM generate_series(1, 3000) g",
    )
    folder = dump_of(postgres_server, source, tmp_path / "dump")
    restore(postgres_server, folder, database, RestoreOptions(jobs=1))
    order = "SELECT string_agg(id::text, ',' ORDER BY ctid) FROM public.t"
    assert run_sql(database, order) == run_sql(source, order)


def test_errors_are_collected_and_row_data_is_not(
    postgres_server: PostgresServer, dump: Path, database: DatabaseAddress
) -> None:
    run_sql(database, "CREATE TABLE public.a (id int UNIQUE, text text); INSERT INTO public.a VALUES (5, 'in the way')")
    # In order: jobs that write to one stream at once may cut each other's lines, rarely.
    run, _ = restore(postgres_server, dump, database, RestoreOptions(in_order=True))
    assert run.exit_code == 1
    texts = [message.text for message in run.messages if message.verdict is Verdict.UNKNOWN]
    assert any('relation "a" already exists' in text for text in texts)
    assert any("duplicate key value violates unique constraint" in text for text in texts)
    assert "row 5" not in repr(run)
    assert run_sql(database, "SELECT count(*) FROM public.b") == [(10,)]  # it went on


def test_one_transaction_leaves_nothing_behind(
    postgres_server: PostgresServer, dump: Path, database: DatabaseAddress
) -> None:
    run_sql(database, "CREATE TABLE public.b (id int)")
    run, _ = restore(postgres_server, dump, database, RestoreOptions(single_transaction=True))
    assert Verdict.UNKNOWN in {message.verdict for message in run.messages}
    assert run_sql(database, "SELECT relname FROM pg_class WHERE relname IN ('a', 'b')") == [("b",)]
    assert run_sql(database, "SELECT count(*) FROM pg_largeobject_metadata") == [(0,)]


def test_a_use_list_leaves_entries_out(
    postgres_server: PostgresServer, dump: Path, database: DatabaseAddress, tmp_path: Path
) -> None:
    entries = [
        entry for entry in read_toc(dump / "toc.dat").entries if entry.tag != "b" and "BLOB" not in entry.description
    ]
    options = RestoreOptions(use_list=write_use_list(tmp_path / "use.list", entries))
    run, _ = restore(postgres_server, dump, database, options)
    assert run.messages == ()
    assert run_sql(database, "SELECT relname FROM pg_class WHERE relname IN ('a', 'b')") == [("a",)]


def test_a_setting_that_an_older_server_does_not_know_is_expected(postgres_server_of: ServerOf, dump: Path) -> None:
    older = postgres_server_of(15)
    address = older.new_database()
    newer = postgres_server_of(17)
    run = run_pg_restore(newer.toolset, dump, address, RestoreOptions(), on_progress=lambda *_: None)
    assert run.exit_code == 1
    assert {message.verdict for message in run.messages} == {Verdict.EXPECTED}
    assert run_sql(address, "SELECT count(*) FROM public.a") == [(20000,)]
    older.drop_database(address)


def test_a_restore_that_waits_for_a_lock_is_ended(
    postgres_server: PostgresServer, dump: Path, database: DatabaseAddress
) -> None:
    began = monotonic_seconds()
    with database.connect(autocommit=False) as holder:
        holder.execute("CREATE TABLE public.a (id int)")  # not committed: the same name has to wait
        with pytest.raises(ProgramStalled, match="no progress"):
            restore(postgres_server, dump, database, RestoreOptions(stall_seconds=2))
        holder.rollback()
    assert monotonic_seconds() - began < 30


def test_a_restore_that_works_in_silence_is_not_ended(
    postgres_server: PostgresServer, tmp_path: Path, database: DatabaseAddress
) -> None:
    source = postgres_server.new_database()
    run_sql(
        source,
        "SET search_path = public; CREATE TABLE t AS SELECT 1 AS id;"
        "CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_catalog.pg_sleep(4); RETURN $1; END $$; CREATE INDEX ON t (slow(id))",
    )
    folder = dump_of(postgres_server, source, tmp_path / "dump")
    run, _ = restore(postgres_server, folder, database, RestoreOptions(stall_seconds=1))
    assert run.messages == ()


def test_a_server_that_goes_away_is_no_fault_of_the_backup(
    postgres_server: PostgresServer, tmp_path: Path, database: DatabaseAddress
) -> None:
    source = postgres_server.new_database()
    run_sql(
        source,
        "SET search_path = public; CREATE TABLE t AS SELECT 1 AS id; CREATE FUNCTION die(int) RETURNS int IMMUTABLE "
        "LANGUAGE plpgsql AS $$ BEGIN IF current_database() = '"
        + database.database
        + "' THEN PERFORM pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid()); END IF; RETURN $1; END $$;"
        "CREATE INDEX ON t (die(id))",
    )
    folder = dump_of(postgres_server, source, tmp_path / "dump")
    run, _ = restore(postgres_server, folder, database)
    assert {Verdict.FATAL} <= {message.verdict for message in run.messages} <= {Verdict.FATAL, Verdict.EXPECTED}
