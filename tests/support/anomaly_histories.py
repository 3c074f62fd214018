"""Histories of backups for the rules about anomalies: generated ones, and ones that a test writes by hand."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.domain.anomaly import (
    Anomaly,
    AnomalyPolicy,
    BackupPoint,
    Episode,
    History,
    ObjectChange,
    SchemaDrift,
    Subject,
    TableCount,
    TablesAt,
)
from shared.domain.anomaly_rules import detect
from shared.domain.backup import BackupKind

BEGIN = datetime(2026, 6, 1, 2, 0, tzinfo=UTC)  # a Monday
DAY = timedelta(days=1)
TABLES_KNOWN = 8
"""So many backups keep their tables with the usual retention."""


def point(
    day: int,
    *,
    dumped_bytes: float = 10e9,
    stored_bytes: float | None = None,
    seconds: float = 600.0,
    kind: BackupKind = BackupKind.DAILY,
) -> BackupPoint:
    """A backup on the n-th day; stored at a quarter of its size unless said."""
    return BackupPoint(
        at=BEGIN + day * DAY,
        kind=kind,
        dumped_bytes=round(dumped_bytes),
        stored_bytes=round(dumped_bytes / 4 if stored_bytes is None else stored_bytes),
        duration_seconds=seconds,
    )


def counts(rows: dict[str, int]) -> tuple[TableCount, ...]:
    """Tables of schema public with their rows; equal rows of equal tables have equal content."""
    return tuple(TableCount(schema="public", name=name, rows=n, fingerprint=f"{name} {n}") for name, n in rows.items())


def subject(
    day: int,
    rows: dict[str, int] | None = None,
    *,
    of: BackupPoint | None = None,
    tables: tuple[TableCount, ...] | None = None,
    drift: Sequence[SchemaDrift] | None = (),
    excluded: frozenset[str] = frozenset(),
) -> Subject:
    """The backup of the n-th day."""
    return Subject(
        source="app",
        backup_id=f"backup-{day}",
        point=of or point(day),
        tables=counts(rows or {}) if tables is None else tables,
        excluded=excluded,
        drift=None if drift is None else tuple(drift),
        drift_since=f"backup-{day - 1}",
    )


def tables_history(*days: dict[str, int], episodes: tuple[Episode, ...] = ()) -> History:
    """Backups of the first days with their tables."""
    return History(
        points=tuple(point(day) for day in range(len(days))),
        tables=tuple(TablesAt(at=BEGIN + day * DAY, tables=counts(rows)) for day, rows in enumerate(days)),
        episodes=episodes,
    )


def drift(change: ObjectChange, object_class: str, identity: str) -> SchemaDrift:
    """One object that is not what it was."""
    before = "" if change is ObjectChange.ADDED else "old|a=1|b=2"
    after = "" if change is ObjectChange.REMOVED else "new|a=1|b=3"
    return SchemaDrift(
        change=change, object_class=object_class, identity=identity, digest_before=before, digest_after=after
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How a generated source behaves; all shares per day.

    Attributes:
        growth: Growth per day.
        noise: Standard deviation of the size's logarithm.
        weekend: What a weekend's size is of a weekday's.
        duration_noise: Standard deviation of the duration's logarithm.
    """

    growth: float = 0.0
    noise: float = 0.01
    weekend: float = 1.0
    duration_noise: float = 0.1


def generate(shape: Shape, days: int, seed: int, *, size_bytes: float = 10e9) -> list[BackupPoint]:
    """Healthy daily backups of one source."""
    chance = random.Random(seed)
    made = []
    for day in range(days):
        at = BEGIN + day * DAY
        weekend = math.log(shape.weekend) if at.weekday() >= 5 else 0.0
        log = day * math.log1p(shape.growth) + weekend + chance.gauss(0, shape.noise)
        dumped = size_bytes * math.exp(log)
        stored = dumped / 4 * math.exp(chance.gauss(0, shape.noise / 4))
        seconds = 30 + dumped / 20e6 * math.exp(chance.gauss(0, shape.duration_noise))
        made.append(point(day, dumped_bytes=dumped, stored_bytes=stored, seconds=seconds))
    return made


def alarms(points: Sequence[BackupPoint], policy: AnomalyPolicy | None = None) -> list[Anomaly]:
    """All that the rules say while the backups come one by one, each judged by those before it."""
    found: list[Anomaly] = []
    for number, item in enumerate(points):
        history = History(points=tuple(points[:number]))
        found += detect(history, subject(number, of=item), policy or AnomalyPolicy())
    return found
