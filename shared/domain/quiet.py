"""When nobody wants to be told: quiet hours for what can wait, maintenance windows for what was announced.

Quiet hours are read on the wall clock, so a night in which the clock jumps is shorter or longer and needs no rule.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.domain.schedule import Cron

_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuietHours:
    """A part of the day, also over midnight; `begin` is inside, `end` is not.

    Attributes:
        begin: Wall-clock time at which it begins.
        end: Wall-clock time at which it is over.
        timezone: Name of the zone whose wall clock is meant.
    """

    begin: time
    end: time
    timezone: str = "UTC"

    def holds(self, now: datetime) -> bool:
        """Say whether it is quiet now."""
        at = now.astimezone(ZoneInfo(self.timezone)).time()
        if self.begin <= self.end:
            return self.begin <= at < self.end
        return at >= self.begin or at < self.end

    def end_after(self, now: datetime) -> datetime:
        """Return the next instant at which it is over, in UTC."""
        return Cron(f"{self.end.minute} {self.end.hour} * * *", self.timezone).next_after(now)


def parse_quiet_hours(text: str, timezone: str = "UTC") -> QuietHours:
    """Read `22:00-07:00`.

    Raises:
        ValueError: It cannot be understood, or lasts all day.
    """
    match = _HOURS.fullmatch(text.strip())
    if not match:
        raise ValueError(f"{text!r} is not a part of a day; write for example 22:00-07:00")
    begin, end = time(int(match[1]), int(match[2])), time(int(match[3]), int(match[4]))
    if begin == end:
        raise ValueError(f"{text!r} has no length; leave it out to have no quiet hours")
    return QuietHours(begin=begin, end=end, timezone=timezone)


@dataclass(frozen=True, slots=True, kw_only=True)
class MaintenanceWindow:
    """A time in which trouble is expected: it is recorded, and told only if it is still there afterwards.

    Attributes:
        reason: Why, as it is shown with what was held back.
        sources: Names of the sources that it is for; empty means all of them and the system itself.
        begins_at: Beginning of a window that comes once.
        ends_at: Its end.
        cron: Beginning of a window that comes again and again, instead of the two.
        lasts: How long each of those is.
    """

    reason: str
    sources: frozenset[str] = frozenset()
    begins_at: datetime | None = None
    ends_at: datetime | None = None
    cron: Cron | None = None
    lasts: timedelta = timedelta(0)

    def holds(self, source: str, now: datetime) -> bool:
        """Say whether the source is under maintenance now; the system itself has the empty name."""
        if self.sources and source not in self.sources:
            return False
        if self.cron is not None:
            return now < self.cron.previous_before(now) + self.lasts
        return self.begins_at is not None and self.ends_at is not None and self.begins_at <= now < self.ends_at


def maintenance_of(source: str, windows: Iterable[MaintenanceWindow], now: datetime) -> str:
    """Return the reason of the first window that holds for a source now, or nothing."""
    return next((window.reason for window in windows if window.holds(source, now)), "")
