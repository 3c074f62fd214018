"""What an open transaction does to a table when a backup begins must not make the backup hold less than was there."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from shared.postgres.connection import DatabaseAddress
from tests.support.faults import await_true
from tests.support.site import MakeSite

ROWS = 20_000
REFILL = f"TRUNCATE rates; INSERT INTO rates SELECT g, g FROM generate_series(1, {ROWS}) g"
REWRITE = "ALTER TABLE rates ALTER COLUMN r TYPE bigint USING r + 1"
SWAP = "ALTER TABLE rates RENAME TO old; ALTER TABLE spare RENAME TO rates"


@contextmanager
def in_flight(address: DatabaseAddress, statements: str) -> Iterator[None]:
    """Hold a transaction open with these statements; it commits once a backup waits for its lock."""
    with address.connect(autocommit=False) as connection, address.connect() as onlooker:
        connection.execute("SET search_path = public")
        for statement in statements.split("; "):
            connection.execute(statement.encode())

        def commit_when_awaited() -> None:
            query = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation'"
            await_true("a backup that waits", lambda: onlooker.execute(query).fetchone() != (0,))
            connection.commit()

        waiting = threading.Thread(target=commit_when_awaited)
        waiting.start()
        try:
            yield
        finally:
            waiting.join()


@pytest.mark.parametrize("statements", [REFILL, REWRITE, SWAP], ids=["refill", "rewrite", "swap"])
def test_table_that_changes_while_a_backup_begins_is_backed_up_whole(
    make_site: MakeSite, database: DatabaseAddress, statements: str
) -> None:
    with database.connect() as connection:
        connection.execute(f"CREATE TABLE public.rates AS SELECT g AS id, g AS r FROM generate_series(1, {ROWS}) g")
        connection.execute("CREATE TABLE public.spare AS SELECT g AS id, -g AS r FROM generate_series(1, 7) g")
    site = make_site(app=database)
    with in_flight(database, statements):
        made = site.goldcopy("backup", "app", "--json")
    assert made.exit_code == 0, made.stderr
    assert made.document["row_count"] == ROWS + 7
    tested = site.goldcopy("restore-test", "app", "--json")
    assert (tested.exit_code, tested.document["rows_proven"]) == (0, ROWS + 7), tested.stdout


def test_rows_of_a_table_that_an_extension_owns_are_named_as_left_out(
    make_site: MakeSite, database: DatabaseAddress
) -> None:
    with database.connect() as connection:
        connection.execute("CREATE EXTENSION hstore SCHEMA public")
        connection.execute("CREATE TABLE public.queue AS SELECT 1 AS id")
        connection.execute("CREATE TABLE public.unused (id int)")
        connection.execute("ALTER EXTENSION hstore ADD TABLE public.queue")
        connection.execute("ALTER EXTENSION hstore ADD TABLE public.unused")
    site = make_site(app=database)
    made = site.goldcopy("backup", "app", "--json")
    assert [item["object"] for item in made.document["excluded"]] == ["rows of public.queue"]
    assert "public.queue belongs to the extension hstore" in " ".join(made.document["warnings"])


def test_server_that_passes_over_damaged_pages_is_refused(make_site: MakeSite, database: DatabaseAddress) -> None:
    with database.connect() as connection:
        connection.execute("CREATE TABLE public.t AS SELECT 1 AS id")
        name = connection.info.dbname
        connection.execute(f'ALTER DATABASE "{name}" SET zero_damaged_pages = on'.encode())
    refused = make_site(app=database).goldcopy("backup", "app", "--json")
    assert refused.exit_code == 3
    assert "zero_damaged_pages is on" in refused.stderr + refused.stdout
