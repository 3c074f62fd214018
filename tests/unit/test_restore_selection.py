"""Which entries of a dump are restored when an extension is missing, or when only some tables are wanted."""

import pytest

from shared.postgres.archive import Toc, TocEntry
from shared.postgres.restore_selection import for_tables, tables_with_partitions, without_extensions


def entry(dump_id: int, description: str, tag: str, *needs: int, schema: str = "public") -> TocEntry:
    return TocEntry(
        dump_id=dump_id,
        table_oid=0,
        oid=0,
        tag=tag,
        description=description,
        schema=schema,
        owner="app",
        definition="",
        copy_statement="",
        dependencies=needs,
        filename=f"{dump_id}.dat" if description == "TABLE DATA" else "",
    )


TOC = Toc(
    archive_version="1.16",
    database="app",
    server_version="17",
    client_version="17",
    entries=(
        entry(1, "ENCODING", "ENCODING", schema=""),
        entry(2, "SCHEMA", "shop", schema=""),
        entry(3, "EXTENSION", "hstore", schema=""),
        entry(4, "TYPE", "mood"),
        entry(5, "FUNCTION", "touch()"),
        entry(10, "TABLE", "customers", 3),
        entry(11, "TABLE", "orders", 4),
        entry(12, "SEQUENCE", "orders_id_seq", 11),
        entry(13, "SEQUENCE OWNED BY", "orders_id_seq", 12, 11),
        entry(14, "DEFAULT", "orders id", 12, 11),
        entry(15, "VIEW", "rich", 10, 11),
        entry(16, "TABLE", "events"),
        entry(17, "TABLE", "events_new"),
        entry(18, "TABLE ATTACH", "events_new", 16, 17),
        entry(19, "TABLE", "child", 16),
        entry(30, "TABLE DATA", "customers", 10),
        entry(31, "TABLE DATA", "orders", 11),
        entry(32, "TABLE DATA", "events_new", 17),
        entry(33, "TABLE DATA", "child", 19),
        entry(34, "SEQUENCE SET", "orders_id_seq", 12),
        entry(40, "CONSTRAINT", "orders orders_pkey", 11),
        entry(41, "CONSTRAINT", "customers customers_pkey", 10),
        entry(42, "INDEX", "orders_mood", 11),
        entry(43, "COMMENT", "INDEX orders_mood", 42),
        entry(44, "FK CONSTRAINT", "orders orders_customer_fkey", 11, 10, 41),
        entry(45, "TRIGGER", "orders touch", 11, 5),
        entry(46, "POLICY", "orders own", 11),
        entry(47, "MATERIALIZED VIEW DATA", "totals", 15),
        entry(48, "CONSTRAINT", "events events_pkey", 16),
    ),
)


def restored(*names: str) -> tuple[set[int], dict[int, str]]:
    selection = for_tables(TOC, tables_with_partitions(TOC, [("public", name) for name in names]))
    return {item.dump_id for item in selection.entries}, dict(selection.left_out)


def test_everything_that_needs_a_missing_extension_is_left_out_with_the_reason() -> None:
    selection = without_extensions(TOC, {"hstore"})
    assert set(selection.left_out) == {3, 10, 15, 30, 41, 44, 47}
    assert selection.left_out[30] == "needs the extension hstore, which the server lacks"
    assert [item.tag for item, _ in selection.left_out_of(TOC)][:2] == ["hstore", "customers"]
    assert {item.dump_id for item in selection.entries}.isdisjoint(selection.left_out)


def test_nothing_is_left_out_when_nothing_is_missing() -> None:
    assert without_extensions(TOC, ()).entries == TOC.entries


def test_a_table_comes_with_its_parts_and_what_they_need() -> None:
    kept, left_out = restored("orders")
    assert kept == {1, 4, 5, 11, 12, 13, 14, 31, 34, 40, 42, 43, 45, 46}
    assert left_out == {44: "needs public.customers, which is not restored"}


def test_a_foreign_key_comes_when_both_tables_do() -> None:
    kept, left_out = restored("orders", "customers")
    assert {44, 41, 10, 30, 3} <= kept
    assert left_out == {}


def test_the_referenced_table_alone_brings_no_foreign_key() -> None:
    kept, left_out = restored("customers")
    assert kept == {1, 3, 10, 30, 41}
    assert left_out == {}


def test_a_partitioned_table_brings_its_partitions() -> None:
    kept, left_out = restored("events")
    assert {16, 17, 18, 32, 48} <= kept
    assert 33 not in kept
    assert left_out == {}


def test_a_child_brings_its_parents_definition_without_rows() -> None:
    kept, left_out = restored("child")
    assert {19, 33, 16} <= kept
    assert 32 not in kept
    assert left_out == {}


def test_an_unknown_table_is_named() -> None:
    with pytest.raises(KeyError):
        tables_with_partitions(TOC, [("public", "nowhere")])
