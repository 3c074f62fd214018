"""Databases in other encodings than UTF-8 are proven and restored like any other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from shared.domain.manifest import ServerFacts
from shared.domain.proof import Outcome
from shared.postgres.connection import DatabaseAddress
from shared.postgres.scratch import create_database
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import PostgresServer, run_sql
from tests.support.real_backups import open_real_backups

LETTERS = {"LATIN1": "äé", "EUC_JP": "日本", "SQL_ASCII": "äé"}


def database(server: PostgresServer, name: str, encoding: str) -> DatabaseAddress:
    facts = ServerFacts(
        server_version="",
        server_version_num=server.major * 10000,
        database=name,
        encoding=encoding,
        collate="C",
        ctype="C",
    )
    return create_database(server.address, name, server=facts)[0]


@pytest.fixture(params=LETTERS)
def encoding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def pair(postgres_server: PostgresServer, encoding: str) -> Iterator[tuple[DatabaseAddress, DatabaseAddress]]:
    made = tuple(database(postgres_server, f"{role}_{encoding.lower()}", encoding) for role in ("from", "into"))
    yield made[0], made[1]
    for address in made:
        postgres_server.drop_database(address)


def test_names_and_rows_beyond_ascii_are_proven_and_restored(
    pair: tuple[DatabaseAddress, DatabaseAddress], encoding: str, tmp_path: Path, toolsets: Sequence[Toolset]
) -> None:
    source, destination = pair
    word = LETTERS[encoding]
    run_sql(
        source,
        f'CREATE SCHEMA "s{word}"; CREATE TABLE "s{word}"."t{word}" (id serial, "c{word}" text);'
        f'INSERT INTO "s{word}"."t{word}" ("c{word}") SELECT \'{word}\' || g FROM generate_series(1, 10) g;'
        f'COMMENT ON TABLE "s{word}"."t{word}" IS \'{word}\';',
    )
    backups = open_real_backups(tmp_path, toolsets)
    manifest = backups.back_up(source)
    report = backups.test(manifest)
    assert (report.result.outcome, report.result.findings) == (Outcome.PASSED, ())
    restored = backups.restore(manifest, destination, f"s{word}.t{word}", source=source)
    assert restored.outcome is Outcome.PASSED, restored.findings
    assert restored.rows_restored == 10
    backups.catalog.close()
