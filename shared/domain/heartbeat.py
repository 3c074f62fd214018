"""What a day came to for one source: the cells of the heartbeat strip and of the calendar."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

from shared.domain.schedule import Cron
from shared.domain.source import Source

_WHOLE_DAY = timedelta(days=1)


class DayState(StrEnum):
    """What a day came to; nothing arrived is a loud state of its own, since silence is how backups usually die."""

    NOT_EXPECTED = "not expected"
    OK = "ok"
    PARTLY = "some failed"
    FAILED = "failed"
    MISSING = "nothing arrived"


BAD_DAYS = frozenset({DayState.PARTLY, DayState.FAILED, DayState.MISSING})


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCount:
    """How many backups that began on a UTC day succeeded and failed."""

    ok: int = 0
    failed: int = 0


_NOTHING = DayCount()


def day_states(
    source: Source,
    counts: Mapping[date, DayCount],
    days: Sequence[date],
    *,
    first_backup_at: datetime | None,
    now: datetime,
) -> tuple[DayState, ...]:
    """Say what each day came to.

    Args:
        source: With its schedule and grace.
        counts: Of the UTC days on which something began.
        days: Which UTC days, oldest first.
        first_backup_at: Before it nothing was expected; None where there never was a backup.
        now: What is expected later than grace ago may still come.
    """
    if not days:
        return ()
    schedule = source.schedule
    expected = _expected_days(schedule.daily, schedule.timezone, days[0], days[-1])
    return tuple(
        _state(
            counts.get(day, _NOTHING),
            is_missing=_is_missing(expected.get(day), first_backup_at, now - schedule.grace),
        )
        for day in days
    )


def _state(count: DayCount, *, is_missing: bool) -> DayState:
    if count.ok:
        return DayState.PARTLY if count.failed else DayState.OK
    if count.failed:
        return DayState.FAILED
    return DayState.MISSING if is_missing else DayState.NOT_EXPECTED


def _is_missing(expected_at: datetime | None, first_backup_at: datetime | None, late: datetime) -> bool:
    return expected_at is not None and first_backup_at is not None and first_backup_at < expected_at <= late


@lru_cache(maxsize=256)
def _expected_days(expression: str, timezone: str, first: date, last: date) -> dict[date, datetime]:
    """Return the first instant of a schedule on every UTC day that has one; shared by the sources of one schedule."""
    cron = Cron(expression, timezone)
    found: dict[date, datetime] = {}
    at, end = datetime.combine(first, time(), UTC), datetime.combine(last, time(), UTC) + _WHOLE_DAY
    at -= timedelta(microseconds=1)
    while (at := cron.next_after(at)) < end:
        found[at.date()] = at
        at = datetime.combine(at.date(), time.max, UTC)  # once a day is enough, however often it fires
    return found
