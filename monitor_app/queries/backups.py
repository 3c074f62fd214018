"""Backups for the history page: filtered, counted up to a bound, and read one page at a time."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum

from sqlalchemy import ColumnElement, and_, exists, func, not_, select

from shared.catalog.connection import Database
from shared.catalog.conversion import backup_record
from shared.catalog.models import BACKUP, HOLD, SOURCE
from shared.catalog.records import BackupRow
from shared.domain.backup import BackupStatus

PAGE_SIZE = 50
# Nobody turns two hundred pages: beyond this the page asks for a narrower question instead of counting.
COUNT_LIMIT = 10_000
SOURCE_LIMIT = 5_000
_HELD = exists().where(HOLD.c.backup_id == BACKUP.c.id, HOLD.c.released_at.is_(None))


class Result(StrEnum):
    """What a person may ask for; the words stand in the URL."""

    ANY = "any"
    PROVEN = "proven"
    UNPROVEN = "not proven"
    FAILED = "failed"
    DAMAGED = "damaged"
    HELD = "held"
    RUNNING = "running"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFilter:
    """Which backups; empty values mean all.

    Attributes:
        source: Name of one source.
        result: What they came to.
        kind: daily, weekly, manual or pre-deploy.
        until: Only what began on this UTC day or before.
    """

    source: str = ""
    result: Result = Result.ANY
    kind: str = ""
    until: date | None = None


def count_backups(database: Database, wanted: BackupFilter) -> int:
    """Count what matches; `COUNT_LIMIT` means that many or more."""
    bounded = select(BACKUP.c.id).where(*_conditions(wanted)).limit(COUNT_LIMIT).subquery()
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(bounded)).scalar_one()


def load_backups(database: Database, wanted: BackupFilter, page: int) -> tuple[BackupRow, ...]:
    """Read one page, newest first; the first is 1."""
    query = (
        select(BACKUP, _HELD.label("held"))
        .where(*_conditions(wanted))
        .order_by(BACKUP.c.started_at.desc(), BACKUP.c.id.desc())
        .limit(PAGE_SIZE)
        .offset(PAGE_SIZE * (page - 1))
    )
    with database.reading() as connection:
        return tuple(backup_record(row) for row in connection.execute(query).mappings())


def load_source_names(database: Database) -> tuple[str, ...]:
    """Name the sources that the catalog has met."""
    with database.reading() as connection:
        return tuple(connection.execute(select(SOURCE.c.name).order_by(SOURCE.c.name).limit(SOURCE_LIMIT)).scalars())


def _conditions(wanted: BackupFilter) -> list[ColumnElement[bool]]:
    conditions = [*_RESULTS[wanted.result]]
    if wanted.source:
        conditions.append(BACKUP.c.source == wanted.source)
    if wanted.kind:
        conditions.append(BACKUP.c.kind == wanted.kind)
    if wanted.until is not None:
        end = datetime.combine(wanted.until, time(), UTC) + timedelta(days=1)
        conditions.append(BACKUP.c.started_at < end)
    return conditions


def _status(*statuses: BackupStatus) -> ColumnElement[bool]:
    return BACKUP.c.status.in_([status.value for status in statuses])


_COMPLETE = _status(BackupStatus.COMPLETE)
_RESULTS: dict[Result, tuple[ColumnElement[bool], ...]] = {
    Result.ANY: (not_(_status(BackupStatus.EXPIRED)),),
    Result.PROVEN: (_COMPLETE, BACKUP.c.proven_at.is_not(None)),
    Result.UNPROVEN: (_COMPLETE, BACKUP.c.proven_at.is_(None)),
    Result.FAILED: (_status(BackupStatus.FAILED),),
    Result.DAMAGED: (and_(_COMPLETE, BACKUP.c.damaged_at.is_not(None)),),
    Result.HELD: (_HELD,),
    Result.RUNNING: (_status(BackupStatus.RUNNING),),
    # Most of all there ever were: said so that no index is taken for it, whose rows would all have to be sorted.
    Result.EXPIRED: (not_(_status(BackupStatus.RUNNING, BackupStatus.COMPLETE, BackupStatus.FAILED)),),
}
