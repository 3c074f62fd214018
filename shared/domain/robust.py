"""Robust statistics of a short series: what the next value should be, and how far from it is still normal.

Everything is medians, so up to a third of the values may be wrong without moving the answer much. Values are logarithms
where ratios matter. A series has a level; where it is long enough a trend, if that brings the spread down clearly; and
each weekday may lie off by its own median, once it came often enough. Before that, what the same weekday was in the
weeks before is also normal.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from statistics import median

MAD_TO_DEVIATION = 1.4826
"""The median absolute deviation times this is the standard deviation of normal noise."""

WINDOW = 42
"""Values that are looked at: six weeks of daily backups."""

_TREND_POINTS = 14
_WEEKDAY_POINTS = 4
# What a trend must bring the spread down to: a line always fits a bit better than a level.
_CLEARLY_BETTER = 0.8
# A spread that was measured after each weekday's own median was taken out looks smaller than it is.
_SEASON_COST = 1.2
# A weekday lies off when its median is so many standard errors away.
_SIGNIFICANT = 2.0
_DAY_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a series and its instant."""

    at: datetime
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What the next value should be.

    Attributes:
        middle: The most likely value.
        deviation: Its robust standard deviation, widened where only a few values are behind it.
        points: How many values are behind it.
        weekday: What the same weekday was before, where it came too rarely to judge by it; None otherwise.
    """

    middle: float
    deviation: float
    points: int
    weekday: float | None = None

    def distance(self, value: float) -> float:
        """Return how far a value lies from what would be normal; negative below."""
        distances = [value - middle for middle in (self.middle, self.weekday) if middle is not None]
        return min(distances, key=abs)


@dataclass(frozen=True, slots=True)
class _Model:
    middle: float
    residuals: tuple[float, ...]

    @property
    def spread(self) -> float:
        return median(abs(residual) for residual in self.residuals) * MAD_TO_DEVIATION


def expect(series: Sequence[Value], at: datetime, *, minimum_points: int) -> Expectation | None:
    """Say what the value at an instant should be.

    Args:
        series: Earlier values in order; the value in question is not among them. Only the newest `WINDOW` count.
        at: The instant of the value in question.
        minimum_points: With fewer values nothing is expected.

    Returns:
        The expectation, or None where the series is too short.
    """
    used = series[-WINDOW:]
    if len(used) < max(minimum_points, 1):
        return None
    model = _level(used)
    if len(used) >= _TREND_POINTS:
        line = _trend(used, at)
        model = line if line.spread < model.spread * _CLEARLY_BETTER else model
    few = 1 + 4 / len(used)
    days = _by_weekday(used, model)
    same = days.get(at.weekday(), [])
    if len(same) < _WEEKDAY_POINTS:
        before = model.middle + median(same) if same else None
        return Expectation(middle=model.middle, deviation=model.spread * few, points=len(used), weekday=before)
    offset, spread = _season(used, model, days, at)
    return Expectation(middle=model.middle + offset, deviation=spread * few, points=len(used))


def _level(series: Sequence[Value]) -> _Model:
    middle = median(item.value for item in series)
    return _Model(middle, tuple(item.value - middle for item in series))


def _trend(series: Sequence[Value], at: datetime) -> _Model:
    """Theil and Sen's line: its slope is the median of the slopes between all pairs."""
    begin = series[0].at
    places = [((item.at - begin).total_seconds() / _DAY_SECONDS, item.value) for item in series]
    slopes = [(b - a) / (y - x) for (x, a), (y, b) in combinations(places, 2) if y > x]
    slope = median(slopes) if slopes else 0.0
    base = median(value - slope * place for place, value in places)
    residuals = tuple(value - base - slope * place for place, value in places)
    return _Model(base + slope * (at - begin).total_seconds() / _DAY_SECONDS, residuals)


def _by_weekday(series: Sequence[Value], model: _Model) -> dict[int, list[float]]:
    days: dict[int, list[float]] = defaultdict(list)
    for item, residual in zip(series, model.residuals, strict=True):
        days[item.at.weekday()].append(residual)
    return days


def _season(series: Sequence[Value], model: _Model, days: dict[int, list[float]], at: datetime) -> tuple[float, float]:
    """Return how far the weekday lies off, and the spread that is left."""
    usual = {day: median(values) for day, values in days.items() if len(values) >= _WEEKDAY_POINTS}
    left = _Model(
        0.0,
        tuple(
            residual - usual.get(item.at.weekday(), 0.0) for item, residual in zip(series, model.residuals, strict=True)
        ),
    )
    spread, offset = left.spread * _SEASON_COST, usual[at.weekday()]
    if abs(offset) <= _SIGNIFICANT * spread / math.sqrt(len(days[at.weekday()])):
        return 0.0, model.spread
    return offset, spread
