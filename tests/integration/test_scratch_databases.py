"""Databases of a throwaway server: the source's encoding and locale, or a word on what could not match."""

from collections.abc import Iterator

import pytest

from shared.domain.manifest import ServerFacts
from shared.errors import SourceRefused
from shared.postgres.scratch import ScratchServer, create_database, start_scratch
from shared.postgres.tools import Toolset
from tests.support.postgres_servers import SERVERS_FOLDER, PostgresServer, run_sql


@pytest.fixture(scope="module")
def server(postgres_server: PostgresServer) -> Iterator[ScratchServer]:
    with start_scratch(postgres_server.toolset, SERVERS_FOLDER) as running:
        yield running


def facts(encoding: str, collate: str, **more: str) -> ServerFacts:
    return ServerFacts(
        server_version="",
        server_version_num=170000,
        database="shop",
        encoding=encoding,
        collate=collate,
        ctype=more.pop("ctype", collate),
        locale_provider=more.pop("locale_provider", "libc"),
        locale=more.pop("locale", ""),
    )


@pytest.mark.parametrize(
    ("name", "wanted", "matches"),
    [
        ("c_utf8", facts("UTF8", "C.UTF-8"), True),
        ("plain_c", facts("UTF8", "C"), True),
        ("latin1", facts("LATIN1", "C"), True),
        ("win1252", facts("WIN1252", "C"), True),
        ("euc_jp", facts("EUC_JP", "C"), True),
        ("sql_ascii", facts("SQL_ASCII", "C"), True),
        ("klingon", facts("UTF8", "tlh_XX.UTF-8"), False),
        ("klingon_latin", facts("LATIN1", "tlh_XX"), False),
        ("mixed", facts("UTF8", "tlh_XX.UTF-8", ctype="C.UTF-8"), False),
    ],
)
def test_a_database_has_the_sources_encoding_and_says_what_could_not_match(
    server: ScratchServer, name: str, wanted: ServerFacts, matches: bool
) -> None:
    address, notes = create_database(server.address, name, server=wanted)
    assert run_sql(address, "SHOW server_encoding") == [(wanted.encoding,)]
    assert run_sql(address, "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace") == [(0,)]
    assert (notes == ()) is matches
    if matches:
        assert run_sql(address, f"SELECT datcollate FROM pg_database WHERE datname = '{name}'") == [(wanted.collate,)]
    else:
        assert "tlh_XX" in notes[0]
        assert "stood in" in notes[0]


def test_the_builtin_provider_is_used_where_the_source_uses_it(server: ScratchServer) -> None:
    if int(server.version.split(".")[0]) < 17:
        pytest.skip("the builtin provider came with Postgres 17")
    wanted = facts("UTF8", "C.UTF-8", locale_provider="builtin", locale="C.UTF-8")
    address, notes = create_database(server.address, "builtin", server=wanted)
    assert notes == ()
    found = run_sql(address, "SELECT datlocprovider, datlocale FROM pg_database WHERE datname = 'builtin'")
    assert found in ([("b", "C.UTF-8")], [(b"b", "C.UTF-8")])


def test_icu_is_used_where_the_server_has_it(toolsets: tuple[Toolset, ...]) -> None:
    with_icu = next((each for each in toolsets if each.has_icu and each.major >= 15), None)
    if with_icu is None:
        pytest.skip("no server with ICU here")
    with start_scratch(with_icu, SERVERS_FOLDER) as server:
        wanted = facts("UTF8", "C.UTF-8", locale_provider="icu", locale="de-DE")
        address, notes = create_database(server.address, "german", server=wanted)
        assert notes == ()
        ordered = "SELECT string_agg(w, '' ORDER BY w) FROM (VALUES ('z'), ('ä'), ('a')) v(w)"
        assert run_sql(address, ordered) == [("aäz",)]
        _, notes = create_database(server.address, "stand_in", server=facts("UTF8", "de_AT.UTF-8"))
        assert notes
        assert "ICU de-AT" in notes[0]


def test_a_database_that_exists_is_not_taken_over(server: ScratchServer) -> None:
    create_database(server.address, "taken", server=facts("UTF8", "C"))
    with pytest.raises(SourceRefused, match="taken cannot be created"):
        create_database(server.address, "taken", server=facts("UTF8", "C"))


def test_odd_names_are_quoted(server: ScratchServer) -> None:
    address, _ = create_database(server.address, 'o"dd; --', server=facts("UTF8", "C"))
    assert run_sql(address, "SELECT current_database()::text") == [('o"dd; --',)]
