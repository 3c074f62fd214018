"""Backups that were made without Goldcopy, as people told."""

from shared.catalog.app_records import ManualBackupRecord
from shared.catalog.connection import Database
from shared.catalog.engine import Catalog

LIMIT = 20


def load_manual_backups(database: Database, source: str) -> tuple[ManualBackupRecord, ...]:
    """Return the newest that were logged, of one source or of all."""
    return Catalog(database, actor="app").manual_backups(source or None, limit=LIMIT)
