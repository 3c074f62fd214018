"""What decides whether a dump would be whole, from plain facts."""

from dataclasses import replace

import pytest

from shared.domain.manifest import Exclusion
from shared.domain.proof import Severity
from shared.domain.source import DumpPolicy
from shared.postgres.preflight_rules import (
    HeldLock,
    LeftOut,
    RelationAccess,
    SourceAccess,
    UnreadableLargeObjects,
    judge_access,
    record_exclusions,
    remedies,
    resolve_exclusions,
)


def _table(name: str = "orders", *, oid: int = 1, schema: str = "app", **access: object) -> RelationAccess:
    plain = RelationAccess(oid=oid, schema=schema, name=name, sql_name=f"{schema}.{name}", sql_schema=schema)
    return replace(plain, **access)  # type: ignore[arg-type]


def _source(*relations: RelationAccess, **facts: object) -> SourceAccess:
    plain = SourceAccess(
        server_version="17.1",
        server_major=17,
        role="dumper",
        sql_role="dumper",
        relations=relations,
        schemas=frozenset(relation.schema for relation in relations),
    )
    return replace(plain, **facts)  # type: ignore[arg-type]


def _found(access: SourceAccess, left_out: LeftOut | None = None, *, client_major: int = 17) -> list[tuple[str, str]]:
    return [
        (finding.check, finding.object)
        for finding in judge_access(access, left_out or LeftOut(), client_major=client_major)
    ]


def test_readable_source_has_no_findings() -> None:
    assert _found(_source(_table(), _table("seq", oid=2, relkind="S"))) == []


@pytest.mark.parametrize(
    ("relation", "check"),
    [
        (_table(may_select=False), "table-select"),
        (_table(relkind="p", may_select=False), "table-select"),
        (_table(relkind="S", may_select=False), "sequence-select"),
        (_table(row_security_active=True), "row-security"),
    ],
)
def test_what_cannot_be_read_is_an_error(relation: RelationAccess, check: str) -> None:
    (finding,) = [item for item in judge_access(_source(_table(oid=9), relation), LeftOut(), client_major=17)]
    assert (finding.check, finding.severity) == (check, Severity.ERROR)
    assert "app.orders" in finding.message


@pytest.mark.parametrize("relkind", ["v", "m", "f"])
def test_views_and_foreign_tables_need_no_select(relkind: str) -> None:
    relation = _table(relkind=relkind, may_select=False)
    checks = {check for check, _ in _found(_source(_table(oid=9), relation))}
    assert "table-select" not in checks


def test_missing_usage_is_said_once_per_schema() -> None:
    access = _source(_table("a", may_use_schema=False), _table("b", oid=2, may_use_schema=False))
    assert _found(access) == [("schema-usage", "app")]


def test_each_table_has_its_finding_and_many_have_one_remedy() -> None:
    many = [_table(f"t{number}", oid=number, may_select=False) for number in range(1, 301)]
    access = _source(*many)
    assert len(_found(access)) == 300
    assert remedies(access, LeftOut()) == ("GRANT SELECT ON ALL TABLES IN SCHEMA app TO dumper;",)


def test_few_tables_keep_their_own_remedy() -> None:
    access = _source(
        _table(may_select=False), _table("seen", oid=2), _table("seq", oid=3, relkind="S", may_select=False)
    )
    assert remedies(access, LeftOut()) == (
        "GRANT SELECT ON TABLE app.orders TO dumper;",
        "GRANT SELECT ON SEQUENCE app.seq TO dumper;",
    )


def test_excluded_rows_still_need_select_since_the_dump_locks_the_table() -> None:
    access = _source(_table(may_select=False, row_security_active=True))
    left_out = LeftOut(data={1: "cache"})
    assert _found(access, left_out) == [("table-select", "app.orders")]
    assert _found(access, LeftOut(tables={1: "gone"})) == []


def test_unlogged_table_is_a_warning_on_a_primary_and_an_error_on_a_standby() -> None:
    access = _source(_table(unlogged=True))
    (warning,) = judge_access(access, LeftOut(), client_major=17)
    (error,) = judge_access(replace(access, is_standby=True), LeftOut(), client_major=17)
    assert (warning.check, warning.severity) == ("unlogged-table", Severity.WARNING)
    assert (error.check, error.severity) == ("unlogged-table", Severity.ERROR)
    assert _found(replace(access, is_standby=True), LeftOut(data={1: "cache"})) == []


def test_unlogged_sequence_goes_with_the_rows_of_its_table_on_a_standby() -> None:
    access = _source(
        _table(unlogged=True),
        _table("seq", oid=2, relkind="S", unlogged=True, ancestors=(1,)),
        is_standby=True,
    )
    policy = DumpPolicy(excluded_data=(Exclusion(object="app.orders", reason="cache"),))
    assert _found(access) == [("unlogged-table", "app.orders"), ("unlogged-table", "app.seq")]
    left_out = resolve_exclusions(access, policy)
    assert set(left_out.data) == {1, 2}
    assert _found(access, left_out) == []


def test_old_server_and_old_client_are_errors() -> None:
    assert _found(_source(_table(), server_major=12), client_major=17) == [("server-version", "server")]
    assert _found(_source(_table()), client_major=16) == [("client-version", "pg_dump")]
    assert _found(_source(_table()), client_major=18) == []


def test_large_objects_are_named_by_owner_with_examples() -> None:
    group = UnreadableLargeObjects(owner="app", sql_owner="app", count=1000, examples=(1, 2, 3, 4, 5))
    (finding,) = judge_access(_source(_table(), large_objects=(group,)), LeftOut(), client_major=17)
    assert finding.severity is Severity.ERROR
    assert "1000 large objects of app" in finding.message
    assert finding.hint.startswith("Run: GRANT SELECT ON LARGE OBJECT 1, 2, 3, 4, 5 TO dumper;")
    assert "GRANT app TO dumper;" in finding.hint


def test_errors_come_before_warnings() -> None:
    access = _source(_table(unlogged=True), _table("hidden", oid=2, row_security_active=True))
    assert [check for check, _ in _found(access)] == ["row-security", "unlogged-table"]


def test_lock_matters_only_on_what_is_dumped() -> None:
    access = _source(_table(), locks=(HeldLock(oid=1, holder="process 7 (app)", held_seconds=61.4),))
    (finding,) = judge_access(access, LeftOut(), client_major=17)
    assert "locked by process 7 (app) for 61 s" in finding.message
    assert _found(access, LeftOut(tables={1: "gone"})) == []
    assert _found(replace(access, locks=(HeldLock(oid=99, holder="x", held_seconds=1),))) == []


def test_exclusion_takes_partitions_and_unreadable_sequences_along() -> None:
    access = _source(
        _table("parent", oid=1, relkind="p"),
        _table("leaf", oid=2, ancestors=(1,)),
        _table("seq", oid=3, relkind="S", ancestors=(1,), may_select=False),
        _table("other_seq", oid=4, relkind="S", ancestors=(1,)),
    )
    policy = DumpPolicy(excluded_tables=(Exclusion(object="app.parent", reason="rebuilt"),))
    left_out = resolve_exclusions(access, policy)
    assert set(left_out.tables) == {1, 2, 3}
    assert left_out.problems == ()


@pytest.mark.parametrize("name", ["app.order", "orders", "APP.orders", ""])
def test_exclusion_that_fits_nothing_is_an_error(name: str) -> None:
    policy = DumpPolicy(excluded_tables=(Exclusion(object=name, reason="typing error"),))
    left_out = resolve_exclusions(_source(_table()), policy)
    assert [finding.severity for finding in left_out.problems] == [Severity.ERROR]
    assert left_out.tables == {}


def test_exclusion_that_fits_two_relations_is_an_error_and_excludes_neither() -> None:
    access = _source(_table("b.c", schema="a"), _table("c", oid=2, schema="a.b"))
    policy = DumpPolicy(excluded_tables=(Exclusion(object="a.b.c", reason="which one"),))
    left_out = resolve_exclusions(access, policy)
    assert "fits 2 relations" in left_out.problems[0].message
    assert left_out.tables == {}


def test_quoted_form_of_a_name_is_understood() -> None:
    access = _source(_table("My Table", sql_name='app."My Table"'))
    policy = DumpPolicy(excluded_data=(Exclusion(object='app."My Table"', reason="cache"),))
    assert resolve_exclusions(access, policy).data == {1: "cache"}


def test_known_exclusion_holds_only_for_what_exists_and_cannot_be_read() -> None:
    known = (Exclusion(object="app.orders", reason="nobody may"), Exclusion(object="app.absent", reason="x"))
    assert resolve_exclusions(_source(_table()), DumpPolicy(), known).tables == {}
    weak = resolve_exclusions(_source(_table(may_select=False)), DumpPolicy(), known)
    assert weak.tables == {1: "nobody may"}
    assert weak.problems == ()


def test_everything_left_out_is_recorded() -> None:
    access = _source(
        _table(), _table("far", oid=2, relkind="f"), _table("t", oid=3, schema="old"), _table("rows", oid=4),
        is_superuser=False, subscriptions=("sub",),
    )  # fmt: skip
    left_out = LeftOut(tables={1: "why 1"}, data={4: "why 4"}, schemas={"old": "why old"})
    assert {item.object: item.reason for item in record_exclusions(access, left_out)} == {
        "schema old": "why old",
        "app.orders": "why 1",
        "rows of app.far": "foreign table: its rows live elsewhere",
        "rows of app.rows": "why 4",
        "subscription sub": "only a superuser can dump subscriptions",
    }


def test_source_without_tables_is_a_warning() -> None:
    assert _found(_source(_table(relkind="v"))) == [("empty-source", "")]
