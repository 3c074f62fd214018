"""Another retention policy: what it would keep, what it would cost, and that it is judged by retention itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.retention import RetainedBackup, plan_retention
from shared.domain.source import KeepRule
from shared.domain.what_if import (
    RecordedBackup,
    WhatIf,
    compare_policies,
    format_keep_rule,
    parse_keep_rule,
)

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
DAILY = BackupKind.DAILY
WEEK = {DAILY: KeepRule(age=timedelta(days=7))}
MONTH = {DAILY: KeepRule(age=timedelta(days=30))}


def daily(days_ago: float, *, is_here: bool = True, size: int = 100, new: int = 10, **facts: object) -> RecordedBackup:
    """A daily backup of 90 bytes that never change and 10 of its own."""
    at = NOW - timedelta(days=days_ago)
    values: dict[str, object] = {"id": f"d{days_ago:07.2f}", "source": "app", "kind": DAILY, "recovery_point_at": at}
    backup = RetainedBackup(**(values | facts))  # type: ignore[arg-type]
    objects = {"same": size - new, backup.id: new} if is_here else {}
    return RecordedBackup(backup=backup, is_here=is_here, stored_bytes=size, new_bytes=new, objects=objects)


def compare(
    history: list[RecordedBackup],
    other: dict[BackupKind, KeepRule],
    current: dict[BackupKind, KeepRule] | None = None,
    holds: dict[str, str] | None = None,
) -> WhatIf:
    return compare_policies("app", history, current=current or WEEK, other=other, holds=holds or {}, now=NOW)


def a_year() -> list[RecordedBackup]:
    """A year of daily backups under a week's retention: the last seven are here."""
    return [daily(day + 1 / 6, is_here=day < 7, new=100 if day == 364 else 10) for day in range(365)]


def test_a_shorter_policy_says_what_goes_at_once_and_what_that_frees() -> None:
    found = compare([daily(day + 0.2) for day in range(7)], {DAILY: KeepRule(age=timedelta(days=3))})

    assert [going.backup_id for going in found.other.expires] == ["d0006.20", "d0005.20", "d0004.20", "d0003.20"]
    assert found.other.expires[0].reason == "daily, 6 d 4 h old, limit 3 d"
    assert found.current.expires == ()
    assert (found.stored_bytes, found.current.kept_now_bytes, found.other.kept_now_bytes) == (160, 160, 120)
    assert found.freed_bytes == 40


def test_shared_objects_are_freed_only_with_the_last_backup_that_names_them() -> None:
    found = compare([daily(day + 0.2) for day in range(7)], {DAILY: KeepRule(age=None)})

    assert found.other.kept_now == 1
    assert found.other.kept_now_bytes == 100


def test_a_longer_policy_shows_its_worth_over_the_recorded_history() -> None:
    found = compare(a_year(), MONTH)

    assert (found.current.restore_points, found.other.restore_points) == (7, 30)
    assert found.other.expires == ()
    assert [(item.age, item.count) for item in found.other.ages] == [
        ("up to 1 day", 1),
        ("1 to 7 days", 6),
        ("7 to 30 days", 23),
        ("30 to 90 days", 0),
        ("90 days to 1 year", 0),
        ("older than 1 year", 0),
    ]
    assert found.other.reach == timedelta(days=29, hours=4)
    assert found.other.worst_gap == timedelta(days=1)
    assert found.other.long_run_bytes == 100 + 29 * 10


def test_the_worst_gap_is_that_between_the_oldest_points_of_a_thinned_policy() -> None:
    thinned = {DAILY: parse_keep_rule("age=7d,monthly=6")}

    found = compare(a_year(), thinned)

    assert found.other.restore_points == 7 + 5
    assert found.other.worst_gap == timedelta(days=31)
    assert [item.worst_gap for item in found.other.ages][3:5] == [timedelta(days=30), timedelta(days=31)]


def test_what_retention_refuses_to_expire_stays_in_the_answer() -> None:
    history = [daily(1, is_test_failed=True), daily(40, proven_at=NOW - timedelta(days=39)), daily(50), daily(60)]

    found = compare(history, {DAILY: KeepRule(age=None)}, holds={"d0060.00": "legal case 7"})

    assert [going.backup_id for going in found.other.expires] == ["d0050.00"]
    assert found.other.restore_points == 2, "the one that failed its test is kept, but nobody can restore from it"
    assert found.other.worst_gap == timedelta(days=40)


def test_failed_attempts_are_no_restore_points_but_keep_proven_ones() -> None:
    attempt = daily(0.1, is_here=False, state=BackupStatus.FAILED)
    proven = [daily(day, proven_at=NOW - timedelta(days=day - 0.5)) for day in (20, 40)]

    without, during = compare([*proven, daily(1)], WEEK), compare([*proven, daily(1), attempt], WEEK)

    assert (without.other.restore_points, during.other.restore_points) == (2, 3)


def test_nothing_recorded_is_no_gap_and_no_bytes() -> None:
    found = compare([], MONTH)

    assert (found.history, found.stored_bytes, found.estimate_ratio) == (timedelta(0), 0, None)
    assert (found.other.restore_points, found.other.worst_gap, found.other.reach) == (0, None, None)


def test_the_estimate_is_compared_with_the_truth_where_that_is_known() -> None:
    found = compare(a_year()[:7], MONTH)

    assert found.estimate_ratio == 1.0


@pytest.mark.parametrize("churn", [0.01, 0.1, 0.5])
def test_the_estimate_is_close_for_databases_that_change_here_and_there(churn: float) -> None:
    # A hundred tables, each of them changes on a day with this probability.
    rng, tables = Random(3), dict.fromkeys(range(100), 0)
    sizes = {table: rng.randint(1, 1000) for table in tables}
    history, seen = [], set()
    for day in range(60, 0, -1):
        tables = {table: day if rng.random() < churn else version for table, version in tables.items()}
        objects = {(table, version): sizes[table] for table, version in tables.items()}
        new = sum(size for key, size in objects.items() if key not in seen)
        seen |= set(objects)
        made = daily(day, size=sum(objects.values()), new=new)
        history.append(replace(made, objects=objects))

    found = compare(history, {DAILY: parse_keep_rule("age=7d,weekly=5")}, current={DAILY: KeepRule(age=None)})

    assert found.other.kept_now == found.other.restore_points
    assert found.other.long_run_bytes == pytest.approx(found.other.kept_now_bytes, rel=0.25)
    assert found.other.long_run_bytes >= found.other.kept_now_bytes


@settings(max_examples=60, deadline=None)
@given(
    days=st.sets(st.integers(0, 150), min_size=1),
    rule=st.builds(
        KeepRule,
        age=st.one_of(st.none(), st.integers(1, 60).map(lambda count: timedelta(days=count))),
        minimum_count=st.integers(0, 3),
        daily=st.integers(0, 5),
        weekly=st.integers(0, 5),
        monthly=st.integers(0, 4),
    ),
)
def test_one_plan_over_the_history_is_what_a_cleanup_every_day_would_have_left(days: set[int], rule: KeepRule) -> None:
    rules = {DAILY: rule}
    here: list[RetainedBackup] = []
    everything = {day: daily(day + 0.2, is_here=False) for day in days}
    for day in range(151, -1, -1):
        here += [everything[day].backup] if day in days else []
        here = [item.backup for item in plan_retention(here, rules, {}, NOW - timedelta(days=day)).kept]

    found = compare(list(everything.values()), rules)

    assert found.other.restore_points == len(here)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("14d", KeepRule(age=timedelta(days=14))),
        ("36h", KeepRule(age=timedelta(hours=36))),
        ("age=7d,weekly=4,monthly=12", KeepRule(age=timedelta(days=7), weekly=4, monthly=12)),
        ("minimum_count=3", KeepRule(age=None, minimum_count=3)),
        ("yearly=2,daily=7", KeepRule(age=None, daily=7, yearly=2)),
    ],
)
def test_a_rule_is_read_and_printed_again(text: str, rule: KeepRule) -> None:
    assert parse_keep_rule(text) == rule
    assert parse_keep_rule(format_keep_rule(rule)) == rule


@pytest.mark.parametrize(
    "text", ["", "soon", "weekly=-1", "age=", "fortnightly=2", "weekly=4;monthly=2", "weekly=٣", "99999999999d", "٣d"]
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|rule"):
        parse_keep_rule(text)
