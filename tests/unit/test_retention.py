"""Which backups stay and which expire, with the words that say why."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.retention import RetainedBackup, RetentionPlan, Verdict, plan_retention
from shared.domain.source import DEFAULT_RETENTION, KeepRule

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
SEVEN_DAYS = {BackupKind.DAILY: KeepRule(age=timedelta(days=7))}


def daily(days_ago: float, **facts: object) -> RetainedBackup:
    return backup(days_ago, BackupKind.DAILY, **facts)


def backup(days_ago: float, kind: BackupKind | None, **facts: object) -> RetainedBackup:
    at = NOW - timedelta(days=days_ago)
    values: dict[str, object] = {"id": f"{kind or 'unknown'}-{days_ago}", "source": "app", "recovery_point_at": at}
    return RetainedBackup(kind=kind, **(values | facts))  # type: ignore[arg-type]


def proven(days_ago: float, **facts: object) -> RetainedBackup:
    return daily(days_ago, proven_at=NOW - timedelta(days=days_ago) + timedelta(hours=1), **facts)


def plan(
    backups: Iterable[RetainedBackup],
    rules: dict[BackupKind, KeepRule] | None = None,
    holds: dict[str, str] | None = None,
) -> RetentionPlan:
    return plan_retention(list(backups), SEVEN_DAYS if rules is None else rules, holds or {}, NOW)


def expired_ids(result: RetentionPlan) -> list[str]:
    return [decision.backup.id for decision in result.expired]


def words(result: RetentionPlan, backup_id: str) -> str:
    return next(str(decision) for decision in result.decisions if decision.backup.id == backup_id)


def test_age_keeps_what_is_younger_and_expires_what_is_not() -> None:
    result = plan([proven(0.25), daily(3 + 1 / 6), daily(7 - 1 / 1440), daily(7), daily(8)])

    assert expired_ids(result) == ["daily-7", "daily-8"]
    assert words(result, f"daily-{3 + 1 / 6}") == "kept: daily, 3 d 4 h old, kept for 7 d"
    assert words(result, "daily-8") == "expires: daily, 8 d old, limit 7 d"


def test_decisions_come_newest_first_across_sources() -> None:
    result = plan([daily(8), daily(1, source="b"), daily(2), daily(9, source="b", id="other")])

    assert [decision.backup.id for decision in result.decisions] == ["daily-1", "daily-2", "daily-8", "other"]


def test_the_newest_complete_and_the_newest_proven_stay_however_old_they_are() -> None:
    result = plan([daily(300), daily(400), proven(500), proven(600)])

    assert expired_ids(result) == ["daily-400", "daily-600"]
    assert words(result, "daily-300") == "kept: newest complete backup; the newest daily"
    assert words(result, "daily-500") == "kept: newest proven backup"


def test_a_hold_keeps_with_its_reason() -> None:
    result = plan([proven(1), daily(900)], holds={"daily-900": "audit 2026, Ada"})

    assert words(result, "daily-900") == "kept: held: audit 2026, Ada"


def test_a_backup_that_is_being_restored_stays() -> None:
    result = plan([proven(1), daily(900, is_in_use=True)])

    assert words(result, "daily-900") == "kept: a restore or a restore test is reading it"


def test_each_kind_has_its_own_rule_and_each_source_its_own_newest() -> None:
    backups = [backup(day, kind) for day in (1, 20, 80, 100) for kind in BackupKind] + [
        daily(700, source="other", id="only one")
    ]

    result = plan(backups, dict(DEFAULT_RETENTION))

    assert expired_ids(result) == [
        "daily-20",
        "weekly-80",
        "daily-80",
        "weekly-100",
        "pre-deploy-100",
        "manual-100",
        "daily-100",
    ]


def test_the_minimum_count_outlives_the_age_and_does_not_count_bad_backups() -> None:
    rules = {BackupKind.DAILY: KeepRule(age=timedelta(days=7), minimum_count=3)}
    result = plan([proven(30), daily(31, is_damaged=True), daily(32), daily(33), daily(34)], rules)

    assert expired_ids(result) == ["daily-31", "daily-34"]
    assert words(result, "daily-33") == "kept: one of the newest 3 daily"
    assert words(result, "daily-31") == "expires: daily, 31 d old, limit 7 d, is damaged"


def test_calendar_buckets_keep_the_newest_of_each_day_week_month_and_year() -> None:
    rules = {BackupKind.DAILY: KeepRule(age=None, minimum_count=0, daily=2, weekly=2, monthly=2, yearly=2)}
    days = [datetime(2026, 11, 21, 2), datetime(2026, 11, 21, 1), datetime(2026, 11, 20, 2), datetime(2026, 11, 16, 2)]
    days += [datetime(2026, 11, 15, 2), datetime(2026, 10, 31, 2), datetime(2026, 10, 30, 2), datetime(2025, 12, 31, 2)]
    backups = [daily(0, id=f"{day:%Y-%m-%d %H}", recovery_point_at=day.replace(tzinfo=UTC)) for day in days]

    result = plan(backups, rules)

    assert {decision.backup.id: str(decision) for decision in result.kept[1:]} == {
        "2026-11-20 02": "kept: newest of its day, 2 of 2",
        "2026-11-15 02": "kept: newest of its week, 2 of 2",
        "2026-10-31 02": "kept: newest of its month, 2 of 2",
        "2025-12-31 02": "kept: newest of its year, 2 of 2",
    }
    assert words(result, "2026-11-21 01") == "expires: daily, 5 h old, not kept by age"


def test_buckets_are_cut_in_utc_whatever_zone_the_instants_are_in() -> None:
    rules = {BackupKind.DAILY: KeepRule(age=None, minimum_count=0, daily=2)}
    east = timezone(timedelta(hours=9))
    late = daily(0, id="21st in Tokyo, 20th in UTC", recovery_point_at=datetime(2026, 11, 21, 1, tzinfo=east))
    early = daily(0, id="20th", recovery_point_at=datetime(2026, 11, 20, 1, tzinfo=UTC))
    before = daily(0, id="19th", recovery_point_at=datetime(2026, 11, 19, 1, tzinfo=UTC))

    assert expired_ids(plan([late, early, before], rules)) == ["20th"]


def test_while_the_newest_attempts_fail_proven_backups_stay_and_unproven_ones_go() -> None:
    failed = daily(0.5, state=BackupStatus.FAILED, id="failed")

    result = plan([failed, daily(10), proven(11), proven(12), daily(13)])

    assert expired_ids(result) == ["daily-13"]
    assert words(result, "daily-12") == "kept: proven, and newer attempts fail"
    assert words(result, "failed") == "kept: failed, there is no backup to expire"


def test_while_attempts_fail_and_nothing_was_ever_proven_all_stay_that_are_not_bad() -> None:
    failed = daily(0.5, state=BackupStatus.FAILED, id="failed")

    result = plan([failed, daily(10), daily(11), daily(12, is_test_failed=True)])

    assert expired_ids(result) == ["daily-12"]
    assert words(result, "daily-11") == "kept: newer attempts fail"


def test_a_success_after_the_failure_ends_the_trouble() -> None:
    failed = daily(0.5, state=BackupStatus.FAILED, id="failed")

    assert expired_ids(plan([daily(0.25), failed, proven(11), proven(12)])) == ["daily-12"]


@pytest.mark.parametrize("trouble", ["is_test_failed", "is_damaged"])
def test_while_a_newer_backup_is_bad_proven_ones_stay_until_a_newer_one_is_proven(trouble: str) -> None:
    bad = daily(9, **{trouble: True})
    old = [proven(20), proven(30), daily(31)]

    in_trouble = plan([daily(8), bad, *old])
    out_of_trouble = plan([proven(8), bad, *old])

    assert expired_ids(in_trouble) == ["daily-31"]
    assert "proven, and the newer daily-9 " in words(in_trouble, "daily-30")
    assert words(in_trouble, "daily-9").startswith("kept: shows why proven backups are kept")
    assert expired_ids(out_of_trouble) == ["daily-9", "daily-20", "daily-30", "daily-31"]


def test_bad_backups_that_never_end_do_not_pile_up() -> None:
    bad = [daily(day, is_test_failed=True) for day in range(1, 60)]

    result = plan([*bad, proven(70)])

    assert expired_ids(result) == [f"daily-{day}" for day in range(7, 60)]


def test_a_proven_backup_that_was_damaged_later_stays_beside_the_newest_good_one() -> None:
    result = plan([daily(1), proven(10, is_damaged=True), proven(20), daily(21)])

    assert expired_ids(result) == ["daily-21"]
    assert "newest proven backup that is still good" in words(result, "daily-20")


def test_the_newest_complete_that_is_bad_does_not_stand_in_for_one_that_is_not() -> None:
    result = plan([daily(10, is_damaged=True), daily(11), daily(12)])

    assert expired_ids(result) == ["daily-12"]
    assert "newest complete backup not known to be bad" in words(result, "daily-11")


@pytest.mark.parametrize("doubt", [{"is_expiring": True}, {"unknown": "the catalog does not know it"}])
def test_a_backup_that_is_going_or_unknown_does_not_stand_in_for_the_newest(doubt: dict[str, object]) -> None:
    result = plan([proven(10, **doubt), daily(11), proven(12), daily(13), proven(14)])

    assert expired_ids(result) == ["daily-13", "daily-14"]
    assert "newest complete backup" in words(result, "daily-11")
    assert words(result, "daily-12") == "kept: newest proven backup"


def test_an_expiry_that_was_begun_goes_on_by_its_own_rule() -> None:
    assert expired_ids(plan([proven(1), daily(10, is_expiring=True)])) == ["daily-10"]


def test_a_kind_without_rule_and_a_kind_not_known_stay() -> None:
    result = plan([proven(1), backup(900, BackupKind.WEEKLY), backup(901, None)])

    assert words(result, "weekly-900") == "kept: no retention rule for weekly"
    assert words(result, "unknown-901") == "kept: its kind is not known"


def test_a_recovery_point_in_the_future_stays_and_does_not_count_as_the_newest() -> None:
    result = plan([daily(-2, proven_at=NOW), daily(10), proven(11), daily(12)])

    assert expired_ids(result) == ["daily-12"]
    assert words(result, "daily--2").startswith("kept: its recovery point is 2 d in the future: a clock is wrong")
    assert "newest complete backup" in words(result, "daily-10")
    assert words(result, "daily-11") == "kept: newest proven backup"


def test_an_unreadable_manifest_stops_expiry_of_its_source_only() -> None:
    unreadable = backup(0, None, id="unreadable", recovery_point_at=None, is_unreadable=True)
    others = [daily(1, source="b", id="b1"), daily(9, source="b", id="b9")]

    result = plan([unreadable, proven(1), daily(9), *others])

    assert expired_ids(result) == ["b9"]
    assert "its manifest cannot be read" in words(result, "unreadable")
    assert "another manifest of this source cannot be read" in words(result, "daily-9")


def test_what_the_caller_does_not_know_stays_with_its_words() -> None:
    result = plan([proven(1), daily(9, unknown="the catalog does not know it")])

    assert words(result, "daily-9") == "kept: the catalog does not know it"


def test_a_manifest_without_recovery_point_stays() -> None:
    result = plan([proven(1), daily(9, recovery_point_at=None)])

    assert words(result, "daily-9") == "kept: its recovery point is not known"


def test_a_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="aware"):
        plan_retention([], {}, {}, NOW.replace(tzinfo=None))


def test_no_backups_need_no_decisions() -> None:
    assert plan([]).decisions == ()


def test_every_decision_has_a_verdict_and_a_reason() -> None:
    result = plan([daily(day / 2) for day in range(40)])

    assert {decision.verdict for decision in result.decisions} == {Verdict.KEEP, Verdict.EXPIRE}
    assert all(decision.reasons and all(decision.reasons) for decision in result.decisions)


def test_documented_example_a_quiet_week() -> None:
    result = plan([daily(day + 4 / 24) if day != 7 else proven(day + 4 / 24, id="day 7") for day in range(9)])

    assert expired_ids(result) == [f"daily-{8 + 4 / 24}"]
    assert words(result, f"daily-{3 + 4 / 24}") == "kept: daily, 3 d 4 h old, kept for 7 d"
    assert words(result, "day 7") == "kept: newest proven backup"
    assert words(result, f"daily-{8 + 4 / 24}") == "expires: daily, 8 d 4 h old, limit 7 d"


def test_documented_example_a_month_without_anybody_looking() -> None:
    failures = [daily(day + 4 / 24, state=BackupStatus.FAILED) for day in range(12)]
    complete = [daily(12 + 4 / 24, id="day 12"), daily(13 + 4 / 24, id="day 13")]
    old = [proven(20, id="day 20"), proven(40, id="day 40")]

    result = plan([*failures, *complete, *old])

    assert words(result, "day 12") == "kept: newest complete backup; the newest daily"
    assert words(result, "day 13") == "expires: daily, 13 d 4 h old, limit 7 d"
    assert words(result, "day 20") == "kept: newest proven backup; proven, and newer attempts fail"
    assert words(result, "day 40") == "kept: proven, and newer attempts fail"
    assert expired_ids(plan([daily(0), *failures[1:], *old])) == ["day 40"]


def test_documented_example_the_restore_test_says_no() -> None:
    bad = daily(2, id="day 2", is_test_failed=True)
    old = [proven(10, id="day 10"), proven(38, id="day 38")]

    result = plan([daily(0.2), daily(1), bad, *old])

    assert expired_ids(result) == []
    assert words(result, "day 2") == (
        "kept: shows why proven backups are kept; goes when a newer one is proven; daily, 2 d old, kept for 7 d"
    )
    assert words(result, "day 10") == "kept: newest proven backup; proven, and the newer day 2 failed its restore test"
    assert words(result, "day 38") == "kept: proven, and the newer day 2 failed its restore test"
    assert expired_ids(plan([proven(0.2), daily(1), bad, *old])) == ["day 10", "day 38"]
