"""Read what is stored, for whom, and what came and went: what cost, forecast and what-if are made from."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import Integer, case, cast, func, select

from shared.catalog.connection import Database
from shared.catalog.models import (
    BACKUP,
    BACKUP_DAY,
    BACKUP_OBJECT,
    CLEANUP_ACTION,
    FLEET_DAY,
    RESTORE_TEST,
    SOURCE_STATUS,
    STORED_OBJECT,
    VERIFICATION,
)
from shared.catalog.usage import backups_in_use
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.domain.retention import RetainedBackup
from shared.domain.what_if import RecordedBackup

_ONCE_COMPLETE = (BackupStatus.COMPLETE, BackupStatus.EXPIRING, BackupStatus.EXPIRED)
# A manifest and its list of files are stored with every backup besides its objects.
_FILES_BESIDE = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCounts:
    """Requests and bytes read in some time; `writes` is estimated from the share of bytes that were new."""

    writes: int = 0
    reads: int = 0
    egress_bytes: int = 0


class StorageReader:
    """Reads sizes and their history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def stored_by_source(self) -> Mapping[str, int]:
        """Return what is stored of every source; one small table."""
        with self._database.reading() as connection:
            rows = connection.execute(select(SOURCE_STATUS.c.source, SOURCE_STATUS.c.stored_bytes))
            return {row.source: row.stored_bytes for row in rows}

    def stored_by_kinds(self, source: str | None = None) -> tuple[tuple[frozenset[BackupKind], int], ...]:
        """Return stored bytes by the kinds of the backups that name them, each object once."""
        codes = {kind: 1 << place for place, kind in enumerate(BackupKind)}
        code = case(*((BACKUP.c.kind == kind.value, bit) for kind, bit in codes.items()), else_=0)
        bits = [func.max(cast(code.op("&")(bit), Integer)).label(kind.name) for kind, bit in codes.items()]
        per_object = (
            select(STORED_OBJECT.c.id, STORED_OBJECT.c.stored_bytes, *bits)
            .outerjoin(BACKUP_OBJECT, BACKUP_OBJECT.c.object_id == STORED_OBJECT.c.id)
            .outerjoin(BACKUP, BACKUP.c.id == BACKUP_OBJECT.c.backup_id)
            .group_by(STORED_OBJECT.c.id, STORED_OBJECT.c.stored_bytes)
        )
        if source is not None:
            per_object = per_object.where(STORED_OBJECT.c.source == source)
        objects = per_object.subquery()
        names = [objects.c[kind.name] for kind in codes]
        query = select(*names, func.sum(objects.c.stored_bytes).label("total")).group_by(*names)
        with self._database.reading() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple((frozenset(kind for kind in codes if row[kind.name]), int(row["total"])) for row in rows)

    def added_by_day(self, since: date, source: str | None = None) -> Mapping[date, int]:
        """Return the new bytes of every day on which backups began, from the small tables."""
        table = FLEET_DAY if source is None else BACKUP_DAY
        query = select(table.c.day, table.c.new_bytes).where(table.c.day >= since)
        if source is not None:
            query = query.where(table.c.source == source)
        with self._database.reading() as connection:
            return {row.day: row.new_bytes for row in connection.execute(query)}

    def freed_by_day(self, since: datetime, source: str | None = None) -> Mapping[date, int]:
        """Return the bytes that cleanups freed, by UTC day."""
        at = CLEANUP_ACTION.c.updated_at
        # SQLite holds UTC as text; Postgres would take the session's zone for the day.
        day = func.date(at) if self._database.is_sqlite else func.date(func.timezone("UTC", at))
        query = select(day.label("day"), func.sum(CLEANUP_ACTION.c.freed_bytes).label("freed")).where(at >= since)
        if source is not None:
            query = query.where(CLEANUP_ACTION.c.source == source)
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(day)).all()
        return {_day(row.day): int(row.freed) for row in rows if row.freed}

    def requests(self, since: datetime, until: datetime, source: str | None = None) -> RequestCounts:
        """Count requests and bytes read in some time: backups store, restore tests and verify runs read."""
        with self._database.reading() as connection:
            made = connection.execute(_writes(since, until, source)).one()
            tested = connection.execute(_tested(since, until, source)).one()
            verified = connection.execute(_verified(since, until, source)).one()
        return RequestCounts(
            writes=int(made.pieces or 0) + _FILES_BESIDE * int(made.backups or 0),
            reads=int(tested.objects or 0) + int(verified.objects or 0),
            egress_bytes=int(tested.bytes or 0) + int(verified.bytes or 0),
        )

    def recorded_backups(self, source: str) -> tuple[RecordedBackup, ...]:
        """Return every backup and failed attempt of a source; those that exist with their objects."""
        names = ("id", "kind", "status", "started_at", "recovery_point_at", "proven_at", "test_outcome", "damaged_at")
        query = select(*(BACKUP.c[name] for name in (*names, "stored_bytes", "new_bytes")))
        query = query.where(BACKUP.c.source == source, BACKUP.c.status != BackupStatus.RUNNING.value)
        linked = (
            select(BACKUP_OBJECT.c.backup_id, STORED_OBJECT.c.id, STORED_OBJECT.c.stored_bytes)
            .join(STORED_OBJECT, STORED_OBJECT.c.id == BACKUP_OBJECT.c.object_id)
            .where(STORED_OBJECT.c.source == source)
        )
        objects: dict[str, dict[int, int]] = defaultdict(dict)
        with self._database.reading() as connection:
            in_use = backups_in_use(connection)
            for row in connection.execute(linked):
                objects[row.backup_id][row.id] = row.stored_bytes
            rows = connection.execute(query.order_by(BACKUP.c.started_at, BACKUP.c.id)).mappings().all()
        return tuple(_recorded(row, source, objects.get(row["id"], {}), row["id"] in in_use) for row in rows)


def _day(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value


def _writes(since: datetime, until: datetime, source: str | None) -> Any:
    share = BACKUP.c.object_count * 1.0 * BACKUP.c.new_bytes / func.nullif(BACKUP.c.stored_bytes, 0)
    query = select(func.sum(share).label("pieces"), func.count().label("backups")).where(
        BACKUP.c.started_at >= since,
        BACKUP.c.started_at < until,
        BACKUP.c.status.in_([status.value for status in _ONCE_COMPLETE]),
    )
    return query if source is None else query.where(BACKUP.c.source == source)


def _tested(since: datetime, until: datetime, source: str | None) -> Any:
    query = (
        select(func.sum(BACKUP.c.object_count).label("objects"), func.sum(BACKUP.c.stored_bytes).label("bytes"))
        .select_from(RESTORE_TEST.join(BACKUP, BACKUP.c.id == RESTORE_TEST.c.backup_id))
        .where(RESTORE_TEST.c.started_at >= since, RESTORE_TEST.c.started_at < until)
    )
    return query if source is None else query.where(RESTORE_TEST.c.source == source)


def _verified(since: datetime, until: datetime, source: str | None) -> Any:
    query = select(
        func.sum(VERIFICATION.c.objects_checked).label("objects"), func.sum(VERIFICATION.c.bytes_checked).label("bytes")
    ).where(VERIFICATION.c.finished_at >= since, VERIFICATION.c.finished_at < until)
    return query if source is None else query.where(VERIFICATION.c.source == source)


def _recorded(row: Any, source: str, objects: Mapping[int, int], is_in_use: bool) -> RecordedBackup:  # noqa: FBT001
    status = BackupStatus(row["status"])
    return RecordedBackup(
        backup=RetainedBackup(
            id=row["id"],
            source=source,
            kind=BackupKind(row["kind"]),
            recovery_point_at=row["recovery_point_at"] or row["started_at"],
            state=BackupStatus.FAILED if status is BackupStatus.FAILED else BackupStatus.COMPLETE,
            proven_at=row["proven_at"],
            is_test_failed=row["test_outcome"] == Outcome.FAILED.value,
            is_damaged=row["damaged_at"] is not None,
            is_in_use=is_in_use,
            is_expiring=status is BackupStatus.EXPIRING,
        ),
        is_here=status in {BackupStatus.COMPLETE, BackupStatus.EXPIRING},
        stored_bytes=row["stored_bytes"],
        new_bytes=row["new_bytes"],
        objects=objects,
    )
