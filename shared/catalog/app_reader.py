"""Read what the app's tables hold."""

from sqlalchemy import select

from shared.catalog.app_models import API_KEY, MANUAL_BACKUP, PERSON
from shared.catalog.app_records import ApiKeyRecord, ManualBackupRecord, PersonRecord
from shared.catalog.connection import Database
from shared.catalog.conversion import Row, simple_record
from shared.domain.person import Role


class AppReader:
    """Reads people, keys, and backups that were made elsewhere."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def people(self) -> tuple[PersonRecord, ...]:
        """Return everybody who has or had a role, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(PERSON).order_by(PERSON.c.name)).mappings()
            return tuple(simple_record(PersonRecord, row, role=Role(row["role"])) for row in rows)

    def role_of(self, name: str) -> Role | None:
        """Return what somebody may do; None for strangers and for those whose access ended."""
        with self._database.reading() as connection:
            query = select(PERSON.c.role).where(PERSON.c.name == name, PERSON.c.is_active)
            found = connection.execute(query).scalar()
        return Role(found) if found else None

    def api_keys(self) -> tuple[ApiKeyRecord, ...]:
        """Return all keys for programs, ended ones included, by name."""
        with self._database.reading() as connection:
            return tuple(_key(row) for row in connection.execute(select(API_KEY).order_by(API_KEY.c.name)).mappings())

    def api_key(self, sha256: str) -> ApiKeyRecord | None:
        """Return the key in force with this digest, or None."""
        query = select(API_KEY).where(API_KEY.c.sha256 == sha256, API_KEY.c.revoked_at.is_(None))
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().first()
        return _key(row) if row else None

    def manual_backups(self, source: str | None = None, *, limit: int) -> tuple[ManualBackupRecord, ...]:
        """Return what was logged of backups made elsewhere, newest first."""
        query = select(MANUAL_BACKUP).order_by(MANUAL_BACKUP.c.taken_at.desc(), MANUAL_BACKUP.c.id.desc()).limit(limit)
        if source is not None:
            query = query.where(MANUAL_BACKUP.c.source == source)
        with self._database.reading() as connection:
            return tuple(simple_record(ManualBackupRecord, row) for row in connection.execute(query).mappings())


def _key(row: Row) -> ApiKeyRecord:
    return simple_record(ApiKeyRecord, row, role=Role(row["role"]))
