"""The three small tables that pages read, kept in the transaction that records the fact.

A source's status and its days are computed anew from the facts of this one source by indexed queries, so no order of
events can make them drift; only `fleet_day` is a running sum, moved by the difference that a day of a source made.
Call these after `lock_source`, in the same transaction.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, case, delete, func, insert, select

from shared.catalog.models import (
    BACKUP,
    BACKUP_DAY,
    FLEET_DAY,
    HOLD,
    RESTORE_TEST,
    SOURCE,
    SOURCE_STATUS,
    STORED_OBJECT,
    VERIFICATION,
)
from shared.catalog.statements import chunked, upsert
from shared.domain.backup import BackupStatus
from shared.domain.proof import Outcome

_SUCCEEDED = (BackupStatus.COMPLETE, BackupStatus.EXPIRING, BackupStatus.EXPIRED)
_SUMS = ("ok", "failed", "bytes_ok", "new_bytes", "anomaly")
_WORST_FIRST = (Outcome.FAILED.value, Outcome.NOT_MEASURED.value, Outcome.PASSED.value)
_NOTHING = dict.fromkeys(_SUMS, 0)

AnyRow = Row[Any]


def refresh_source(connection: Connection, source: str, now: datetime, *, days: Iterable[datetime] = ()) -> None:
    """Bring a source's status up to date, and the days on which the named instants lie.

    Args:
        connection: Of a writing transaction that holds the source's lock.
        source: Its name.
        now: When the fact was recorded.
        days: When the backups began that were changed.
    """
    for day in sorted({at.astimezone(UTC).date() for at in days}):
        _refresh_day(connection, source, day)
    upsert(connection, SOURCE_STATUS, source_status_values(connection, source, now), keys=("source",))


def recompute_rollups(connection: Connection, now: datetime) -> None:
    """Throw all three tables away and compute them from the facts; the result equals what was kept."""
    for table in (SOURCE_STATUS, BACKUP_DAY, FLEET_DAY):
        connection.execute(delete(table))
    rows = sorted(_all_days(connection).items())
    fleet: dict[date, dict[str, int]] = defaultdict(lambda: dict(_NOTHING))
    for (_source, day), sums in rows:
        for name, value in sums.items():
            fleet[day][name] += value
    for chunk in chunked([{"source": source, "day": day, **sums} for (source, day), sums in rows]):
        connection.execute(insert(BACKUP_DAY), list(chunk))
    for chunk in chunked([{"day": day, **sums} for day, sums in sorted(fleet.items())]):
        connection.execute(insert(FLEET_DAY), list(chunk))
    for source in connection.execute(select(SOURCE.c.name).order_by(SOURCE.c.name)).scalars().all():
        connection.execute(insert(SOURCE_STATUS).values(**source_status_values(connection, source, now)))


def source_status_values(connection: Connection, source: str, now: datetime) -> dict[str, Any]:
    """Compute a source's status from the facts."""
    complete = _newest_good(connection, source, proven=False)
    values: dict[str, Any] = {"source": source, "updated_at": now}
    values |= _newest_values(complete, _newest_good(connection, source, proven=True))
    values |= _attempt_values(connection, source)
    values |= _test_values(connection, source)
    values |= _verification_values(connection, source)
    return values | _count_values(connection, source)


def _refresh_day(connection: Connection, source: str, day: date) -> None:
    begin = datetime.combine(day, time(), UTC)
    inside = (BACKUP.c.source == source, BACKUP.c.started_at >= begin, BACKUP.c.started_at < begin + timedelta(days=1))
    succeeded = BACKUP.c.status.in_([status.value for status in _SUCCEEDED])
    row = connection.execute(
        select(
            _count_when(succeeded).label("ok"),
            _count_when(BACKUP.c.status == BackupStatus.FAILED.value).label("failed"),
            _sum_when(succeeded, BACKUP.c.stored_bytes).label("bytes_ok"),
            _sum_when(succeeded, BACKUP.c.new_bytes).label("new_bytes"),
            _count_when(succeeded & (BACKUP.c.anomaly != "")).label("anomaly"),
        ).where(*inside)
    ).mappings()
    new = {str(name): int(value) for name, value in row.one().items()}
    same_day = (BACKUP_DAY.c.source == source) & (BACKUP_DAY.c.day == day)
    old_row = (
        connection.execute(select(*(BACKUP_DAY.c[name] for name in _SUMS)).where(same_day)).mappings().one_or_none()
    )
    old = dict(old_row) if old_row else _NOTHING
    if new == old:
        return
    upsert(connection, BACKUP_DAY, {"source": source, "day": day, **new}, keys=("source", "day"))
    difference = {name: new[name] - old[name] for name in _SUMS}
    moved = {name: FLEET_DAY.c[name] + value for name, value in difference.items()}
    upsert(connection, FLEET_DAY, {"day": day, **difference}, keys=("day",), update=moved)


def _all_days(connection: Connection) -> dict[tuple[str, date], dict[str, int]]:
    days: dict[tuple[str, date], dict[str, int]] = {}
    columns = (BACKUP.c.source, BACKUP.c.started_at, BACKUP.c.status, BACKUP.c.stored_bytes, BACKUP.c.new_bytes)
    for row in connection.execute(select(*columns, BACKUP.c.anomaly).execution_options(yield_per=5000)):
        status = BackupStatus(row.status)
        if status is BackupStatus.RUNNING:
            continue
        sums = days.setdefault((row.source, row.started_at.astimezone(UTC).date()), dict(_NOTHING))
        if status in _SUCCEEDED:
            sums["ok"] += 1
            sums["bytes_ok"] += row.stored_bytes
            sums["new_bytes"] += row.new_bytes
            sums["anomaly"] += bool(row.anomaly)
        else:
            sums["failed"] += 1
    return days


def _newest_good(connection: Connection, source: str, *, proven: bool) -> AnyRow | None:
    wanted = [BACKUP.c.proven_at.is_not(None)] if proven else []
    return connection.execute(
        select(BACKUP)
        .where(
            BACKUP.c.source == source,
            BACKUP.c.status == BackupStatus.COMPLETE.value,
            BACKUP.c.damaged_at.is_(None),
            *wanted,
        )
        .order_by(BACKUP.c.recovery_point_at.desc(), BACKUP.c.id.desc())
        .limit(1)
    ).one_or_none()


def _newest_values(complete: AnyRow | None, proven: AnyRow | None) -> dict[str, Any]:
    return {
        "newest_complete_id": complete.id if complete else "",
        "newest_complete_at": complete.recovery_point_at if complete else None,
        "newest_complete_finished_at": complete.finished_at if complete else None,
        "newest_complete_seconds": complete.duration_seconds if complete else None,
        "newest_complete_dumped_bytes": complete.dumped_bytes if complete else 0,
        "newest_complete_stored_bytes": complete.stored_bytes if complete else 0,
        "newest_proven_id": proven.id if proven else "",
        "newest_proven_at": proven.recovery_point_at if proven else None,
        "newest_proven_tested_at": proven.proven_at if proven else None,
    }


def _attempt_values(connection: Connection, source: str) -> dict[str, Any]:
    # Damage found later takes nothing back: an attempt that completed did complete.
    completed = _newest_attempt(connection, source, *_SUCCEEDED)
    running = _newest_attempt(connection, source, BackupStatus.RUNNING)
    failed = _newest_attempt(connection, source, BackupStatus.FAILED)
    since = [BACKUP.c.started_at > completed.started_at] if completed else []
    failures = select(func.count()).where(
        BACKUP.c.source == source, BACKUP.c.status == BackupStatus.FAILED.value, *since
    )
    return {
        "running_id": running.id if running else "",
        "running_since": running.started_at if running else None,
        "last_failure_id": failed.id if failed else "",
        "last_failure_at": failed.started_at if failed else None,
        "last_failure_code": failed.error_code if failed else None,
        "last_failure_message": failed.error_message if failed else "",
        "failures_since_complete": connection.execute(failures).scalar_one(),
    }


def _newest_attempt(connection: Connection, source: str, *statuses: BackupStatus) -> AnyRow | None:
    return connection.execute(
        select(BACKUP)
        .where(BACKUP.c.source == source, BACKUP.c.status.in_([status.value for status in statuses]))
        .order_by(BACKUP.c.started_at.desc(), BACKUP.c.id.desc())
        .limit(1)
    ).one_or_none()


def _test_values(connection: Connection, source: str) -> dict[str, Any]:
    last = _newest_test(connection, source, RESTORE_TEST.c.outcome != "")
    passed = _newest_test(connection, source, RESTORE_TEST.c.outcome == Outcome.PASSED.value)
    return {
        "last_test_id": last.id if last else "",
        "last_test_at": last.finished_at if last else None,
        "last_test_outcome": last.outcome if last else "",
        "last_passed_test_id": passed.id if passed else "",
        "last_passed_test_at": passed.finished_at if passed else None,
        "last_passed_test_dumped_bytes": passed.dumped_bytes if passed else 0,
        "recovery_time_seconds": passed.recovery_time_seconds if passed else None,
    }


def _newest_test(connection: Connection, source: str, wanted: ColumnElement[bool]) -> AnyRow | None:
    return connection.execute(
        select(RESTORE_TEST, BACKUP.c.dumped_bytes)
        .join(BACKUP, BACKUP.c.id == RESTORE_TEST.c.backup_id)
        .where(RESTORE_TEST.c.source == source, wanted)
        .order_by(RESTORE_TEST.c.started_at.desc(), RESTORE_TEST.c.id.desc())
        .limit(1)
    ).one_or_none()


def _verification_values(connection: Connection, source: str) -> dict[str, Any]:
    """A verify run clears only what it read: of one backup it takes nothing back that was found elsewhere."""
    newest_first = (VERIFICATION.c.finished_at.desc(), VERIFICATION.c.id.desc())
    of_source = select(VERIFICATION).where(VERIFICATION.c.source == source).order_by(*newest_first)
    whole = connection.execute(of_source.where(VERIFICATION.c.backup_id == "").limit(1)).one_or_none()
    # What was found in one backup while the whole was read: nobody knows which of the two read it last.
    since = [VERIFICATION.c.finished_at > whole.started_at] if whole else []
    present = select(BACKUP.c.id).where(BACKUP.c.source == source, BACKUP.c.status == BackupStatus.COMPLETE.value)
    latest: dict[str, AnyRow] = {}
    for row in connection.execute(of_source.where(VERIFICATION.c.backup_id.in_(present), *since)):
        latest.setdefault(row.backup_id, row)
    verdicts = [*([whole] if whole else []), *latest.values()]
    deciding = min(verdicts, key=lambda row: (_WORST_FIRST.index(row.outcome), -row.id), default=None)
    return {
        "last_verified_at": deciding.finished_at if deciding else None,
        "last_verified_outcome": deciding.outcome if deciding else "",
        "last_verified_whole_at": whole.finished_at if whole else None,
    }


def _count_values(connection: Connection, source: str) -> dict[str, Any]:
    complete = (BACKUP.c.source == source, BACKUP.c.status == BackupStatus.COMPLETE.value)
    held = (
        select(func.count(func.distinct(HOLD.c.backup_id)))
        .join(BACKUP, BACKUP.c.id == HOLD.c.backup_id)
        .where(BACKUP.c.source == source, HOLD.c.released_at.is_(None))
    )
    damaged = select(func.count()).where(*complete, BACKUP.c.damaged_at.is_not(None))
    stored = select(func.coalesce(func.sum(STORED_OBJECT.c.stored_bytes), 0)).where(STORED_OBJECT.c.source == source)
    return {
        "backup_count": connection.execute(select(func.count()).where(*complete)).scalar_one(),
        "held_count": connection.execute(held).scalar_one(),
        "damaged_count": connection.execute(damaged).scalar_one(),
        "stored_bytes": int(connection.execute(stored).scalar_one()),
    }


def _count_when(condition: ColumnElement[bool]) -> ColumnElement[int]:
    return _sum_when(condition, 1)


def _sum_when(condition: ColumnElement[bool], value: ColumnElement[int] | int) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((condition, value), else_=0)), 0)
