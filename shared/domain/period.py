"""A period that a report is about: a month, a quarter, a year, or days from and to, all in UTC."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from shared.units import format_instant

SHORTEST_GAP = timedelta(hours=1)
"""A watch that looks every ten minutes and was away for less has missed nothing that a report would speak of."""

_FIRST_YEAR = 2000
_MONTH = re.compile(r"(\d{4})-(\d{2})", re.ASCII)
_QUARTER = re.compile(r"(\d{4})-Q([1-4])", re.ASCII | re.IGNORECASE)
_YEAR = re.compile(r"(\d{4})", re.ASCII)
_DAYS = re.compile(r"(\d{4}-\d{2}-\d{2})\.\.(\d{4}-\d{2}-\d{2})", re.ASCII)
_EXAMPLES = "write for example 2026-10, 2026-Q4, 2026 or 2026-10-01..2026-10-15"


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """Some whole UTC days.

    Attributes:
        label: Canonical short form, such as `2026-10`; fit for a file name.
        begins_at: Start of the first day.
        ends_at: End of the last day; not itself part of it.
    """

    label: str
    begins_at: datetime
    ends_at: datetime

    @property
    def title(self) -> str:
        """The name for people: October 2026, Q4 2026, 2026, 2026-10-01 to 2026-10-15."""
        if _MONTH.fullmatch(self.label):
            return f"{self.begins_at:%B %Y}"
        if quarter := _QUARTER.fullmatch(self.label):
            return f"Q{quarter[2]} {quarter[1]}"
        return self.label.replace("..", " to ")


class Stretch(NamedTuple):
    """From an instant to another."""

    begins_at: datetime
    ends_at: datetime

    @property
    def duration(self) -> timedelta:
        """How long it is."""
        return self.ends_at - self.begins_at


def within(stretches: Iterable[Stretch], begins_at: datetime, until: datetime) -> tuple[Stretch, ...]:
    """Cut stretches to a time, join those that overlap, and leave out what is shorter than `SHORTEST_GAP` then."""
    joined: list[Stretch] = []
    for stretch in sorted(stretches):
        cut = Stretch(max(stretch.begins_at, begins_at), min(stretch.ends_at, until))
        if joined and cut.begins_at <= joined[-1].ends_at:
            cut = Stretch(joined[-1].begins_at, max(joined.pop().ends_at, cut.ends_at))
        joined.append(cut)
    return tuple(stretch for stretch in joined if stretch.duration >= SHORTEST_GAP)


def parse_period(text: str) -> Period:
    """Read a period.

    Raises:
        ValueError: The text names none.
    """
    text = text.strip()
    try:
        if month := _MONTH.fullmatch(text):
            return _months(text, int(month[1]), int(month[2]), 1)
        if quarter := _QUARTER.fullmatch(text):
            return _months(text.upper(), int(quarter[1]), 3 * int(quarter[2]) - 2, 3)
        if year := _YEAR.fullmatch(text):
            return _months(text, int(year[1]), 1, 12)
        if days := _DAYS.fullmatch(text):
            first, last = date.fromisoformat(days[1]), date.fromisoformat(days[2])
            if first > last:
                raise ValueError("the last day is before the first")
            return Period(label=text, begins_at=_start(first), ends_at=_start(last + timedelta(days=1)))
    except (ValueError, OverflowError) as error:
        raise ValueError(f"{text!r} is not a period ({error}); {_EXAMPLES}") from error
    raise ValueError(f"{text!r} is not a period; {_EXAMPLES}")


def month_of(at: datetime) -> Period:
    """Return the UTC month in which an instant lies."""
    return parse_period(f"{at.astimezone(UTC):%Y-%m}")


def month_before(at: datetime) -> Period:
    """Return the last whole UTC month before an instant."""
    return month_of(month_of(at).begins_at - timedelta(days=1))


def format_second(at: datetime) -> str:
    """Print an instant to the second, which is as fine as a report is read."""
    return format_instant(at.replace(microsecond=0))


def _months(label: str, year: int, month: int, count: int) -> Period:
    following = year * 12 + month - 1 + count
    end = date(following // 12, following % 12 + 1, 1)
    return Period(label=label, begins_at=_start(date(year, month, 1)), ends_at=_start(end))


def _start(day: date) -> datetime:
    if day.year < _FIRST_YEAR:
        raise ValueError(f"nothing is kept from before {_FIRST_YEAR}")
    return datetime.combine(day, time(), UTC)
