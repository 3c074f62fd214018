"""What the clock finds missing: also on nights on which the clock jumps."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.anomaly import AnomalyPolicy, Rule
from shared.domain.backup import BackupKind
from shared.domain.overdue import RunInProgress, detect_overdue, missed_runs
from shared.domain.schedule import Cron
from shared.domain.source import Schedule, Source

DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
KNOWN = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)  # a Monday
DAILY, WEEKLY, MANUAL = BackupKind.DAILY, BackupKind.WEEKLY, BackupKind.MANUAL


def objects(now: datetime, attempts: dict[BackupKind, datetime], source: Source | None = None) -> list[str]:
    found = detect_overdue(source or Source(name="app"), known_since=KNOWN, attempts=attempts, running=(), now=now)
    return [anomaly.object for anomaly in found]


def stuck(run: RunInProgress, now: datetime) -> list[str]:
    attempts = {DAILY: now, WEEKLY: now}
    found = detect_overdue(Source(name="app"), known_since=KNOWN, attempts=attempts, running=(run,), now=now)
    assert all(anomaly.rule is Rule.RUN_STUCK for anomaly in found)
    return [anomaly.sentence for anomaly in found]


def test_expected_backup_that_never_began_is_named_after_its_grace() -> None:
    expected = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
    assert objects(expected + 2 * HOUR - timedelta(seconds=1), {}) == []
    assert objects(expected + 2 * HOUR, {}) == ["daily backup"]
    (anomaly,) = detect_overdue(
        Source(name="app"), known_since=KNOWN, attempts={}, running=(), now=expected + 2 * DAY + 3 * HOUR
    )
    assert anomaly.sentence == (
        "the daily backup of 2026-11-03 02:00 UTC never began, and 2 more since; that is 2 d 3 h ago"
    )
    assert anomaly.started_at == expected


def test_backup_that_failed_or_runs_is_no_gap() -> None:
    assert objects(datetime(2026, 11, 3, 9, 0, tzinfo=UTC), {DAILY: datetime(2026, 11, 3, 2, 0, 5, tzinfo=UTC)}) == []


def test_late_backup_closes_the_gap_and_a_manual_one_does_for_a_daily_one() -> None:
    evening = datetime(2026, 11, 3, 20, 0, tzinfo=UTC)
    assert objects(evening, {DAILY: evening - 10 * HOUR}) == []
    assert objects(evening, {MANUAL: evening - 10 * HOUR}) == []


def test_weekly_backup_must_come_by_itself_where_schedules_are_used() -> None:
    monday = datetime(2026, 11, 9, 2, 30, tzinfo=UTC)
    assert objects(monday, {DAILY: monday - HOUR / 2}) == ["weekly backup"]
    assert objects(monday, {DAILY: monday - HOUR / 2, WEEKLY: monday - DAY}) == []
    assert objects(monday, {MANUAL: monday - HOUR / 2}) == []


def test_nothing_is_missing_from_before_the_source_was_known() -> None:
    assert objects(KNOWN + HOUR, {}) == []


def test_ignored_gap_is_silent() -> None:
    source = Source(name="app", anomalies=AnomalyPolicy(ignore=("schedule-gap:weekly backup",)))
    assert objects(KNOWN + 8 * DAY, {DAILY: KNOWN}, source) == ["daily backup"]


@pytest.mark.parametrize("zone", ["Europe/Zurich", "America/New_York", "Australia/Lord_Howe", "UTC"])
@pytest.mark.parametrize("cron", ["30 2 * * *", "0 2 * * *", "15 1 * * *", "0 */6 * * *"])
def test_punctual_backups_leave_no_gap_over_a_year_of_clock_changes(zone: str, cron: str) -> None:
    schedule = Cron(cron, zone)
    source = Source(name="app", schedule=Schedule(daily=cron, weekly=cron, timezone=zone))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(380):
        following = schedule.next_after(at)
        attempts = {DAILY: at + timedelta(minutes=1), WEEKLY: at + timedelta(minutes=1)}
        just_before = following + timedelta(hours=2) - timedelta(seconds=1)
        assert objects(just_before, attempts, source) == []
        assert objects(following + timedelta(hours=2), attempts, source) == ["daily backup", "weekly backup"]
        at = following


def test_missed_nights_are_counted_across_a_clock_change() -> None:
    zone = ZoneInfo("Europe/Zurich")
    last = datetime(2026, 10, 24, 2, 31, tzinfo=zone)  # the night after, clocks go back at three
    missed = missed_runs(Cron("30 2 * * *", "Europe/Zurich"), last, datetime(2026, 10, 27, 12, 0, tzinfo=zone))
    assert [at.astimezone(zone).day for at in missed] == [25, 26, 27]
    assert missed[0] == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)


@given(minutes=st.integers(0, 60 * 24 * 60), grace=st.integers(0, 600))
@settings(max_examples=60, deadline=None)
def test_gap_is_said_exactly_when_an_instant_lies_between_the_last_run_and_now(minutes: int, grace: int) -> None:
    source = Source(name="app", schedule=Schedule(grace=timedelta(minutes=grace)))
    now = KNOWN + timedelta(minutes=minutes)
    last = now - timedelta(hours=30)
    expected = Cron("0 2 * * *").next_after(last) <= now - timedelta(minutes=grace)
    assert ("daily backup" in objects(now, {MANUAL: last}, source)) is expected


def test_run_that_fell_silent_or_takes_far_longer_than_usual_is_stuck() -> None:
    now = KNOWN
    usual = (600.0,) * 10
    begun = RunInProgress(
        number=7,
        operation="backup",
        started_at=now - HOUR,
        heartbeat_at=now - timedelta(seconds=20),
        usual_seconds=usual,
    )
    assert stuck(begun, now) == []
    (silent,) = stuck(RunInProgress(number=7, operation="backup", started_at=now - HOUR, heartbeat_at=now - HOUR), now)
    assert silent == "the backup (run 7) that began at 2026-11-02 11:00 UTC has been silent for 1 h"
    long = RunInProgress(number=7, operation="backup", started_at=now - 2 * HOUR, heartbeat_at=now, usual_seconds=usual)
    assert stuck(long, now) == ["the backup (run 7) has been running for 2 h; usually it takes 10 min"]


def test_run_without_others_to_go_by_may_take_a_day() -> None:
    run = RunInProgress(number=1, operation="restore_test", started_at=KNOWN, heartbeat_at=KNOWN + 25 * HOUR)
    assert stuck(run, KNOWN + 23 * HOUR) == []
    assert stuck(run, KNOWN + 25 * HOUR) == [
        "the restore_test (run 1) has been running for 25 h; that is longer than any should"
    ]
