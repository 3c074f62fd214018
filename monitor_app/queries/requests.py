"""Requests for restores, and the backups that can be asked for."""

from sqlalchemy import select

from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.models import BACKUP
from shared.catalog.restore_requests import RestoreRequestRecord
from shared.domain.backup import BackupStatus

REQUEST_LIMIT = 100
CHOICE_LIMIT = 100


def load_requests(database: Database) -> tuple[RestoreRequestRecord, ...]:
    """Return the newest requests, newest first.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    return Catalog(database, actor="app").restore_requests(limit=REQUEST_LIMIT)


def load_choices(database: Database, source: str) -> tuple[tuple[str, bool], ...]:
    """Return the complete, sound backups of a source, newest first, each with whether it is proven."""
    query = (
        select(BACKUP.c.id, BACKUP.c.proven_at)
        .where(
            BACKUP.c.source == source,
            BACKUP.c.status == BackupStatus.COMPLETE.value,
            BACKUP.c.damaged_at.is_(None),
        )
        .order_by(BACKUP.c.recovery_point_at.desc())
        .limit(CHOICE_LIMIT)
    )
    with database.reading() as connection:
        return tuple((row.id, row.proven_at is not None) for row in connection.execute(query))
