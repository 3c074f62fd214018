"""What is read back from a database is, byte for byte, what pg_dump wrote of it."""

import hmac
from collections.abc import Sequence
from pathlib import Path

import pytest

from shared.domain.manifest import ServerFacts, TableRecord
from shared.errors import ProgramFailed
from shared.postgres.archive import Toc, read_toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.facts import read_tables
from shared.postgres.multiset import END_MARKER
from shared.postgres.process import run_program
from shared.postgres.readback import TableReader, UnreadTable, copy_text, read_large_objects, read_sequence_values
from shared.postgres.scratch import create_database
from shared.postgres.tools import Toolset
from tests.support.nasty_database import (
    BIG_LARGE_OBJECT,
    EMPTY_LARGE_OBJECT,
    SPARSE_LARGE_OBJECT,
    build_nasty_database,
)
from tests.support.postgres_servers import PostgresServer, ServerOf, run_sql

KEY = b"k" * 32


def dump(toolset: Toolset, address: DatabaseAddress, folder: Path) -> Toc:
    with address.child_environment() as environment:
        result = run_program(
            [toolset.program("pg_dump"), "-Fd", "-Z0", "-f", folder, "-d", "service=goldcopy"],
            environment=environment,
            timeout_seconds=120,
        )
    assert result.exit_code == 0, result.stderr_tail
    return read_toc(folder / "toc.dat")


def records(address: DatabaseAddress, toc: Toc, folder: Path, plain_bytes: int | None = None) -> list[TableRecord]:
    with address.connect() as connection:
        tables = {table.oid: table for table in read_tables(connection)}
    made = []
    for path, entry in toc.data_files().items():
        text = (folder / path).read_bytes().removesuffix(END_MARKER)
        table = tables[entry.oid]
        made.append(
            TableRecord(
                schema=table.schema,
                name=table.name,
                columns=table.columns,
                rows=text.count(b"\n"),
                plain_bytes=len(text) if plain_bytes is None else plain_bytes,
                fingerprint=hmac.new(KEY, text, "sha256").hexdigest(),
                file=path,
            )
        )
    return made


def differing(tables: Sequence[TableRecord], reader: TableReader) -> list[str]:
    readings = reader.read_all(tables, on_read=lambda _table: None)
    pairs = zip(tables, readings, strict=True)
    return [
        table.name
        for table, reading in pairs
        if isinstance(reading, UnreadTable) or (reading.rows, reading.fingerprint) != (table.rows, table.fingerprint)
    ]


@pytest.mark.parametrize("major", [15, 17, 18])
def test_every_table_reads_as_it_was_dumped(postgres_server_of: ServerOf, tmp_path: Path, major: int) -> None:
    server = postgres_server_of(major)
    address = server.new_database()
    build_nasty_database(address)
    toc = dump(server.toolset, address, tmp_path / "dump")
    tables = records(address, toc, tmp_path / "dump")
    assert len(tables) > 18
    reader = TableReader(server.toolset, address, KEY, "UTF8")
    assert differing(tables, reader) == []
    # Once more through psql, as large tables are read.
    large = records(address, toc, tmp_path / "dump", plain_bytes=1 << 30)
    assert differing(large, TableReader(server.toolset, address, KEY, "UTF8")) == []
    server.drop_database(address)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "EUC_JP"])
@pytest.mark.parametrize("plain_bytes", [0, 1 << 30], ids=["connection", "psql"])
def test_other_encodings_read_as_they_were_dumped(
    postgres_server: PostgresServer, tmp_path: Path, encoding: str, plain_bytes: int
) -> None:
    facts = ServerFacts(
        server_version="",
        server_version_num=postgres_server.major * 10000,
        database="",
        encoding=encoding,
        collate="C",
        ctype="C",
    )
    address, _notes = create_database(postgres_server.address, f"in_{encoding.lower()}_{plain_bytes}", server=facts)
    letters = {"LATIN1": "äé", "SQL_ASCII": "äé", "EUC_JP": "日本"}[encoding]
    run_sql(address, f'CREATE TABLE public."t{letters}" ("c{letters}" text)')
    run_sql(address, f"INSERT INTO public.\"t{letters}\" VALUES ('{letters}'), ('plain')")
    toc = dump(postgres_server.toolset, address, tmp_path / "dump")
    tables = records(address, toc, tmp_path / "dump", plain_bytes)
    assert differing(tables, TableReader(postgres_server.toolset, address, KEY, encoding)) == []
    postgres_server.drop_database(address)


def test_settings_of_the_database_do_not_change_what_is_read(
    postgres_server: PostgresServer, database: DatabaseAddress, tmp_path: Path
) -> None:
    run_sql(
        database,
        "CREATE TABLE public.t AS SELECT now() AS at, '\\x00ff'::bytea AS b, 0.1::float8 / 3 AS f,"
        " interval '1 mon 2 h' AS i, 1234.5::money AS m",
    )
    toc = dump(postgres_server.toolset, database, tmp_path / "dump")
    for setting in (
        "bytea_output = escape", "timezone = 'Asia/Tokyo'", "datestyle = 'German'", "intervalstyle = iso_8601",
        "extra_float_digits = 0", "row_security = on", "default_transaction_read_only = on",
    ):  # fmt: skip
        run_sql(database, f'ALTER DATABASE "{database.database}" SET {setting}')
    for plain_bytes in (0, 1 << 30):
        tables = records(database, toc, tmp_path / "dump", plain_bytes)
        assert differing(tables, TableReader(postgres_server.toolset, database, KEY, "UTF8")) == []


@pytest.mark.parametrize("plain_bytes", [0, 1 << 30], ids=["connection", "psql"])
def test_a_missing_table_is_told_from_one_that_is_refused(
    postgres_server: PostgresServer, database: DatabaseAddress, plain_bytes: int
) -> None:
    run_sql(
        database,
        "CREATE TABLE public.t (id int); DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN PASSWORD 'weak weak'",
    )
    gone = TableRecord(
        schema="public", name="gone", columns=("id",), rows=0, plain_bytes=plain_bytes, fingerprint="", file="1.dat"
    )
    there = TableRecord(
        schema="public", name="t", columns=("id",), rows=0, plain_bytes=plain_bytes, fingerprint="", file="2.dat"
    )
    weak = DatabaseAddress({**database.parameters, "user": "weak", "password": "weak weak"})
    found = TableReader(postgres_server.toolset, weak, KEY, "UTF8").read_all([gone, there], on_read=lambda _table: None)
    assert [isinstance(item, UnreadTable) and item.is_missing for item in found] == [True, False]
    assert all(isinstance(item, UnreadTable) for item in found)


def test_a_failing_psql_is_an_error(postgres_server: PostgresServer, database: DatabaseAddress) -> None:
    with (
        pytest.raises(ProgramFailed, match="division by zero"),
        copy_text(postgres_server.toolset, database, "COPY (SELECT 1 / 0) TO STDOUT", "UTF8", 150000) as chunks,
    ):
        list(chunks)


def test_large_objects_are_read_by_content(
    postgres_server: PostgresServer, database: DatabaseAddress, tmp_path: Path
) -> None:
    build_nasty_database(database)
    run_sql(
        database, "SELECT lo_from_bytea(700000 + g, convert_to('many ' || g, 'UTF8')) FROM generate_series(1, 1500) g"
    )
    dump(postgres_server.toolset, database, tmp_path / "dump")
    with database.connect() as connection:
        readings = {item.oid: item for item in read_large_objects(connection, KEY)}
    files = {int(path.stem.removeprefix("blob_")): path for path in (tmp_path / "dump").glob("blob_*.dat")}
    assert readings.keys() == files.keys() > {SPARSE_LARGE_OBJECT, EMPTY_LARGE_OBJECT, BIG_LARGE_OBJECT}
    for oid, path in files.items():
        content = path.read_bytes()
        assert readings[oid].plain_bytes == len(content)
        assert readings[oid].fingerprint == hmac.new(KEY, content, "sha256").hexdigest()


def test_sequences_are_read_with_their_direction(database: DatabaseAddress) -> None:
    run_sql(
        database,
        "CREATE SEQUENCE public.down INCREMENT -5 START 100 MAXVALUE 100; SELECT nextval('public.down');"
        "CREATE SEQUENCE public.round MAXVALUE 3 CYCLE; CREATE SEQUENCE public.fresh START 42",
    )
    with database.connect() as connection:
        found = {item.name: item for item in read_sequence_values(connection)}
    assert (found["down"].last_value, found["down"].is_called, found["down"].increment) == (100, True, -5)
    assert found["round"].cycles
    assert (found["fresh"].last_value, found["fresh"].is_called) == (42, False)
