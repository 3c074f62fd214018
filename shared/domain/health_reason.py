"""The words of a verdict: a colour, and the reasons for it."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Colour(StrEnum):
    """How a source stands, worst first; unknown is worse than yellow, because nobody can tell how bad it is."""

    RED = "red"
    UNKNOWN = "unknown"
    YELLOW = "yellow"
    GREEN = "green"


_ORDER = {colour: number for number, colour in enumerate(Colour)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why a source has its colour.

    Attributes:
        code: Stable name in kebab case, listed in docs/health.md.
        sentence: One plain sentence with its numbers, all in the same unit; says nothing secret.
        action: What to do next, with a command; empty only where the reason is green.
        since: Since when it holds, where that follows from the facts.
        subjects: The things it is about, where there can be more of the same, such as backups that are damaged.
    """

    code: str
    colour: Colour
    sentence: str
    action: str = ""
    since: datetime | None = None
    subjects: tuple[str, ...] = ()


def worst(colours: Iterable[Colour]) -> Colour:
    """Return the worst colour; of nothing nobody knows how it stands."""
    return min(colours, key=_ORDER.__getitem__, default=Colour.UNKNOWN)


def worst_first(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Order reasons by colour; within one colour they keep the order in which the rules stand."""
    return tuple(sorted(reasons, key=lambda reason: _ORDER[reason.colour]))


class ReasonCode(StrEnum):
    """Every reason that `evaluate` gives; docs/health.md says when."""

    NO_FACTS = "no-facts"
    CATALOG_STALE = "catalog-stale"
    CLOCK_WRONG = "clock-wrong"
    NO_BACKUP = "no-backup"
    CATALOG_LOST = "catalog-lost"
    BACKUP_STALE = "backup-stale"
    BACKUP_OVERDUE = "backup-overdue"
    BACKUP_FRESH = "backup-fresh"
    BACKUP_DAMAGED = "backup-damaged"
    BACKUP_SLOW = "backup-slow"
    LAST_RUN_FAILED = "last-run-failed"
    RUN_LOST = "run-lost"
    SCHEDULE_GAP = "schedule-gap"
    NEVER_PROVEN = "never-proven"
    PROVEN_STALE = "proven-stale"
    PROVEN_FRESH = "proven-fresh"
    TEST_FAILED = "test-failed"
    TEST_NOT_MEASURED = "test-not-measured"
    TEST_OVERDUE = "test-overdue"
    VERIFY_FAILED = "verify-failed"
    VERIFY_NOT_MEASURED = "verify-not-measured"
    VERIFY_OVERDUE = "verify-overdue"
    RECOVERY_TOO_SLOW = "recovery-too-slow"
    RESTORE_TOO_SLOW = "restore-too-slow"
    RECOVERY_IN_TIME = "recovery-in-time"
    ANOMALY = "anomaly"
    REPOSITORY_UNREACHABLE = "repository-unreachable"
    REPOSITORY_NOT_MEASURED = "repository-not-measured"
    PROVIDER_OUTAGE = "provider-outage"
    PROVIDER_NOT_MEASURED = "provider-not-measured"


_RED, _UNKNOWN, _YELLOW, _GREEN = ((colour,) for colour in Colour)

COLOURS: dict[ReasonCode, tuple[Colour, ...]] = {
    ReasonCode.NO_FACTS: _UNKNOWN,
    ReasonCode.CATALOG_STALE: _UNKNOWN,
    ReasonCode.CLOCK_WRONG: _UNKNOWN,
    ReasonCode.NO_BACKUP: _RED,
    ReasonCode.CATALOG_LOST: _RED,
    ReasonCode.BACKUP_STALE: _RED,
    ReasonCode.BACKUP_OVERDUE: _YELLOW,
    ReasonCode.BACKUP_FRESH: _GREEN,
    ReasonCode.BACKUP_DAMAGED: _RED + _YELLOW,
    ReasonCode.BACKUP_SLOW: _YELLOW,
    ReasonCode.LAST_RUN_FAILED: _YELLOW,
    ReasonCode.RUN_LOST: _YELLOW,
    ReasonCode.SCHEDULE_GAP: _YELLOW,
    ReasonCode.NEVER_PROVEN: _RED + _YELLOW,
    ReasonCode.PROVEN_STALE: _RED + _YELLOW,
    ReasonCode.PROVEN_FRESH: _GREEN,
    ReasonCode.TEST_FAILED: _RED,
    ReasonCode.TEST_NOT_MEASURED: _UNKNOWN,
    ReasonCode.TEST_OVERDUE: _YELLOW,
    ReasonCode.VERIFY_FAILED: _YELLOW,
    ReasonCode.VERIFY_NOT_MEASURED: _UNKNOWN,
    ReasonCode.VERIFY_OVERDUE: _YELLOW,
    ReasonCode.RECOVERY_TOO_SLOW: _YELLOW,
    ReasonCode.RESTORE_TOO_SLOW: _YELLOW,
    ReasonCode.RECOVERY_IN_TIME: _GREEN,
    ReasonCode.ANOMALY: _YELLOW,
    ReasonCode.REPOSITORY_UNREACHABLE: _RED,
    ReasonCode.REPOSITORY_NOT_MEASURED: _UNKNOWN,
    ReasonCode.PROVIDER_OUTAGE: _RED,
    ReasonCode.PROVIDER_NOT_MEASURED: _UNKNOWN,
}
"""In which colours each reason comes, worst first."""
