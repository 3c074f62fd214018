"""How much will be stored: a robust trend of the past, carried on with an interval.

What was stored on an earlier day follows backwards from today: less what came later, plus what cleanups freed later.
The trend is Theil and Sen's line through one value a week, so a huge backup that came and went does not move it. Its
interval comes from the past itself: how wrong the same line was, drawn at earlier weeks and read as far ahead.

A young repository only grows, because nothing is old enough to expire yet. Carried on, that growth would be wrong by
as much as retention removes; so there is no forecast before backups have begun to go, and it says until when.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import combinations, pairwise
from statistics import median

MONTH_DAYS = 30.4375
SAMPLE_DAYS = 7
# Eight weekly values: with fewer, one odd week is an eighth of all that is known.
MINIMUM_DAYS = 8 * SAMPLE_DAYS
WINDOW_DAYS = 26 * SAMPLE_DAYS
CONFIDENCE = 0.8
# Of normal errors, 80 % lie within so many standard deviations; a deviation is 1.4826 median absolute deviations.
_WIDTH = 1.2816 * 1.4826
_LEAST_FOR_ERRORS = 5


@dataclass(frozen=True, slots=True)
class DayVolume:
    """What was stored at the end of a UTC day."""

    day: date
    stored_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ForecastPoint:
    """What will be stored on a day, with an interval that holds the true value four times out of five."""

    day: date
    stored_bytes: int
    low_bytes: int
    high_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How what is stored has changed.

    Attributes:
        bytes_per_month: Of the robust line; negative where it shrinks.
        ratio_per_month: The same as a share of what is stored now; None where nothing is.
        days: How long the past is that it was measured over.
        is_filling: Whether it was measured over a time in which backups were not yet old enough to expire.
    """

    bytes_per_month: int
    ratio_per_month: float | None
    days: int
    is_filling: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What is known of the volume to come.

    Attributes:
        growth: None where the past is too short to tell.
        points: A month apart, the first a month from today; empty where nothing can be foretold.
        reason: Why there is no forecast, in one sentence; empty where there is one.
    """

    growth: Growth | None
    points: tuple[ForecastPoint, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitReached:
    """When a limit is reached.

    Attributes:
        month: First day of the expected month; None where it is not reached within the forecast.
        earliest: The same at the upper end of the interval.
        is_reached: Whether what is stored today is past it already.
    """

    month: date | None
    earliest: date | None
    is_reached: bool = False


def volume_history(
    stored_bytes: int, added: Mapping[date, int], freed: Mapping[date, int], today: date, since: date
) -> tuple[DayVolume, ...]:
    """Say what was stored at the end of every day, from what is stored now.

    Args:
        stored_bytes: Stored now.
        added: New bytes by day.
        freed: Bytes that cleanups freed by day.
        today: The UTC day of now.
        since: First day asked for; days before the first byte are left out.

    Returns:
        One value a day, oldest first, the last is today's.
    """
    first = max(since, min([day for day in added if added[day]], default=today))
    volumes = []
    volume, day = stored_bytes, today
    while day >= first:
        volumes.append(DayVolume(day, max(volume, 0)))
        volume += freed.get(day, 0) - added.get(day, 0)
        day -= timedelta(days=1)
    return tuple(reversed(volumes))


def foretell(history: Sequence[DayVolume], *, settled_on: date | None, months: int = 12) -> Forecast:
    """Measure the growth and carry it on.

    Args:
        history: One value a day, oldest first; the last one is today.
        settled_on: From which day on backups were old enough to expire; None where they never expire by age.
        months: How far to look ahead.
    """
    if not history:
        return Forecast(growth=None, reason="Nothing is stored yet.")
    today = history[-1]
    settled = [item for item in history if settled_on is None or item.day >= settled_on]
    used = settled if _span(settled) >= MINIMUM_DAYS else history
    used = [item for item in used if item.day > today.day - timedelta(days=WINDOW_DAYS)]
    samples = _weekly(used)
    if len(samples) < 3:
        return Forecast(growth=None, reason=_too_short(_span(history)))
    slope = _slope(samples)
    growth = Growth(
        bytes_per_month=round(slope * MONTH_DAYS),
        ratio_per_month=slope * MONTH_DAYS / today.stored_bytes if today.stored_bytes else None,
        days=_span(used),
        is_filling=settled_on is not None and _span(settled) < MINIMUM_DAYS,
    )
    if _span(settled) < MINIMUM_DAYS:
        return Forecast(growth=growth, reason=_not_settled(settled_on, today.day, _span(history)))
    return Forecast(growth=growth, points=tuple(_points(samples, today, slope, months)))


def when_reached(forecast: Forecast, stored_bytes: int, limit_bytes: int, today: date) -> LimitReached:
    """Say in which month a limit is reached."""
    if stored_bytes >= limit_bytes:
        return LimitReached(month=today.replace(day=1), earliest=today.replace(day=1), is_reached=True)
    middle = [(today, stored_bytes), *((point.day, point.stored_bytes) for point in forecast.points)]
    upper = [(today, stored_bytes), *((point.day, point.high_bytes) for point in forecast.points)]
    return LimitReached(month=_crossing(middle, limit_bytes), earliest=_crossing(upper, limit_bytes))


def _span(history: Sequence[DayVolume]) -> int:
    return (history[-1].day - history[0].day).days if history else 0


def _too_short(days: int) -> str:
    return f"{_recorded(days)}; a trend needs {2 * SAMPLE_DAYS} and a forecast {MINIMUM_DAYS}."


def _recorded(days: int) -> str:
    if not days:
        return "The first day is not over"
    return f"Only {days} days are recorded" if days > 1 else "Only 1 day is recorded"


def _not_settled(settled_on: date | None, today: date, days: int) -> str:
    if settled_on is None:
        return f"{_recorded(days)}; a forecast needs {MINIMUM_DAYS}."
    from_day = settled_on + timedelta(days=MINIMUM_DAYS)
    begun = "begin" if today < settled_on else "began"
    return (
        f"The repository is still filling up: backups {begun} to expire on {settled_on}, "
        f"so the growth until then says little. There is a forecast from {from_day} on."
    )


def _weekly(history: Sequence[DayVolume]) -> list[tuple[float, float]]:
    """Take every seventh day back from the last: a week's ups and downs cancel, and pairs stay few."""
    last = history[-1].day if history else date.min
    chosen = [item for item in history if (last - item.day).days % SAMPLE_DAYS == 0]
    return [(float((item.day - last).days), float(item.stored_bytes)) for item in chosen]


def _slope(samples: Sequence[tuple[float, float]]) -> float:
    """Return Theil and Sen's slope: the median over all pairs."""
    return median((b - a) / (y - x) for (x, a), (y, b) in combinations(samples, 2))


def _points(samples: Sequence[tuple[float, float]], today: DayVolume, slope: float, months: int) -> list[ForecastPoint]:
    points = []
    for month in range(1, months + 1):
        ahead = round(month * MONTH_DAYS)
        middle = today.stored_bytes + slope * ahead
        spread = _WIDTH * _usual_error(samples, ahead)
        points.append(
            ForecastPoint(
                day=today.day + timedelta(days=ahead),
                stored_bytes=max(round(middle), 0),
                low_bytes=max(round(middle - spread), 0),
                high_bytes=max(round(middle + spread), 0),
            )
        )
    return points


def _usual_error(samples: Sequence[tuple[float, float]], ahead_days: int) -> float:
    """Say how wrong the line was, drawn at earlier weeks and read ahead.

    Errors that could be measured as far ahead are used as they are. Farther ahead than half the past nothing could be
    measured often enough: from there on the farthest measured error grows in proportion, as that of a wrong slope does.
    """
    weeks = max(1, math.ceil(ahead_days / SAMPLE_DAYS))
    measurable = max(1, min(weeks, (len(samples) - _LEAST_FOR_ERRORS) // 2))
    errors = []
    for end in range(_LEAST_FOR_ERRORS, len(samples) - measurable + 1):
        known, (place, actual) = samples[:end], samples[end + measurable - 1]
        line = known[-1][1] + _slope(known) * (place - known[-1][0])
        errors.append(abs(actual - line))
    steps = [abs(b[1] - a[1]) for a, b in pairwise(samples)]
    measured = median(errors) if errors else median(steps)
    return max(measured, _floor(samples)) * max(1.0, weeks / measurable)


def _floor(samples: Sequence[tuple[float, float]]) -> float:
    """A past without any noise still promises nothing: one thousandth of what is stored."""
    return samples[-1][1] / 1000


def _crossing(places: Sequence[tuple[date, int]], limit_bytes: int) -> date | None:
    """Return the first day of the month in which the limit is crossed, on straight lines between the points."""
    for (begin, low), (end, high) in pairwise(places):
        if high >= limit_bytes > low:
            share = (limit_bytes - low) / (high - low)
            return (begin + timedelta(days=round((end - begin).days * share))).replace(day=1)
    return None
