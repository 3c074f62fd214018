"""The rules per table and for the schema: injected incidents are named, ordinary life is not."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.anomaly import (
    AnomalyPolicy,
    Episode,
    History,
    ObjectChange,
    Rule,
    SchemaDrift,
    TableCount,
    TablesAt,
)
from shared.domain.anomaly_rules import detect, unmeasured_rules
from shared.domain.anomaly_schema import changed_parts, compare_schemas, is_reverted
from shared.domain.proof import Severity
from tests.support.anomaly_histories import BEGIN, DAY, drift, subject, tables_history

POLICY = AnomalyPolicy()


def found(
    history: History, rows: dict[str, int], *, policy: AnomalyPolicy = POLICY, warnings_only: bool = False
) -> set[tuple[str, str]]:
    day = len(history.tables)
    return {
        (anomaly.rule.value, anomaly.object)
        for anomaly in detect(history, subject(day, rows), policy)
        if not warnings_only or anomaly.severity is not Severity.INFO
    }


def episode(rule: Rule, day: int, expected: float, seen: float, *, known: bool = False) -> Episode:
    return Episode(
        rule=rule,
        object="public.a",
        severity=Severity.WARNING,
        started_at=BEGIN + day * DAY,
        acknowledged_at=BEGIN + day * DAY if known else None,
        expected_value=expected,
        found_value=seen,
    )


@pytest.mark.parametrize(
    ("before", "after", "rule"),
    [
        (1000, 0, "table-empty"),
        (5, 0, "table-empty"),
        (1000, 100, "table-shrunk"),
        (1000, 499, "table-shrunk"),
        (1000, 2000, "table-grown"),
        (1000, 500, None),
        (1000, 1899, None),
        (4, 1, None),  # chance in so small a table
        (3, 9, None),
        (0, 1000, None),
        (0, 0, None),
    ],
)
def test_one_backup_is_enough_to_judge_a_table(before: int, after: int, rule: str | None) -> None:
    expected = {(rule, "public.a")} if rule else set()
    assert found(tables_history({"a": before, "b": 7}), {"a": after, "b": 7}) == expected


def test_dropped_and_new_tables_are_named() -> None:
    history = tables_history({"a": 10, "b": 5})
    assert found(history, {"a": 10, "c": 2, "d": 3}) == {("table-dropped", "public.b"), ("table-new", "2 tables")}
    by_rule = {anomaly.rule: anomaly for anomaly in detect(history, subject(1, {"a": 10, "c": 2}))}
    assert by_rule[Rule.TABLE_DROPPED].sentence == "public.b is gone; it had 5 rows"
    assert by_rule[Rule.TABLE_NEW].sentence == "1 table is new: public.c (2 rows)"
    assert by_rule[Rule.TABLE_NEW].severity is Severity.INFO


def test_renamed_table_is_not_taken_for_a_lost_one() -> None:
    history = tables_history({"a": 10, "b": 5})
    same = TableCount(schema="public", name="c", rows=5, fingerprint="b 5")
    kept = TableCount(schema="public", name="a", rows=10, fingerprint="a 10")
    (anomaly,) = detect(history, subject(1, tables=(kept, same)))
    assert anomaly.rule is Rule.TABLE_NEW
    assert anomaly.sentence == "1 table is new: public.c (was public.b)"


@pytest.mark.parametrize("excluded", ["public.b", "public"])
def test_table_that_is_left_out_on_purpose_is_not_missed(excluded: str) -> None:
    history = tables_history({"a": 10, "b": 5})
    odd = detect(history, subject(1, {"a": 10}, excluded=frozenset({excluded})))
    assert odd == ()


def test_first_backup_has_nothing_to_be_compared_with_and_says_so() -> None:
    assert detect(History(), subject(0, {"a": 10})) == ()
    gaps = {gap.check for gap in unmeasured_rules(History(), subject(0, {"a": 10}), schema_gap="no schema before")}
    assert {"table-empty", "table-shrunk", "table-dropped", "table-new", "schema-changed"} <= gaps


def test_queue_that_runs_empty_now_and_then_raises_nothing() -> None:
    history = tables_history({"a": 3}, {"a": 0}, {"a": 7}, {"a": 2})
    assert found(history, {"a": 0}) == set()
    small = tables_history({"a": 3}, {"a": 5}, {"a": 2})
    assert found(small, {"a": 0}) == set()
    constant = tables_history({"a": 3}, {"a": 3}, {"a": 3})
    assert found(constant, {"a": 0}) == {("table-empty", "public.a")}


def test_loss_in_a_small_or_restless_table_is_only_for_the_record() -> None:
    queue = tables_history(*[{"a": rows} for rows in (14, 3, 30, 8, 22, 11)])
    assert found(queue, {"a": 0}, warnings_only=True) == set()
    assert found(tables_history({"a": 150}), {"a": 60}, warnings_only=True) == set()
    assert found(tables_history({"a": 150}), {"a": 60}) == {("table-shrunk", "public.a")}
    for rows in (0, 15):
        assert len(found(tables_history({"a": 150}), {"a": rows}, warnings_only=True)) == 1
    steady = tables_history(*[{"a": 30}] * 5)
    assert found(steady, {"a": 0}, warnings_only=True) == {("table-empty", "public.a")}


def test_restless_table_may_fall_as_far_as_it_always_does() -> None:
    sessions = tables_history(*[{"a": rows} for rows in (400, 900, 350, 800, 500, 1000)])
    assert found(sessions, {"a": 380}) == set()
    assert found(sessions, {"a": 20}, warnings_only=True) == {("table-shrunk", "public.a")}


def test_table_that_shrinks_by_habit_is_left_alone_and_one_time_is_not_a_habit() -> None:
    sawtooth = [{"a": rows} for rows in (1000, 4000, 1000, 4000, 1000, 4000)]
    assert found(tables_history(*sawtooth), {"a": 1000}) == set()
    assert found(tables_history(*sawtooth[1:4]), {"a": 1000}, warnings_only=True) == {("table-shrunk", "public.a")}


def test_two_steps_down_count_as_well_as_one() -> None:
    history = tables_history(*[{"a": 1000}] * 5, {"a": 600})
    assert found(history, {"a": 380}) == {("table-shrunk", "public.a")}


def test_share_is_configurable() -> None:
    history = tables_history({"a": 1000})
    assert found(history, {"a": 700}) == set()
    assert found(history, {"a": 700}, policy=AnomalyPolicy(table_shrunk=0.2)) == {("table-shrunk", "public.a")}
    assert found(history, {"a": 1500}, policy=AnomalyPolicy(table_grown=0.4)) == {("table-grown", "public.a")}
    silent = AnomalyPolicy(ignore=("table-shrunk:public.a",))
    assert found(history, {"a": 10}, policy=silent) == set()
    assert found(history, {"a": 10}, policy=AnomalyPolicy(ignore=("table-shrunk:other.*",))) != set()


def test_growth_asks_for_a_look_only_where_the_table_was_calm_before() -> None:
    calm = tables_history(*[{"a": 5000}] * 6)
    assert found(calm, {"a": 10000}, warnings_only=True) == {("table-grown", "public.a")}
    assert found(tables_history({"a": 5000}), {"a": 10000}, warnings_only=True) == set()


@pytest.mark.parametrize(
    ("rule", "rows", "again"),
    [
        (Rule.TABLE_EMPTY, 0, "table-empty"),
        (Rule.TABLE_EMPTY, 3, "table-shrunk"),
        (Rule.TABLE_SHRUNK, 100, "table-shrunk"),
        (Rule.TABLE_SHRUNK, 990, None),
    ],
)
def test_loss_lasts_until_the_rows_are_back(rule: Rule, rows: int, again: str | None) -> None:
    lasting = episode(rule, 2, 1000, 100)
    history = tables_history({"a": 1000}, {"a": 1000}, {"a": 100}, {"a": 100}, episodes=(lasting,))
    assert found(history, {"a": rows}) == ({(again, "public.a")} if again else set())


def test_dropped_table_is_missed_until_somebody_knows() -> None:
    missing = episode(Rule.TABLE_DROPPED, 2, 1000, 0)
    history = tables_history({"a": 1000}, {"a": 1000}, {}, {}, episodes=(missing,))
    assert found(history, {}) == {("table-dropped", "public.a")}
    known = replace(missing, acknowledged_at=BEGIN + 3 * DAY)
    assert found(replace(history, episodes=(known,)), {}) == set()


def test_acknowledged_loss_is_not_raised_again_and_the_next_one_is() -> None:
    known = episode(Rule.TABLE_SHRUNK, 2, 1000, 300, known=True)
    history = tables_history({"a": 1000}, {"a": 1000}, {"a": 300}, {"a": 310}, episodes=(known,))
    assert found(history, {"a": 305}) == set()
    assert found(history, {"a": 100}) == {("table-shrunk", "public.a")}


@given(rows=st.lists(st.integers(0, 10**7), min_size=1, max_size=8), last=st.integers(0, 10**7))
@settings(max_examples=100, deadline=None)
def test_unchanged_and_slowly_moving_tables_raise_nothing(rows: list[int], last: int) -> None:
    history = tables_history(*[{"a": rows[0], "b": last}] * len(rows))
    assert found(history, {"a": rows[0], "b": last}) == set()
    assert found(history, {"a": round(rows[0] * 1.4), "b": round(last * 0.8)}, warnings_only=True) <= (
        {("table-empty", "public.b")} if last and round(last * 0.8) == 0 else set()
    )


def partitioned(*names: str, rows: int = 100) -> tuple[TableCount, ...]:
    return tuple(TableCount(schema="public", name=name, rows=rows, partition_root="public.events") for name in names)


def test_partitions_count_together() -> None:
    before = TablesAt(at=BEGIN, tables=partitioned("events_1", "events_2", "events_3"))
    history = History(tables=(before,))
    rotated = subject(1, tables=partitioned("events_2", "events_3", "events_4"))
    assert detect(history, rotated) == ()
    (anomaly,) = detect(history, subject(1, tables=partitioned("events_3", rows=90)))
    assert (anomaly.rule, anomaly.object) == (Rule.TABLE_SHRUNK, "public.events")
    changes = [
        drift(ObjectChange.REMOVED, "tables", "public.events_1"),
        drift(ObjectChange.REMOVED, "columns", "public.events_1.id"),
        drift(ObjectChange.REMOVED, "indexes", "public.events_1_at_idx"),
        drift(ObjectChange.ADDED, "tables", "public.events_4"),
        drift(ObjectChange.ADDED, "constraints", "events_4_check on public.events_4"),
    ]
    assert detect(history, replace(rotated, drift=tuple(changes))) == ()


def test_schema_drift_is_grouped_and_named() -> None:
    changes = [
        drift(ObjectChange.REMOVED, "policies", "own_rows on public.tasks"),
        drift(ObjectChange.REMOVED, "tables", "public.old"),
        drift(ObjectChange.REMOVED, "columns", "public.old.id"),
        drift(ObjectChange.REMOVED, "constraints", "old_pkey on public.old"),
        drift(ObjectChange.CHANGED, "functions", "public.price(integer)"),
        drift(ObjectChange.ADDED, "indexes", "public.tasks_idx"),
    ]
    anomalies = {item.object: item for item in detect(History(), subject(5, drift=changes))}
    assert anomalies["removed"].sentence == (
        "2 schema objects were removed since backup-4: policy own_rows on public.tasks, table public.old"
    )
    assert anomalies["changed"].sentence == (
        "1 schema object was changed since backup-4: function public.price(integer) (b)"
    )
    assert anomalies["added"].severity is Severity.INFO
    assert {anomalies["removed"].severity, anomalies["changed"].severity} == {Severity.WARNING}


def test_many_objects_are_one_sentence_with_counts() -> None:
    changes = [drift(ObjectChange.REMOVED, "indexes", f"public.i{number:03}") for number in range(40)]
    (anomaly,) = detect(History(), subject(5, drift=changes))
    assert anomaly.sentence.startswith(
        "40 schema objects were removed since backup-4 (40 indexes): index public.i000, "
    )
    assert anomaly.sentence.endswith(" and 32 more")


def test_comments_and_what_is_left_out_ask_for_no_look() -> None:
    comment = drift(ObjectChange.CHANGED, "comments", "table public.a")
    assert [item.severity for item in detect(History(), subject(1, drift=[comment]))] == [Severity.INFO]
    gone = [drift(ObjectChange.REMOVED, "tables", "public.a"), drift(ObjectChange.REMOVED, "columns", "public.a.id")]
    assert detect(History(), subject(1, drift=gone, excluded=frozenset({"public.a"}))) == ()


def test_schemas_are_compared_by_name_and_large_objects_are_data() -> None:
    before = {("reader", "format"): "1", ("tables", "public.a"): "x", ("views", "public.v"): "y"}
    after = {("tables", "public.a"): "z", ("types", "public.t"): "n", ("large_objects", "4711"): "q"}
    changes = compare_schemas(before, after)
    assert [(item.change.value, item.object_class, item.identity) for item in changes] == [
        ("changed", "tables", "public.a"),
        ("added", "types", "public.t"),
        ("removed", "views", "public.v"),
    ]
    assert not is_reverted(changes, after)
    assert is_reverted(changes, before)


def test_changed_parts_are_named_where_digests_tell_them_apart() -> None:
    change = SchemaDrift(
        change=ObjectChange.CHANGED,
        object_class="tables",
        identity="public.a",
        digest_before="w|acl=1|owner=2|row_security=3",
        digest_after="v|acl=1|owner=9",
    )
    assert changed_parts(change) == ("owner", "row_security")
