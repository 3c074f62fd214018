"""What `goldcopy check` says of a source's numbers: would a bad backup be noticed while a good one is still kept?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from shared.domain.backup import BackupKind
from shared.domain.proof import Finding, Severity
from shared.domain.schedule import Cron, cron_expression
from shared.domain.source import KeepRule, Source
from shared.units import format_alike

WATCH_INTERVAL = timedelta(minutes=10)
"""How often somebody looks whether a restore test has come."""

# A little more than a year, so that every month and both changes of the clock are in it.
_HORIZON = timedelta(days=400)
_INSTANTS = 500
_SHORTEST_MONTH, _SHORTEST_YEAR = 28, 365


@dataclass(frozen=True, slots=True, kw_only=True)
class DetectionLatency:
    """How long a bad backup can stay unseen, and how long good ones are kept.

    Attributes:
        test_interval: The longest time between two restore tests.
        notice_lag: From when a test was expected until somebody hears that it failed or never came.
        retention: How far back the copies of the daily and weekly schedule reach.
    """

    test_interval: timedelta
    notice_lag: timedelta
    retention: timedelta

    @property
    def unseen(self) -> timedelta:
        """The longest time until a bad backup is noticed."""
        return self.test_interval + self.notice_lag

    @property
    def is_met(self) -> bool:
        """Whether a copy from before the trouble is still there when it is noticed."""
        return self.unseen < self.retention


def detection_latency(source: Source, now: datetime) -> DetectionLatency:
    """Work out how long a bad backup of a source could stay unseen, from the configuration alone."""
    schedule = source.schedule
    daily = longest_interval(schedule.daily, schedule.timezone, now)
    weekly = longest_interval(schedule.weekly, schedule.timezone, now)
    tests = longest_interval(cron_expression(schedule.restore_test), schedule.timezone, now)
    return DetectionLatency(
        test_interval=min(tests, daily) if source.restore_test_after_backup else tests,
        notice_lag=schedule.restore_test_grace + WATCH_INTERVAL,
        retention=max(
            _reach(source.retention[BackupKind.DAILY], daily), _reach(source.retention[BackupKind.WEEKLY], weekly)
        ),
    )


def check_detection(source: Source, now: datetime) -> Iterator[Finding]:
    """Find a source whose bad backups could be noticed too late, and say which number to change."""
    latency = detection_latency(source, now)
    if latency.is_met:
        return
    parts = (latency.unseen, latency.test_interval, latency.notice_lag, latency.retention)
    unseen, interval, lag, kept = (_in_days(part) for part in parts)
    days = latency.unseen.days + 1
    yield Finding(
        check="detection-latency",
        severity=Severity.WARNING,
        object=source.name,
        message=f"a bad backup of {source.name} could stay unseen for {unseen} ({interval} between restore tests and "
        f"{lag} until somebody hears of it), and copies of the schedule are kept for {kept}",
        hint=f'Raise retention.weekly of {source.name} to "{days}d" or more, or test more often '
        f"(schedule.restore_test, or restore_test_after_backup = true).",
    )


def check_objective(source: Source, usual_duration: timedelta | None, now: datetime) -> Iterator[Finding]:
    """Find a source whose schedule cannot keep its objective even when every backup succeeds.

    Args:
        source: With its objectives, schedule and grace.
        usual_duration: How long its backups take, where that is known.
        now: Aware instant.
    """
    schedule, rpo = source.schedule, source.objectives.rpo
    interval = longest_interval(schedule.daily, schedule.timezone, now)
    duration = usual_duration or timedelta(0)
    if interval + duration <= rpo + schedule.grace:
        return
    shown_interval, shown_duration, shown_rpo, shown_grace = format_alike(
        *(part.total_seconds() for part in (interval, duration, rpo, schedule.grace))
    )
    takes = f" and take {shown_duration}" if duration else ""
    yield Finding(
        check="objective",
        severity=Severity.WARNING,
        object=source.name,
        message=f"backups of {source.name} come up to {shown_interval} apart{takes}, "
        f"objectives.rpo is {shown_rpo} with {shown_grace} of grace: it will be missed although all goes well",
        hint=f"Let schedule.daily of {source.name} fire more often, or raise objectives.rpo.",
    )


@lru_cache(maxsize=1024)
def longest_interval(expression: str, timezone: str, now: datetime) -> timedelta:
    """Return the longest time between two instants of a schedule, as far as the next year shows."""
    cron = Cron(expression, timezone)
    before = cron.next_after(now)
    longest, seen = timedelta(0), 0
    while seen == 0 or (before < now + _HORIZON and seen < _INSTANTS):
        following = cron.next_after(before)
        longest, before, seen = max(longest, following - before), following, seen + 1
    return longest


def _in_days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):.2f}".rstrip("0").rstrip(".") + " d"


def _reach(rule: KeepRule, interval: timedelta) -> timedelta:
    """Return how far back a rule keeps at least one copy; of N buckets the oldest is at least N - 1 of them old."""
    return max(
        rule.age or timedelta(0),
        interval * max(0, rule.minimum_count - 1),
        timedelta(days=max(0, rule.daily - 1)),
        timedelta(weeks=max(0, rule.weekly - 1)),
        timedelta(days=_SHORTEST_MONTH * max(0, rule.monthly - 1)),
        timedelta(days=_SHORTEST_YEAR * max(0, rule.yearly - 1)),
    )
