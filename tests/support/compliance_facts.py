"""Made-up facts of a month, for compliance reports: a quiet source to which tests add trouble."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.domain.backup import BackupKind
from shared.domain.compliance_facts import (
    PastAction,
    PastAttempt,
    PastExpiry,
    PastIncident,
    PastVerification,
    PeriodFacts,
    RepositoryFact,
    SourceRecord,
    TestRecord,
    TrailFact,
)
from shared.domain.period import parse_period
from shared.domain.proof import Outcome
from shared.domain.source import Source

OCTOBER = parse_period("2026-10")
FIRST_RECORD = datetime(2026, 1, 1, tzinfo=UTC)
LAST_FRIDAY = datetime(2026, 10, 30, 4, tzinfo=UTC)
LAST_FRIDAY_BEFORE = datetime(2026, 9, 25, 4, tzinfo=UTC)


def attempt(at: datetime, kind: BackupKind = BackupKind.DAILY, **changes: Any) -> PastAttempt:
    """A backup that began at 02:00 of a day, or whenever, and took two minutes."""
    values: dict[str, Any] = {
        "backup_id": f"{at:%Y%m%dT%H%M%SZ}-app-7f3a",
        "kind": kind,
        "started_at": at,
        "recovery_point_at": at + timedelta(seconds=1),
        "complete_at": at + timedelta(minutes=2),
        # The newest proven one stays, whatever its age.
        "gone_at": None if at.date() == LAST_FRIDAY_BEFORE.date() else at + timedelta(days=8),
    }
    return PastAttempt(**(values | changes))


def failure(at: datetime, error: str = "the source refused the connection") -> PastAttempt:
    return attempt(
        at, recovery_point_at=None, complete_at=None, gone_at=None, failed_at=at + timedelta(minutes=1), error=error
    )


def restore_test(at: datetime, outcome: Outcome = Outcome.PASSED, **changes: Any) -> TestRecord:
    tested = at.replace(hour=2, minute=0, second=0)
    values: dict[str, Any] = {
        "id": f"rt-{at:%Y%m%dT%H%M%S}",
        "source": "app",
        "backup_id": f"{tested:%Y%m%dT%H%M%SZ}-app-7f3a",
        "outcome": outcome,
        "started_at": at,
        "finished_at": at + timedelta(minutes=12),
        "recovery_time_seconds": 540.0,
        "tables_expected": 28,
        "tables_proven": 28 if outcome is Outcome.PASSED else 27,
        "rows_expected": 120_000,
        "rows_proven": 120_000 if outcome is Outcome.PASSED else 119_000,
        "source_version": "17.4",
        "scratch_version": "17.5",
        "tool_version": "0.1.0",
        "manifest_sha256": "ab" * 32,
    }
    return TestRecord(**(values | changes))


def days(first: datetime, last: datetime) -> list[datetime]:
    """Every day at 02:00 UTC."""
    begin = first.replace(hour=2, minute=0, second=0, microsecond=0)
    return [begin + timedelta(days=number) for number in range((last - begin).days + 1)]


def quiet_source(name: str = "app", **changes: Any) -> SourceRecord:
    """A source to which nothing bad happened: daily backups, the monthly test, a weekly verify run."""
    values: dict[str, Any] = {
        "name": name,
        "policy": Source(name=name),
        "first_record_at": FIRST_RECORD,
        "attempts": tuple(attempt(at) for at in days(datetime(2026, 9, 10, tzinfo=UTC), OCTOBER.ends_at)),
        "tests": (restore_test(LAST_FRIDAY_BEFORE), restore_test(LAST_FRIDAY)),
        "verifications": (
            PastVerification(
                source="",
                outcome=Outcome.PASSED,
                finished_at=datetime(2026, 10, 10, 6, 30, tzinfo=UTC),
                objects_checked=9,
            ),
        ),
        "expiries": (
            PastExpiry(
                backup_id="20260924T020000Z-app-7f3a",
                kind=BackupKind.DAILY,
                recovery_point_at=datetime(2026, 9, 24, 2, tzinfo=UTC),
                decided_at=datetime(2026, 10, 1, 5, tzinfo=UTC),
            ),
        ),
    }
    return SourceRecord(**(values | changes))


def quiet_month(*sources: SourceRecord, **changes: Any) -> PeriodFacts:
    """October 2026 with a quiet source, or with the sources given."""
    values: dict[str, Any] = {
        "organisation": "Acme",
        "period": OCTOBER,
        "until": OCTOBER.ends_at,
        "sources": sources or (quiet_source(),),
        "watched_since": FIRST_RECORD,
        "incidents": (),
        "actions": (
            PastAction(
                seq=7,
                at=datetime(2026, 10, 3, 9, tzinfo=UTC),
                actor="ada@acme.example",
                action="hold.place",
                object="20261001T020000Z-app-7f3a",
                reason="legal case 7",
            ),
        ),
        "trail": TrailFact(entry_count=812, head_hash="cd" * 32),
        "repository": RepositoryFact(place="s3://acme-backups/goldcopy", is_elsewhere=True, recipients=2),
    }
    return PeriodFacts(**(values | changes))


def incident(number: int, opened_at: datetime, **changes: Any) -> PastIncident:
    values: dict[str, Any] = {
        "id": f"app#{number}",
        "source": "app",
        "opened_at": opened_at,
        "worst": "red",
        "cause": "backup-overdue",
    }
    return PastIncident(**(values | changes))


def without(record: SourceRecord, *missing: datetime) -> SourceRecord:
    """The same source without the backups that began at these instants."""
    return replace(record, attempts=tuple(item for item in record.attempts if item.started_at not in missing))
