"""What charts draw, worked out from facts without any chart: points in the viewer's time, few enough to draw."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from math import sqrt

from monitor_app.components.text import span
from shared.domain.exposure import Breach, Segment, find_breaches, sawtooth
from shared.domain.size_band import expected_band
from shared.units import format_alike

MOST_POINTS = 2000
_HOUR, _DAY = 3600.0, 86400.0
_HOURS_UP_TO = timedelta(days=3)
_UNITS = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3), ("B", 1))

Point = tuple[datetime, float | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exposure:
    """Exposure over time beside its limit.

    Attributes:
        points: In `unit`, oldest first; None where there was nothing to restore.
        limit: In the same unit.
        limit_label: What was agreed, in words.
        breaches: Times above the limit, oldest first.
        peaks: Highest point of each of them that has one.
    """

    points: tuple[Point, ...]
    unit: str
    limit: float
    limit_label: str
    breaches: tuple[Breach, ...]
    peaks: tuple[tuple[datetime, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SizePoint:
    """One backup of a series.

    Attributes:
        low, high: What was to be expected; None where too few came before.
        note: Why it stands out, or empty.
    """

    at: datetime
    backup_id: str
    size: float
    low: float | None
    high: float | None
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """Sizes of the backups of one kind; every number in `unit`."""

    points: tuple[SizePoint, ...]
    unit: str

    @property
    def unusual(self) -> tuple[SizePoint, ...]:
        """Those that stand out."""
        return tuple(point for point in self.points if point.note)

    def since(self, at: datetime, where: tzinfo) -> "Sizes":
        """Return only what is not older than an instant."""
        first = local(at, where)
        return Sizes(points=tuple(point for point in self.points if point.at >= first), unit=self.unit)


def exposure_series(segments: Sequence[Segment], objective: timedelta, grace: timedelta, where: tzinfo) -> Exposure:
    """Return exposure over time.

    Args:
        segments: What could be restored, without a gap.
        objective: What was agreed.
        grace: How far above it nobody is told.
        where: The viewer's time zone.
    """
    limit = objective + grace
    seconds, unit = (_HOUR, "h") if limit < _HOURS_UP_TO else (_DAY, "days")
    corners = [
        (local(at, where), None if exposure is None else exposure.total_seconds() / seconds)
        for at, exposure in sawtooth(segments)
    ]
    breaches = find_breaches(segments, limit)
    peaks = [
        (local(item.ends_at, where), (item.ends_at - item.recovery_point_at).total_seconds() / seconds)
        for item in segments
        if item.recovery_point_at is not None and item.ends_at - item.recovery_point_at > limit
    ]
    agreed, graced = format_alike(objective.total_seconds(), grace.total_seconds()) if grace else ("", "")
    plain = f"{objective.total_seconds() / seconds:g} {unit}"
    return Exposure(
        points=thin(corners),
        unit=unit,
        limit=limit.total_seconds() / seconds,
        limit_label=f"objective {agreed} + {graced} grace" if grace else f"objective {plain}",
        breaches=breaches,
        peaks=tuple(peaks),
    )


def exposure_finding(series: Exposure, at_risk: timedelta | None, days: int, *, begun: timedelta | None = None) -> str:
    """Say what the chart shows: `Objective missed 3 times in 180 days; 2 h at risk now`.

    Args:
        series: What is drawn.
        at_risk: Exposure now; None where nothing could be restored.
        days: Of the window.
        begun: How long ago the first backup was, where that is less than the window.
    """
    number = len(series.breaches)
    since = "" if begun is None else f"since its first backup {span(begun.total_seconds())} ago"
    times = "once" if number == 1 else f"{number} times"
    found = f"missed {times} {since or f'in {days} days'}" if number else f"kept {since or f'for {days} days'}"
    now = "nothing could be restored now" if at_risk is None else f"{span(at_risk.total_seconds())} at risk now"
    return f"Objective {found}; {now}"


def size_series(backups: Sequence[tuple[datetime, str, int, str]], where: tzinfo) -> Sizes:
    """Return sizes with what was to be expected of each.

    Args:
        backups: Recovery point, id, size in bytes and what was recorded as odd (or empty), oldest first, of one kind.
        where: The viewer's time zone.
    """
    shown = backups[-MOST_POINTS:]
    bands = expected_band([size for _, _, size, _ in backups])[-len(shown) :] if shown else ()
    unit, factor = size_unit(max((size for _, _, size, _ in shown), default=0))
    return Sizes(
        unit=unit,
        points=tuple(
            SizePoint(
                at=local(at, where),
                backup_id=backup_id,
                size=size / factor,
                low=band.low / factor if band else None,
                high=band.high / factor if band else None,
                note=odd or ("" if band is None or band.holds(size) else "outside what was expected"),
            )
            for (at, backup_id, size, odd), band in zip(shown, bands, strict=True)
        ),
    )


def most_extreme(points: Sequence[SizePoint]) -> SizePoint | None:
    """Return the point farthest from the middle of what was expected, as a ratio."""

    def distance(point: SizePoint) -> float:
        if point.low is None or point.high is None or point.size <= 0:
            return 0.0
        middle = sqrt(point.low * point.high)
        ratio: float = max(point.size / middle, middle / point.size)
        return ratio

    return max(points, key=distance, default=None)


def size_unit(largest_bytes: int) -> tuple[str, int]:
    """Return the unit in which sizes up to this one read well."""
    return next((unit for unit in _UNITS if largest_bytes >= unit[1]), _UNITS[-1])


def thin(points: Sequence[Point], most: int = MOST_POINTS) -> tuple[Point, ...]:
    """Leave points out without hiding a peak, a low or a gap: of each stretch the lowest and the highest stay."""
    if len(points) <= most:
        return tuple(points)
    width = -(-len(points) // (most // 3))
    kept: list[Point] = []
    for start in range(0, len(points), width):
        stretch = points[start : start + width]
        known = [point for point in stretch if point[1] is not None]
        gaps = [point for point in stretch if point[1] is None][:1]
        chosen = {id(point) for point in (*_ends(known), *gaps)}
        kept += [point for point in stretch if id(point) in chosen]
    return tuple(kept)


def local(at: datetime, where: tzinfo) -> datetime:
    """Return an instant as the viewer's wall clock shows it; charts know no zones."""
    return at.astimezone(where).replace(tzinfo=None)


def _ends(known: Sequence[Point]) -> tuple[Point, ...]:
    if not known:
        return ()
    return min(known, key=lambda point: point[1] or 0.0), max(known, key=lambda point: point[1] or 0.0)
