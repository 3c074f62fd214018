"""Exposure of one source over a past time, recomputed from the catalog's rows, and when it was more than agreed."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.catalog.engine import Catalog
from shared.domain.exposure import (
    Breach,
    PastTest,
    Segment,
    backup_spans,
    find_breaches,
    met_ratio,
    newest_over_time,
    proven_spans,
)
from shared.domain.source import Source
from shared.units import format_instant


@dataclass(frozen=True, slots=True, kw_only=True)
class PromiseHistory:
    """How one objective was kept.

    Attributes:
        limit: What counts as kept, grace included.
        segments: The newest recovery point at every instant.
    """

    limit: timedelta
    segments: tuple[Segment, ...]

    @property
    def breaches(self) -> tuple[Breach, ...]:
        """When it was not kept, oldest first."""
        return find_breaches(self.segments, self.limit)

    @property
    def met_ratio(self) -> float | None:
        """Share of the time in which it was kept."""
        return met_ratio(self.segments, self.limit)

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "limit_seconds": self.limit.total_seconds(),
            "met_ratio": self.met_ratio,
            "breaches": [_breach_document(breach) for breach in self.breaches],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ExposureHistory:
    """How a source's two objectives about age were kept from `begins_at` to `ends_at`."""

    begins_at: datetime
    ends_at: datetime
    complete: PromiseHistory
    proven: PromiseHistory

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "begins_at": format_instant(self.begins_at),
            "ends_at": format_instant(self.ends_at),
            "rpo": self.complete.document(),
            "proven": self.proven.document(),
        }


def read_exposure_history(
    catalog: Catalog, source: Source, begins_at: datetime, ends_at: datetime
) -> ExposureHistory | None:
    """Recompute exposure and proven exposure of a source.

    Nothing was promised before the first backup: the period begins with it where that is later, and for proofs at the
    end of the time in which the first one was promised.

    Args:
        catalog: The metadata store.
        source: With its objectives.
        begins_at: Start of the period, aware.
        ends_at: Its end.

    Returns:
        None where there was no backup before the end.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    backups = catalog.past_backups(source.name, until=ends_at)
    if not backups:
        return None
    first = min(backup.complete_at for backup in backups)
    tests = [
        PastTest(backup_id=test.backup_id, outcome=test.outcome, finished_at=test.finished_at)
        for test in catalog.past_tests(source.name, until=ends_at)
    ]
    begin, promised = max(begins_at, first), max(begins_at, first + source.objectives.proven)
    return ExposureHistory(
        begins_at=begin,
        ends_at=ends_at,
        complete=PromiseHistory(
            limit=source.objectives.rpo + source.schedule.grace,
            segments=newest_over_time(backup_spans(backups), begin, ends_at),
        ),
        proven=PromiseHistory(
            limit=source.objectives.proven,
            segments=newest_over_time(proven_spans(backups, tests), promised, ends_at),
        ),
    )


def _breach_document(breach: Breach) -> dict[str, Any]:
    return {
        "begins_at": format_instant(breach.begins_at),
        "ends_at": format_instant(breach.ends_at),
        "duration_seconds": breach.duration.total_seconds(),
        "worst_seconds": None if breach.worst is None else breach.worst.total_seconds(),
    }
