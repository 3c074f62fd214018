"""What happened to one source: its attempts, how long each backup was there, its tests, its tables then and now."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import func, select

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.health_reader import ended_tests_query, restore_test_fact
from shared.catalog.models import BACKUP, BACKUP_TABLE, CLEANUP_ACTION, RESTORE_TEST
from shared.catalog.records import CleanupState, RestoreTestRow
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.exposure import PastBackup, PastTest

ATTEMPT_LIMIT = 2_000
TEST_LIMIT = 1_000
EVIDENCE_LIMIT = 5
TABLE_LIMIT = 200
# What could be restored at the beginning of a window was taken before it, the proven copy long before.
_BEFORE_WINDOW = timedelta(days=90)
_WERE_COMPLETE = {BackupStatus.COMPLETE, BackupStatus.EXPIRING, BackupStatus.EXPIRED}
_NOT_REMOVED = [CleanupState.PLANNED.value, CleanupState.DROPPED.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One backup, or one attempt that failed.

    Attributes:
        gone_at: When it expired or was known to be damaged; None while it can be restored.
        anomaly: What was odd about it, or empty.
    """

    id: str
    kind: BackupKind
    status: BackupStatus
    started_at: datetime
    recovery_point_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    dumped_bytes: int
    stored_bytes: int
    is_proven: bool
    damaged_at: datetime | None
    gone_at: datetime | None
    anomaly: str
    error_message: str

    @property
    def is_complete(self) -> bool:
        """Whether it was a backup at some time."""
        return self.status in _WERE_COMPLETE and self.recovery_point_at is not None

    def past(self) -> PastBackup | None:
        """Return what exposure over time is worked out from."""
        if not self.is_complete or self.recovery_point_at is None:
            return None
        return PastBackup(
            backup_id=self.id,
            recovery_point_at=self.recovery_point_at,
            complete_at=self.finished_at or self.recovery_point_at,
            gone_at=self.gone_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGrowth:
    """One table in the newest backup and in the oldest one of the window that is still there; None: not in it."""

    name: str
    rows: int | None
    rows_before: int | None
    plain_bytes: int | None
    plain_bytes_before: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceHistory:
    """What happened to one source.

    Attributes:
        begins_at: From when on everything is known: the window's start, or later where there were too many attempts.
        attempts: Oldest first; some lie before `begins_at`.
        tests: Ended restore tests, oldest first.
        evidence: The newest restore tests with their findings.
        growth: Largest tables first, at most `TABLE_LIMIT`.
        growth_since: Recovery point of the backup that growth is counted from.
    """

    begins_at: datetime
    attempts: tuple[Attempt, ...]
    tests: tuple[PastTest, ...]
    evidence: tuple[RestoreTestRow, ...]
    growth: tuple[TableGrowth, ...]
    growth_since: datetime | None


def load_source_history(database: Database, source: str, begins_at: datetime) -> SourceHistory:
    """Read what happened to one source since an instant; every query has a limit.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    attempts = _attempts(database, source, begins_at - _BEFORE_WINDOW)
    if len(attempts) == ATTEMPT_LIMIT:
        begins_at = max(begins_at, attempts[0].started_at)
    growth_since, growth = _growth(database, attempts, begins_at)
    return SourceHistory(
        begins_at=begins_at,
        attempts=attempts,
        tests=_tests(database, source),
        evidence=Catalog(database, actor="app").restore_tests(source, limit=EVIDENCE_LIMIT),
        growth=growth,
        growth_since=growth_since,
    )


def _attempts(database: Database, source: str, since: datetime) -> tuple[Attempt, ...]:
    # One look into the index per backup: no table of expiries is read as a whole.
    removed = (
        select(func.min(CLEANUP_ACTION.c.planned_at))
        .where(CLEANUP_ACTION.c.backup_id == BACKUP.c.id, CLEANUP_ACTION.c.state.not_in(_NOT_REMOVED))
        .scalar_subquery()
    )
    columns = (
        BACKUP.c.id,
        BACKUP.c.kind,
        BACKUP.c.status,
        BACKUP.c.started_at,
        BACKUP.c.recovery_point_at,
        BACKUP.c.finished_at,
        BACKUP.c.duration_seconds,
        BACKUP.c.dumped_bytes,
        BACKUP.c.stored_bytes,
        BACKUP.c.proven_at,
        BACKUP.c.damaged_at,
        BACKUP.c.anomaly,
        BACKUP.c.error_message,
        removed.label("removed_at"),
    )
    query = select(*columns).where(BACKUP.c.source == source, BACKUP.c.started_at >= since)
    query = query.order_by(BACKUP.c.started_at.desc()).limit(ATTEMPT_LIMIT)
    with database.reading() as connection:
        return tuple(_attempt(row) for row in connection.execute(query))[::-1]


def _attempt(row: Any) -> Attempt:
    return Attempt(
        id=row.id,
        kind=BackupKind(row.kind),
        status=BackupStatus(row.status),
        started_at=row.started_at,
        recovery_point_at=row.recovery_point_at,
        finished_at=row.finished_at,
        duration_seconds=row.duration_seconds,
        dumped_bytes=row.dumped_bytes,
        stored_bytes=row.stored_bytes,
        is_proven=row.proven_at is not None,
        damaged_at=row.damaged_at,
        gone_at=min((at for at in (row.removed_at, row.damaged_at) if at is not None), default=None),
        anomaly=row.anomaly,
        error_message=row.error_message,
    )


def _tests(database: Database, source: str) -> tuple[PastTest, ...]:
    query = ended_tests_query().where(RESTORE_TEST.c.source == source)
    query = query.order_by(RESTORE_TEST.c.started_at.desc()).limit(TEST_LIMIT)
    with database.reading() as connection:
        facts = [restore_test_fact(row) for row in connection.execute(query)]
    return tuple(
        PastTest(backup_id=fact.backup_id, outcome=fact.outcome, finished_at=fact.finished_at) for fact in facts[::-1]
    )


def _growth(
    database: Database, attempts: Sequence[Attempt], begins_at: datetime
) -> tuple[datetime | None, tuple[TableGrowth, ...]]:
    """Compare the tables of the newest backup with those of the oldest one of the window; expired ones have none."""
    there = [item for item in attempts if item.status is BackupStatus.COMPLETE]
    if not there:
        return None, ()
    newest = there[-1]
    oldest = next(item for item in there if item.started_at >= begins_at or item is newest)
    now, before = _tables(database, newest.id), _tables(database, oldest.id)
    # A table is gone only where the list of the newest backup is whole.
    names = [*now, *(name for name in before if name not in now and len(now) < TABLE_LIMIT)]
    growth = tuple(
        TableGrowth(
            name=name,
            rows=now[name][0] if name in now else None,
            rows_before=before[name][0] if name in before else None,
            plain_bytes=now[name][1] if name in now else None,
            plain_bytes_before=before[name][1] if name in before else None,
        )
        for name in names
    )
    return (oldest.recovery_point_at if oldest is not newest else None), growth


def _tables(database: Database, backup_id: str) -> Mapping[str, tuple[int, int]]:
    table = BACKUP_TABLE.c
    query = (
        select(table.schema_name, table.table_name, table.rows, table.plain_bytes)
        .where(table.backup_id == backup_id)
        .order_by(table.plain_bytes.desc(), table.ordinal)
        .limit(TABLE_LIMIT)
    )
    with database.reading() as connection:
        return {f"{row.schema_name}.{row.table_name}": (row.rows, row.plain_bytes) for row in connection.execute(query)}
