"""What stored backups take and cost, how that grows, and what another retention policy would change."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.cost import MonthCost, MonthUse, Prices, month_cost, share_by_kind
from shared.domain.detection import DetectionLatency, detection_latency
from shared.domain.forecast import DayVolume, Forecast, LimitReached, foretell, volume_history, when_reached
from shared.domain.source import KeepRule, Source
from shared.domain.what_if import PolicyOutcome, WhatIf, compare_policies, format_keep_rule
from shared.operations.cleanup_plan import doubt_proofs
from shared.units import format_instant

MONTH = timedelta(days=30)
HISTORY = timedelta(days=365)
# Where a repository began matters for as long as the longest usual retention takes to fill it.
_LOOKED_BACK = timedelta(days=5 * 365)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorageView:
    """What is stored of one source, or of all.

    Attributes:
        source: Which one; empty for all.
        by_source: Stored bytes by source, most first.
        by_kind: Stored bytes by what needs them; empty where nobody asked.
        history: One value a day, oldest first.
        use: What the last 30 days used.
        limit_bytes: How much can be stored before the budget or the limit is reached; None without either.
        limit: When that is.
    """

    source: str
    stored_bytes: int
    by_source: Mapping[str, int]
    by_kind: Mapping[str, int]
    history: tuple[DayVolume, ...]
    forecast: Forecast
    use: MonthUse
    cost: MonthCost
    limit_bytes: int | None
    limit: LimitReached | None

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types; without a price an amount is null."""
        growth, limit = self.forecast.growth, self.limit
        return {
            "source": self.source or None,
            "stored_bytes": self.stored_bytes,
            "by_source": dict(self.by_source),
            "by_kind": dict(self.by_kind),
            "growth_bytes_per_month": growth.bytes_per_month if growth else None,
            "growth_ratio_per_month": growth.ratio_per_month if growth else None,
            "forecast": [
                {
                    "day": point.day.isoformat(),
                    "stored_bytes": point.stored_bytes,
                    "low_bytes": point.low_bytes,
                    "high_bytes": point.high_bytes,
                }
                for point in self.forecast.points
            ],
            "forecast_reason": self.forecast.reason or None,
            "month": {
                "mean_stored_bytes": self.use.mean_stored_bytes,
                "writes": self.use.writes,
                "reads": self.use.reads,
                "egress_bytes": self.use.egress_bytes,
            },
            "currency": self.cost.currency or None,
            "cost": {line.name: _money(line.amount) for line in self.cost.lines} | {"total": _money(self.cost.total)},
            "limit_bytes": self.limit_bytes,
            "limit_month": _month(limit.month) if limit else None,
            "limit_month_earliest": _month(limit.earliest) if limit else None,
        }


def read_storage(
    catalog: Catalog,
    policies: Mapping[str, Source],
    prices: Prices,
    now: datetime,
    *,
    source: str | None = None,
    with_kinds: bool = True,
) -> StorageView:
    """Say what is stored, what it costs, and how it grows.

    Args:
        catalog: What was recorded; reading suffices.
        policies: The configured sources by name.
        prices: As configured.
        now: Aware instant.
        source: Only this one.
        with_kinds: Also by kind, which reads a row for every stored object.
    """
    sizes = catalog.stored_by_source()
    chosen = {source: sizes.get(source, 0)} if source is not None else sizes
    stored_bytes, today = sum(chosen.values()), now.astimezone(UTC).date()
    added = catalog.added_by_day((now - _LOOKED_BACK).date(), source)
    freed = catalog.freed_by_day(now - HISTORY, source)
    history = volume_history(stored_bytes, added, freed, today, (now - HISTORY).date())
    forecast = foretell(history, settled_on=_settled_on(added, policies, source, now))
    use = _month_use(catalog, history, now, source)
    cost = month_cost(use, prices)
    limit_bytes = prices.storage_budget_bytes(cost.beside_storage) if source is None else None
    return StorageView(
        source=source or "",
        stored_bytes=stored_bytes,
        by_source=dict(sorted(chosen.items(), key=lambda item: (-item[1], item[0]))),
        by_kind=share_by_kind(catalog.stored_by_kinds(source)) if with_kinds else {},
        history=history,
        forecast=forecast,
        use=use,
        cost=cost,
        limit_bytes=limit_bytes,
        limit=when_reached(forecast, stored_bytes, limit_bytes, today) if limit_bytes is not None else None,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyComparison:
    """The policy in force and another one: what each keeps, costs, and whether damage would be noticed in time."""

    what_if: WhatIf
    detection: DetectionLatency
    other_detection: DetectionLatency
    prices: Prices

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        found = self.what_if
        return {
            "source": found.source,
            "history_seconds": found.history.total_seconds(),
            "stored_bytes": found.stored_bytes,
            "estimate_ratio": found.estimate_ratio,
            "freed_bytes": found.freed_bytes,
            "currency": self.prices.currency or None,
            "current": self._outcome(found.current, self.detection),
            "other": self._outcome(found.other, self.other_detection),
        }

    def _outcome(self, outcome: PolicyOutcome, detection: DetectionLatency) -> dict[str, Any]:
        return {
            "retention": {kind.value: format_keep_rule(rule) for kind, rule in outcome.rules.items()},
            "expires": [
                {
                    "backup_id": going.backup_id,
                    "kind": going.kind,
                    "recovery_point_at": format_instant(going.recovery_point_at) if going.recovery_point_at else None,
                    "reason": going.reason,
                }
                for going in outcome.expires
            ],
            "kept_now": outcome.kept_now,
            "kept_now_bytes": outcome.kept_now_bytes,
            "restore_points": outcome.restore_points,
            "ages": [
                {"age": item.age, "count": item.count, "worst_gap_seconds": _seconds(item.worst_gap)}
                for item in outcome.ages
            ],
            "worst_gap_seconds": _seconds(outcome.worst_gap),
            "reach_seconds": _seconds(outcome.reach),
            "long_run_bytes": outcome.long_run_bytes,
            "long_run_cost_per_month": _money(self.prices.storage(outcome.long_run_bytes)),
            "unseen_seconds": detection.unseen.total_seconds(),
            "retention_seconds": detection.retention.total_seconds(),
            "is_damage_noticed_in_time": detection.is_met,
        }


def compare_retention(
    catalog: Catalog, policy: Source, changes: Mapping[BackupKind, KeepRule], prices: Prices, now: datetime
) -> PolicyComparison:
    """Put a source's retention and a changed one side by side. Nothing is changed.

    Args:
        catalog: What was recorded; reading suffices.
        policy: The source as configured.
        changes: The rules in question; kinds that are not named keep their rule.
        prices: As configured.
        now: Aware instant.
    """
    other = replace(policy, retention={**policy.retention, **changes})
    rows = catalog.backups(policy.name, statuses=[BackupStatus.COMPLETE, BackupStatus.EXPIRING])
    recorded = catalog.recorded_backups(policy.name)
    here = [item.backup for item in recorded if item.is_here]
    doubted = {backup.id: backup for backup in doubt_proofs(here, rows)}
    found = compare_policies(
        policy.name,
        [replace(item, backup=doubted.get(item.backup.id, item.backup)) for item in recorded],
        current=policy.retention,
        other=other.retention,
        holds={hold.backup_id: f"{hold.reason} ({hold.owner})" for hold in catalog.holds_in_force()},
        now=now,
    )
    return PolicyComparison(
        what_if=found,
        detection=detection_latency(policy, now),
        other_detection=detection_latency(other, now),
        prices=prices,
    )


def _settled_on(
    added: Mapping[date, int], policies: Mapping[str, Source], source: str | None, now: datetime
) -> date | None:
    """Say from which day on backups of the schedule were old enough to expire; for all sources that of most."""
    begun = min((day for day, new_bytes in added.items() if new_bytes), default=None)
    chosen = [policy for name, policy in policies.items() if source in {None, name}]
    if begun is None or not chosen:
        return None
    reach = median(detection_latency(policy, now).retention.total_seconds() for policy in chosen)
    return begun + timedelta(seconds=reach)


def _month_use(catalog: Catalog, history: tuple[DayVolume, ...], now: datetime, source: str | None) -> MonthUse:
    last = [item.stored_bytes for item in history[-MONTH.days :]]
    counts = catalog.requests(now - MONTH, now, source)
    return MonthUse(
        mean_stored_bytes=round(sum(last) / len(last)) if last else 0,
        writes=counts.writes,
        reads=counts.reads,
        egress_bytes=counts.egress_bytes,
    )


def _money(amount: Decimal | None) -> str | None:
    """Return an amount as JSON holds it; ten places, so that a little is not nothing."""
    return None if amount is None else f"{amount:.10f}".rstrip("0").rstrip(".")


def _month(day: date | None) -> str | None:
    return None if day is None else f"{day:%Y-%m}"


def _seconds(value: timedelta | None) -> float | None:
    return None if value is None else value.total_seconds()
