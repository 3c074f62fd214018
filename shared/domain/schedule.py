"""The words of a schedule: cron expressions of five fields, and `last friday 04:00`.

Prefect fires; this module says when something was expected, so that the configuration can be checked and health can
judge. It reads the forms that Prefect reads too (lists, ranges, steps, names, `L5` for the last Friday of a month),
and it is compared with Prefect's own reading over ten years in tests. A day matches as in cron: where both day
fields are restricted, one of them is enough.

Wall clocks jump twice a year. A time that a clock skips counts at the instant it would have been without the jump,
and of a time that comes twice the first counts. UTC knows neither.
"""

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_DAY_NAMES = {name[:3]: number for number, name in enumerate(_DAYS)}
_MONTH_NAMES = {name.lower(): number for number, name in enumerate(calendar.month_abbr) if name}
_LAST_DAY = re.compile(rf"last\s+({'|'.join(_DAYS)})\s+([01]\d|2[0-3]):([0-5]\d)", re.IGNORECASE)
_NONE: dict[str, int] = {}

# A leap day that must also be a Friday comes back within 28 years, or 40 across a century without a leap year.
_HORIZON_DAYS = 41 * 366


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression of five fields that can be asked for its instants; equal ones mean the same.

    Attributes:
        expression: As written; Prefect reads the same words.
        timezone: Name of the zone whose wall clock is meant, such as `Europe/Zurich`.

    Raises:
        ValueError: The expression, or the zone, cannot be understood; the message says which part.
    """

    expression: str = field(compare=False)
    timezone: str = "UTC"
    _fields: "_Fields" = field(init=False, repr=False)

    def __post_init__(self) -> None:
        _zone(self.timezone)
        try:
            object.__setattr__(self, "_fields", _parse_fields(self.expression))
            self.next_after(datetime(2024, 1, 1, tzinfo=UTC))
        except ValueError as error:
            raise ValueError(f"{self.expression!r} is not a schedule: {error}") from error

    def next_after(self, at: datetime) -> datetime:
        """Return the first expected instant later than `at`, aware, in UTC.

        Raises:
            ValueError: The schedule never comes, such as 30 February.
        """
        return next(instant for instant in self._instants(at, step=1) if instant > at)

    def previous_before(self, at: datetime) -> datetime:
        """Return the last expected instant at or before `at`, aware, in UTC.

        Raises:
            ValueError: The schedule never comes, such as 30 February.
        """
        return next(instant for instant in self._instants(at, step=-1) if instant <= at)

    def _instants(self, near: datetime, *, step: int) -> Iterator[datetime]:
        """Yield instants from the day before `near` (seen in the direction of `step`) on, in that direction."""
        zone = _zone(self.timezone)
        day = near.astimezone(zone).date() - timedelta(days=step)
        for _ in range(_HORIZON_DAYS):
            if self._fields.match(day):
                # fold=0 gives the first of two equal wall times, and for a skipped one the offset before the jump.
                times = [datetime.combine(day, at, tzinfo=zone).astimezone(UTC) for at in self._fields.times]
                yield from sorted(times, reverse=step < 0)
            day += timedelta(days=step)
        raise ValueError("the schedule never comes: no such day exists")


def parse_restore_test_schedule(text: str, timezone: str = "UTC") -> Cron:
    """Read `last friday 04:00`, or a cron expression of five fields.

    Raises:
        ValueError: The words, or the zone, cannot be understood; the message says which part.
    """
    return Cron(cron_expression(text), timezone)


def cron_expression(text: str) -> str:
    """Turn `last friday 04:00` into the cron that Prefect understands, `0 4 * * L5`; cron stays as it is."""
    match = _LAST_DAY.fullmatch(text.strip())
    if not match:
        return " ".join(text.split())
    return f"{int(match[3])} {int(match[2])} * * L{_DAYS.index(match[1].lower())}"


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{name!r} is not a time zone; write a name such as UTC or Europe/Zurich") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class _Fields:
    """What five fields mean: the times of a matching day, and which days match (Sunday is 0)."""

    times: tuple[time, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    last_weekdays: frozenset[int]
    either_day: bool

    def match(self, day: date) -> bool:
        """Say whether the schedule comes on this day."""
        if day.month not in self.months:
            return False
        weekday = day.isoweekday() % 7
        is_last = day.day + 7 > calendar.monthrange(day.year, day.month)[1]
        by_week = weekday in self.weekdays or (is_last and weekday in self.last_weekdays)
        by_month = day.day in self.days
        return (by_month or by_week) if self.either_day else (by_month and by_week)


def _parse_fields(expression: str) -> _Fields:
    fields = expression.split()
    if len(fields) != 5:
        raise ValueError("write five cron fields such as '0 2 * * *', or for a restore test 'last friday 04:00'")
    minutes, hours = _parse_field(fields[0], 0, 59, _NONE), _parse_field(fields[1], 0, 23, _NONE)
    weekdays, last_weekdays = _parse_weekdays(fields[4])
    return _Fields(
        times=tuple(time(hour, minute) for hour in sorted(hours) for minute in sorted(minutes)),
        days=_parse_field(fields[2], 1, 31, _NONE),
        months=_parse_field(fields[3], 1, 12, _MONTH_NAMES),
        weekdays=weekdays,
        last_weekdays=last_weekdays,
        either_day=not fields[2].startswith("*") and not fields[4].startswith("*"),
    )


def _parse_weekdays(text: str) -> tuple[frozenset[int], frozenset[int]]:
    """Split `mon-fri,L5` into plain days and last-of-the-month days; Sunday is 0 or 7."""
    plain: set[int] = set()
    last: set[int] = set()
    for term in text.split(","):
        if term[:1].upper() == "L" and term[1:].isdigit():
            last |= _parse_field(term[1:], 0, 7, _NONE)
        else:
            plain |= _parse_field(term, 0, 7, _DAY_NAMES)
    return frozenset(day % 7 for day in plain), frozenset(day % 7 for day in last)


def _parse_field(text: str, low: int, high: int, names: dict[str, int]) -> frozenset[int]:
    """Read one cron field: `*`, numbers, names, ranges, steps and lists of them."""
    found: set[int] = set()
    for term in text.split(","):
        span, _, step_text = term.partition("/")
        step = _number(step_text, 1, high, _NONE) if "/" in term else 1
        if span == "*":
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, low, high, names)
            # "5/15" means from 5 to the end of the range in steps of 15, as cron daemons read it.
            last = _number(end, low, high, names) if dash else (high if "/" in term else first)
        if last < first:
            raise ValueError(f"the range {span!r} runs backwards")
        found.update(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, low: int, high: int, names: dict[str, int]) -> int:
    number = names.get(text.lower(), -1)
    if text.isascii() and text.isdigit():
        number = int(text)
    if not low <= number <= high:
        raise ValueError(f"{text!r} is not between {low} and {high}")
    return number
