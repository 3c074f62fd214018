"""What another retention policy would mean, before anybody changes one: restore points, gaps, bytes, what goes at once.

Two questions are answered, each for the policy in force and for the other one, and each by `plan_retention` itself:

- *At once*: which of the backups that exist would the next cleanup expire? Their objects are known, so the bytes are
  exact, shared objects counted once.
- *In the long run*: which of all backups ever recorded would be here today, had the policy always been in force? A
  longer policy cannot bring back what is gone, so only this shows what it would be worth. One plan over the whole
  history gives it: whatever the plan of today keeps, every earlier plan kept too, for backups only grow older and
  calendar buckets only fill up from the newer end.

What expired backups consisted of is not known any more, so the bytes of the long run are estimated: the newest backup,
and for every older one what changed between it and the next newer one that is kept, at most its own size. The same
estimate is made of what exists, where the truth is known; their ratio says how far to trust it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from shared.domain.backup import BackupKind
from shared.domain.retention import RetainedBackup, RetentionPlan, plan_retention
from shared.domain.source import KeepRule
from shared.units import parse_duration

Rules = Mapping[BackupKind, KeepRule]

AGES = (
    ("up to 1 day", timedelta(days=1)),
    ("1 to 7 days", timedelta(days=7)),
    ("7 to 30 days", timedelta(days=30)),
    ("30 to 90 days", timedelta(days=90)),
    ("90 days to 1 year", timedelta(days=365)),
    ("older than 1 year", timedelta.max),
)
_COUNTED_PARTS = ("minimum_count", "daily", "weekly", "monthly", "yearly")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedBackup:
    """One backup of the history, or one attempt that failed.

    Attributes:
        backup: What retention knows of it; an expired one is complete here, as it once was.
        is_here: Whether it exists today.
        stored_bytes: Of all its objects.
        new_bytes: Of those that no earlier backup had.
        objects: Stored bytes of its objects by number or key; empty where it is gone.
    """

    backup: RetainedBackup
    is_here: bool = True
    stored_bytes: int = 0
    new_bytes: int = 0
    objects: Mapping[Any, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgeCount:
    """How many restore points of an age there are, and the longest time between two of them; None without two."""

    age: str
    count: int
    worst_gap: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Going:
    """One backup that the next cleanup would expire, and why."""

    backup_id: str
    kind: str
    recovery_point_at: datetime | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyOutcome:
    """What one policy comes to.

    Attributes:
        rules: The policy.
        expires: What the next cleanup would expire, oldest first.
        kept_now: Backups that would stay of those that exist.
        kept_now_bytes: What these take, exactly.
        ages: Restore points in the long run, by age; known to be bad ones are left out.
        restore_points: How many that are.
        worst_gap: Longest time without a restore point in the long run, the time since the newest one included.
        reach: Age of the oldest restore point in the long run.
        long_run_bytes: What they take, estimated.
    """

    rules: Rules
    expires: tuple[Going, ...]
    kept_now: int
    kept_now_bytes: int
    ages: tuple[AgeCount, ...]
    restore_points: int
    worst_gap: timedelta | None
    reach: timedelta | None
    long_run_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Two policies side by side, judged over the same history.

    Attributes:
        source: Whose.
        history: How far the records go back; no policy can show more than that.
        stored_bytes: What the backups that exist take, exactly.
        estimate_ratio: What the estimate says of the same backups, divided by the truth; None where nothing is stored.
    """

    source: str
    history: timedelta
    stored_bytes: int
    estimate_ratio: float | None
    current: PolicyOutcome
    other: PolicyOutcome

    @property
    def freed_bytes(self) -> int:
        """What the next cleanup would free under the other policy beyond what it frees anyway; negative if less."""
        return self.current.kept_now_bytes - self.other.kept_now_bytes


def compare_policies(
    source: str,
    history: Sequence[RecordedBackup],
    *,
    current: Rules,
    other: Rules,
    holds: Mapping[str, str],
    now: datetime,
) -> WhatIf:
    """Put the policy in force and another one side by side.

    Args:
        source: Name of the source.
        history: Every backup and failed attempt that was recorded of it, in any order.
        current: The policy in force.
        other: The policy in question, for every kind.
        holds: Backup id to the reason of the hold, for every hold in force.
        now: Aware instant.
    """
    here = [item for item in history if item.is_here and item.backup.exists]
    dates = [item.backup.recovery_point_at for item in history if item.backup.recovery_point_at]
    true_bytes = _union(here)
    estimate = _estimate(history, {item.backup.id for item in here})
    return WhatIf(
        source=source,
        history=max(now - min(dates), timedelta(0)) if dates else timedelta(0),
        stored_bytes=true_bytes,
        estimate_ratio=estimate / true_bytes if true_bytes else None,
        current=_outcome(history, here, current, holds, now),
        other=_outcome(history, here, other, holds, now),
    )


def parse_keep_rule(text: str) -> KeepRule:
    """Read `14d`, or `age=14d,weekly=4,monthly=12` with any of age, minimum_count, daily, weekly, monthly, yearly.

    Raises:
        ValueError: The text says something else; the message says what is wrong with it.
    """
    if "=" not in text:
        return KeepRule(age=parse_duration(text))
    rule = KeepRule(age=None)
    for part in text.split(","):
        name, _, value = (piece.strip() for piece in part.partition("="))
        if name == "age":
            rule = replace(rule, age=parse_duration(value))
        elif name in _COUNTED_PARTS and value.isascii() and value.isdigit():
            counts: dict[str, Any] = {name: int(value)}
            rule = replace(rule, **counts)
        else:
            raise ValueError(f"{part.strip()!r} is no part of a rule; write for example age=14d,weekly=4,monthly=12")
    return rule


def format_keep_rule(rule: KeepRule) -> str:
    """Print a rule as `parse_keep_rule` reads it."""
    age = [f"age={_days(rule.age)}"] if rule.age is not None else []
    counts = [(name, getattr(rule, name)) for name in _COUNTED_PARTS]
    counted = [f"{name}={count}" for name, count in counts if count != (1 if name == "minimum_count" else 0)]
    if age and not counted:
        return age[0].removeprefix("age=")
    return ",".join([*age, *counted]) or "minimum_count=1"


def _days(age: timedelta) -> str:
    hours = round(age.total_seconds() / 3600)
    return f"{hours // 24}d" if hours % 24 == 0 else f"{hours}h"


def _outcome(
    history: Sequence[RecordedBackup],
    here: Sequence[RecordedBackup],
    rules: Rules,
    holds: Mapping[str, str],
    now: datetime,
) -> PolicyOutcome:
    attempts = [item.backup for item in history if not item.backup.exists]
    at_once = plan_retention([*(item.backup for item in here), *attempts], rules, holds, now)
    going = {decision.backup.id for decision in at_once.expired}
    staying = [item for item in here if item.backup.id not in going]
    # In the long run nothing is being read, half gone or doubted; only what is known to be bad stays so.
    settled = [replace(item.backup, is_in_use=False, is_expiring=False, unknown="") for item in history]
    points = _restore_points(plan_retention(settled, rules, holds, now), now)
    kept = {backup.id for backup in points}
    dates = sorted(backup.recovery_point_at for backup in points if backup.recovery_point_at)
    return PolicyOutcome(
        rules=rules,
        expires=_going(at_once),
        kept_now=len(staying),
        kept_now_bytes=_union(staying),
        ages=tuple(_ages(dates, now)),
        restore_points=len(points),
        worst_gap=_worst_gap([*dates, now]) if dates else None,
        reach=now - dates[0] if dates else None,
        long_run_bytes=_estimate(history, kept),
    )


def _restore_points(plan: RetentionPlan, now: datetime) -> list[RetainedBackup]:
    """Return what somebody could restore from: kept, complete, dated, and not known to be bad."""
    return [
        decision.backup
        for decision in plan.kept
        if decision.backup.exists
        and not decision.backup.is_bad
        and not decision.backup.is_unreadable
        and decision.backup.recovery_point_at is not None
        and decision.backup.recovery_point_at <= now
    ]


def _going(plan: RetentionPlan) -> tuple[Going, ...]:
    return tuple(
        Going(
            backup_id=decision.backup.id,
            kind=decision.backup.kind.value if decision.backup.kind else "",
            recovery_point_at=decision.backup.recovery_point_at,
            reason="; ".join(decision.reasons),
        )
        for decision in reversed(plan.expired)
    )


def _ages(dates: Sequence[datetime], now: datetime) -> Iterable[AgeCount]:
    low = timedelta(0)
    for age, high in AGES:
        inside = [at for at in dates if low <= now - at < high]
        yield AgeCount(age=age, count=len(inside), worst_gap=_worst_gap(inside))
        low = high


def _worst_gap(dates: Sequence[datetime]) -> timedelta | None:
    return max((later - earlier for earlier, later in pairwise(dates)), default=None)


def _union(backups: Iterable[RecordedBackup]) -> int:
    """Add up the objects of some backups, each once."""
    objects: dict[Any, int] = {}
    for item in backups:
        objects.update(item.objects)
    return sum(objects.values())


def _estimate(history: Sequence[RecordedBackup], kept: set[str]) -> int:
    """Estimate what some backups take together; what changed since the one kept before it is what a backup adds."""
    ordered = sorted(
        (item for item in history if item.backup.exists and item.backup.recovery_point_at),
        key=lambda item: (item.backup.recovery_point_at, item.backup.id),
        reverse=True,
    )
    total, changed, is_newest = 0, 0, True
    for item in ordered:
        if item.backup.id in kept:
            total += item.stored_bytes if is_newest else min(changed, item.stored_bytes)
            changed, is_newest = 0, False
        changed += item.new_bytes
    return total
