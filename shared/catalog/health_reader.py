"""Read what health is judged by, for all sources at once: a handful of queries, however many sources there are."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection, Select, case, func, literal, select

from shared.catalog.columns import Instant
from shared.catalog.connection import Database
from shared.catalog.conversion import status_record
from shared.catalog.models import BACKUP, BACKUP_DAY, CLEANUP_ACTION, RESTORE_TEST, RUN, SOURCE, SOURCE_STATUS
from shared.catalog.records import CleanupState, RunState, SourceStatusRow
from shared.catalog.statements import chunked
from shared.catalog.watch_conversion import reach_record
from shared.catalog.watch_models import REACH
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.exposure import PastBackup
from shared.domain.proof import Outcome
from shared.domain.source_facts import DamagedBackup, Reachability, RestoreTestFact, RunningRun

_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
_WERE_COMPLETE = [BackupStatus.COMPLETE.value, BackupStatus.EXPIRING.value, BackupStatus.EXPIRED.value]
_BEGUN = [
    state.value
    for state in (
        CleanupState.MARKED,
        CleanupState.MANIFEST_REMOVED,
        CleanupState.OBJECTS_REMOVED,
        CleanupState.DONE,
    )
]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptsRow:
    """How attempts to back up ended when they ended; that a backup was damaged or removed later changes nothing.

    Attributes:
        completed_at: When the newest one ended that completed.
        failing_since: When the first one began that failed after it.
    """

    completed_at: datetime | None = None
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthRows:
    """What the catalog knows now; everything by source except `reaches`, which is by what was asked.

    Attributes:
        first_backups: When the first backup or attempt of each source began, expired ones included.
        last_started: When the newest attempt of each kind began, since the instant that was asked for.
        attempts: What became of the attempts of each source, as they happened.
        tests: Restore tests that ended since the instant that was asked for, newest first, without their phases.
    """

    statuses: Mapping[str, SourceStatusRow]
    first_backups: Mapping[str, datetime]
    last_started: Mapping[str, Mapping[BackupKind, datetime]]
    attempts: Mapping[str, AttemptsRow]
    damaged: Mapping[str, tuple[DamagedBackup, ...]]
    running: Mapping[str, tuple[RunningRun, ...]]
    tests: Mapping[str, tuple[RestoreTestFact, ...]]
    reaches: Mapping[str, Reachability]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupCounts:
    """How many backups of a time succeeded and failed, and how many of these recently."""

    ok: int
    failed: int
    recent_ok: int
    recent_failed: int


class HealthReader:
    """Reads what health is judged by."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def health_rows(self, *, started_since: datetime, tested_since: datetime) -> HealthRows:
        """Return all that health is judged by.

        Args:
            started_since: How far back attempts are looked for.
            tested_since: How far back restore tests are.
        """
        with self._database.reading() as connection:
            statuses = {
                row["source"]: status_record(row) for row in connection.execute(select(SOURCE_STATUS)).mappings()
            }
            return HealthRows(
                statuses=statuses,
                first_backups=_first_backups(connection),
                last_started=_last_started(connection, started_since),
                attempts=_attempts(connection),
                damaged=_damaged(connection, [name for name, row in statuses.items() if row.damaged_count]),
                running=_running(connection),
                tests=_tests(connection, tested_since),
                reaches={row["name"]: reach_record(row) for row in connection.execute(select(REACH)).mappings()},
            )

    def phases_of_tests(self, test_ids: Collection[str]) -> Mapping[str, Mapping[str, float]]:
        """Return the seconds by phase of restore tests, by id."""
        found: dict[str, Mapping[str, float]] = {}
        with self._database.reading() as connection:
            for chunk in chunked(sorted(test_ids)):
                query = select(RESTORE_TEST.c.id, RESTORE_TEST.c.phases).where(RESTORE_TEST.c.id.in_(chunk))
                found |= {row.id: dict(row.phases) for row in connection.execute(query)}
        return found

    def backup_counts(self, *, since: date, recent_since: date) -> Mapping[str, BackupCounts]:
        """Return how many backups succeeded and failed since a day, and of these since a later day, by source."""
        days = BACKUP_DAY.c
        sums = (
            func.sum(days.ok).label("ok"),
            func.sum(days.failed).label("failed"),
            func.sum(case((days.day >= recent_since, days.ok), else_=0)).label("recent_ok"),
            func.sum(case((days.day >= recent_since, days.failed), else_=0)).label("recent_failed"),
        )
        # By the name of the source, not the day's: or SQLite groups along all days there ever were.
        query = select(SOURCE.c.name.label("source"), *sums).join(SOURCE, SOURCE.c.name == days.source)
        query = query.where(days.day >= since).group_by(SOURCE.c.name)
        with self._database.reading() as connection:
            return {
                row.source: BackupCounts(
                    ok=int(row.ok),
                    failed=int(row.failed),
                    recent_ok=int(row.recent_ok),
                    recent_failed=int(row.recent_failed),
                )
                for row in connection.execute(query)
            }

    def past_backups(self, source: str, *, until: datetime) -> tuple[PastBackup, ...]:
        """Return every backup of a source that was complete before an instant, and until when it was there.

        An expiry of which no record is left (a rebuilt catalog) has no end here; newer backups stand above it anyway.
        """
        removed = (
            select(CLEANUP_ACTION.c.backup_id, func.min(CLEANUP_ACTION.c.planned_at).label("at"))
            .where(CLEANUP_ACTION.c.source == source, CLEANUP_ACTION.c.state.in_(_BEGUN))
            .group_by(CLEANUP_ACTION.c.backup_id)
            .subquery()
        )
        columns = (BACKUP.c.id, BACKUP.c.recovery_point_at, BACKUP.c.finished_at, BACKUP.c.damaged_at, removed.c.at)
        query = (
            select(*columns)
            .join(removed, removed.c.backup_id == BACKUP.c.id, isouter=True)
            .where(BACKUP.c.source == source, BACKUP.c.status.in_(_WERE_COMPLETE), BACKUP.c.recovery_point_at < until)
            .order_by(BACKUP.c.recovery_point_at)
        )
        with self._database.reading() as connection:
            return tuple(_past_backup(row) for row in connection.execute(query))

    def past_tests(self, source: str, *, until: datetime) -> tuple[RestoreTestFact, ...]:
        """Return every restore test of a source that ended before an instant, newest first."""
        query = ended_tests_query().where(RESTORE_TEST.c.source == source, RESTORE_TEST.c.finished_at < until)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(RESTORE_TEST.c.finished_at.desc(), RESTORE_TEST.c.id.desc()))
            return tuple(restore_test_fact(row) for row in rows)


def _past_backup(row: Any) -> PastBackup:
    gone = [at for at in (row.at, row.damaged_at) if at is not None]
    return PastBackup(
        backup_id=row.id,
        recovery_point_at=row.recovery_point_at,
        complete_at=row.finished_at or row.recovery_point_at,
        gone_at=min(gone) if gone else None,
    )


def _first_backups(connection: Connection) -> dict[str, datetime]:
    # One look into the index per source; a GROUP BY would read all of it.
    first = select(func.min(BACKUP.c.started_at)).where(BACKUP.c.source == SOURCE.c.name).scalar_subquery()
    rows = connection.execute(select(SOURCE.c.name, first.label("at")))
    return {row.name: row.at for row in rows if row.at is not None}


def _attempts(connection: Connection) -> dict[str, AttemptsRow]:
    # Again looks into the index per source; the newest attempts are enough nearly always.
    done, failed = BACKUP.alias("done"), BACKUP.alias("failed")
    completed = (done.c.source == SOURCE.c.name, done.c.status.in_(_WERE_COMPLETE))
    newest_first = (done.c.started_at.desc(), done.c.id.desc())
    began, ended = (
        select(column).where(*completed).order_by(*newest_first).limit(1).correlate(SOURCE).scalar_subquery()
        for column in (done.c.started_at, done.c.finished_at)
    )
    first_failed = (
        select(func.min(failed.c.started_at))
        .where(
            failed.c.source == SOURCE.c.name,
            failed.c.status == BackupStatus.FAILED.value,
            # A range of the index; with an OR it would be every backup of the source.
            failed.c.started_at > func.coalesce(began, literal(_EARLIEST, Instant())),
        )
        .correlate(SOURCE)
        .scalar_subquery()
    )
    rows = connection.execute(select(SOURCE.c.name, ended.label("completed_at"), first_failed.label("failing_since")))
    return {row.name: AttemptsRow(completed_at=row.completed_at, failing_since=row.failing_since) for row in rows}


def _last_started(connection: Connection, since: datetime) -> dict[str, dict[BackupKind, datetime]]:
    found: dict[str, dict[BackupKind, datetime]] = defaultdict(dict)
    # By the name of the source, not the backup's: or SQLite groups along the index of all backups there ever were.
    columns = (SOURCE.c.name.label("source"), BACKUP.c.kind, func.max(BACKUP.c.started_at).label("at"))
    query = select(*columns).join(SOURCE, SOURCE.c.name == BACKUP.c.source)
    query = query.where(BACKUP.c.started_at >= since).group_by(SOURCE.c.name, BACKUP.c.kind)
    for row in connection.execute(query):
        found[row.source][BackupKind(row.kind)] = row.at
    return found


def _damaged(connection: Connection, sources: Iterable[str]) -> dict[str, tuple[DamagedBackup, ...]]:
    found: dict[str, list[DamagedBackup]] = defaultdict(list)
    for chunk in chunked(sorted(sources)):
        query = (
            select(BACKUP.c.id, BACKUP.c.source, BACKUP.c.recovery_point_at, BACKUP.c.damaged_at)
            .where(
                BACKUP.c.source.in_(chunk),
                BACKUP.c.status == BackupStatus.COMPLETE.value,
                BACKUP.c.damaged_at.is_not(None),
            )
            .order_by(BACKUP.c.recovery_point_at.desc())
        )
        for row in connection.execute(query):
            backup = DamagedBackup(backup_id=row.id, recovery_point_at=row.recovery_point_at, damaged_at=row.damaged_at)
            found[row.source].append(backup)
    return {source: tuple(backups) for source, backups in found.items()}


def _running(connection: Connection) -> dict[str, tuple[RunningRun, ...]]:
    found: dict[str, list[RunningRun]] = defaultdict(list)
    columns = (RUN.c.source, RUN.c.operation, RUN.c.started_at, RUN.c.heartbeat_at, RUN.c.host)
    query = select(*columns).where(RUN.c.state == RunState.RUNNING.value).order_by(RUN.c.started_at)
    for row in connection.execute(query):
        run = RunningRun(
            operation=row.operation, started_at=row.started_at, heartbeat_at=row.heartbeat_at, host=row.host
        )
        found[row.source].append(run)
    return {source: tuple(runs) for source, runs in found.items()}


def _tests(connection: Connection, since: datetime) -> dict[str, tuple[RestoreTestFact, ...]]:
    found: dict[str, list[RestoreTestFact]] = defaultdict(list)
    query = ended_tests_query().where(RESTORE_TEST.c.finished_at >= since)
    for row in connection.execute(query.order_by(RESTORE_TEST.c.finished_at.desc(), RESTORE_TEST.c.id.desc())):
        found[row.source].append(restore_test_fact(row))
    return {source: tuple(tests) for source, tests in found.items()}


def ended_tests_query() -> Select[Any]:
    """Return the query for restore tests that ended, with the size of what they tested."""
    columns = (
        RESTORE_TEST.c.id,
        RESTORE_TEST.c.backup_id,
        RESTORE_TEST.c.source,
        RESTORE_TEST.c.outcome,
        RESTORE_TEST.c.started_at,
        RESTORE_TEST.c.finished_at,
        RESTORE_TEST.c.recovery_time_seconds,
        RESTORE_TEST.c.rows_proven,
        BACKUP.c.dumped_bytes,
        BACKUP.c.row_count,
    )
    joined = select(*columns).join(BACKUP, BACKUP.c.id == RESTORE_TEST.c.backup_id)
    return joined.where(RESTORE_TEST.c.outcome != "", RESTORE_TEST.c.finished_at.is_not(None))


def restore_test_fact(row: Any) -> RestoreTestFact:
    """Build a restore test from a row of `ended_tests_query`."""
    return RestoreTestFact(
        id=row.id,
        backup_id=row.backup_id,
        outcome=Outcome(row.outcome),
        started_at=row.started_at,
        finished_at=row.finished_at,
        recovery_time_seconds=row.recovery_time_seconds,
        dumped_bytes=row.dumped_bytes,
        rows_dumped=row.row_count,
        rows_proven=row.rows_proven,
    )
