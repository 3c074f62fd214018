"""How long a restore would take today, from the restore tests: one number, and from three tests on an interval.

A line is fitted to recovery time against size. Where the tested sizes are too alike to show a slope, time is taken as
proportional to size. The interval is Student's for one further measurement, so it is wide while there are few tests
and far away from the tested sizes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from math import sqrt

from shared.domain.proof import Outcome
from shared.domain.source_facts import RestoreTestFact

COVERAGE = 0.9
"""The share of restores that shall end within the interval."""

TESTS_FOR_INTERVAL = 3

# Two-sided quantiles of Student's t for COVERAGE, by degrees of freedom from 1 on; beyond the table the normal one's.
_STUDENT = (6.314, 2.920, 2.353, 2.132, 2.015, 1.943, 1.895, 1.860, 1.833, 1.812, 1.796, 1.782, 1.771, 1.761, 1.753)
_STUDENT_BEYOND = 1.70
# Sizes within this factor show noise rather than a slope.
_SPREAD_FOR_SLOPE = 1.2
# Sizes are counted in this many bytes, so that sums of squares stay exact enough.
_UNIT = 1e6
# No three tests are so alike that the next one is certain.
_SMALLEST_DEVIATION_RATIO = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """How long the restore of a size would take.

    Attributes:
        seconds: The best guess.
        low_seconds, high_seconds: Interval that holds nine of ten; None with fewer than three tests.
        dumped_bytes: The size that it is for.
        tests: How many tests it stands on.
        last_tested_at: When the newest of them ended.
    """

    seconds: float
    low_seconds: float | None
    high_seconds: float | None
    dumped_bytes: int
    tests: int
    last_tested_at: datetime

    @property
    def likely_seconds(self) -> tuple[float, float]:
        """The interval, or the guess alone where there is none."""
        return (
            self.seconds if self.low_seconds is None else self.low_seconds,
            self.seconds if self.high_seconds is None else self.high_seconds,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """How often the truth fell inside: every test predicted from all others."""

    inside: int
    predicted: int

    @property
    def ratio(self) -> float | None:
        """Share that fell inside, or None where nothing could be predicted."""
        return self.inside / self.predicted if self.predicted else None


@dataclass(frozen=True, slots=True)
class _Point:
    size: float
    seconds: float


@dataclass(frozen=True, slots=True)
class _Sums:
    """What a fit needs of its points; without one of them it is a subtraction."""

    count: int
    size: float
    seconds: float
    size_squares: float
    products: float
    seconds_squares: float
    rates: float
    rate_squares: float

    def without(self, point: _Point) -> "_Sums":
        rate = point.seconds / point.size
        return _Sums(
            self.count - 1,
            self.size - point.size,
            self.seconds - point.seconds,
            self.size_squares - point.size**2,
            self.products - point.size * point.seconds,
            self.seconds_squares - point.seconds**2,
            self.rates - rate,
            self.rate_squares - rate**2,
        )


def predict_recovery(tests: Sequence[RestoreTestFact], dumped_bytes: int) -> Prediction | None:
    """Predict how long the restore of a backup would take.

    Args:
        tests: Of one source, in any order; only those that passed and were timed are used.
        dumped_bytes: Uncompressed size of the backup to restore.

    Returns:
        None where no test can tell.
    """
    usable = _usable(tests)
    if not usable or dumped_bytes <= 0:
        return None
    points = [_point(test) for test in usable]
    newest = max(usable, key=lambda test: test.finished_at)
    if len(points) < TESTS_FOR_INTERVAL:
        guess, half = _point(newest).seconds / newest.dumped_bytes * dumped_bytes, None
    else:
        guess, half = _fitted(_sums(points), _spread(points), dumped_bytes / _UNIT)
    return Prediction(
        seconds=guess,
        low_seconds=None if half is None else max(0.0, guess - half),
        high_seconds=None if half is None else guess + half,
        dumped_bytes=dumped_bytes,
        tests=len(points),
        last_tested_at=newest.finished_at,
    )


def calibrate(tests: Sequence[RestoreTestFact]) -> Calibration:
    """Predict every test from all others of its source and count how often its time fell inside the interval."""
    points = [_point(test) for test in _usable(tests)]
    if len(points) <= TESTS_FOR_INTERVAL:
        return Calibration(inside=0, predicted=0)
    sums, inside = _sums(points), 0
    smallest, second, *_, second_largest, largest = sorted(point.size for point in points)
    for left_out in points:
        high = second_largest if left_out.size == largest else largest
        low = second if left_out.size == smallest else smallest
        guess, half = _fitted(sums.without(left_out), high / low, left_out.size)
        inside += abs(left_out.seconds - guess) <= half
    return Calibration(inside=inside, predicted=len(points))


def _usable(tests: Sequence[RestoreTestFact]) -> list[RestoreTestFact]:
    return [
        test
        for test in tests
        if test.outcome is Outcome.PASSED and test.recovery_time_seconds is not None and test.dumped_bytes > 0
    ]


def _point(test: RestoreTestFact) -> _Point:
    return _Point(test.dumped_bytes / _UNIT, test.recovery_time_seconds or 0.0)


def _sums(points: Sequence[_Point]) -> _Sums:
    rates = [point.seconds / point.size for point in points]
    return _Sums(
        len(points),
        sum([point.size for point in points]),
        sum([point.seconds for point in points]),
        sum([point.size**2 for point in points]),
        sum([point.size * point.seconds for point in points]),
        sum([point.seconds**2 for point in points]),
        sum(rates),
        sum([rate**2 for rate in rates]),
    )


def _spread(points: Sequence[_Point]) -> float:
    """Return how many times the smallest size goes into the largest."""
    sizes = [point.size for point in points]
    return max(sizes) / min(sizes)


def _fitted(sums: _Sums, spread: float, size: float) -> tuple[float, float]:
    """Return the guess for a size and half the interval's width."""
    if spread < _SPREAD_FOR_SLOPE:
        return _proportional(sums, size)
    count = sums.count
    mean_size, mean_seconds = sums.size / count, sums.seconds / count
    size_variation = sums.size_squares - count * mean_size**2
    slope = (sums.products - count * mean_size * mean_seconds) / size_variation
    start = mean_seconds - slope * mean_size
    if slope <= 0 or start < 0:  # a restore has no negative price, neither to begin nor per byte
        return _proportional(sums, size)
    residuals = max(0.0, sums.seconds_squares - count * mean_seconds**2 - slope**2 * size_variation)
    guess = start + slope * size
    deviation = max(sqrt(residuals / (count - 2)), _SMALLEST_DEVIATION_RATIO * guess)
    reach = sqrt(1 + 1 / count + (size - mean_size) ** 2 / size_variation)
    return guess, _student(count - 2) * deviation * reach


def _proportional(sums: _Sums, size: float) -> tuple[float, float]:
    mean = sums.rates / sums.count
    variance = max(0.0, sums.rate_squares - sums.count * mean**2) / (sums.count - 1)
    deviation = max(sqrt(variance), _SMALLEST_DEVIATION_RATIO * mean)
    return mean * size, _student(sums.count - 1) * deviation * sqrt(1 + 1 / sums.count) * size


def _student(freedom: int) -> float:
    return _STUDENT[freedom - 1] if freedom <= len(_STUDENT) else _STUDENT_BEYOND
