"""Read backups from the catalog; every call is one short transaction and returns frozen records."""

from collections.abc import Collection, Iterator
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, exists, or_, select

from shared.catalog.backup_facts import facts_of_catalog, read_objects, read_tables
from shared.catalog.connection import Database
from shared.catalog.conversion import backup_record, simple_record
from shared.catalog.models import BACKUP, BACKUP_OBJECT, HOLD, SOURCE, STORED_OBJECT
from shared.catalog.records import BackupFacts, BackupRow, ObjectRow, SourceRow, TableRow
from shared.catalog.usage import backups_in_use
from shared.domain.backup import BackupKind, BackupStatus
from shared.errors import BackupUnknown

_CANDIDATES_SHOWN = 5
_HELD = exists().where(HOLD.c.backup_id == BACKUP.c.id, HOLD.c.released_at.is_(None)).label("held")


class BackupReader:
    """Reads backups and what they consist of."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def sources(self) -> tuple[SourceRow, ...]:
        """Return all sources that the catalog has met, by name."""
        with self._database.reading() as connection:
            rows = [simple_record(SourceRow, row) for row in connection.execute(select(SOURCE)).mappings()]
        return tuple(sorted(rows, key=lambda row: row.name))

    def backups(
        self,
        source: str | None = None,
        *,
        statuses: Collection[BackupStatus] | None = None,
        kind: BackupKind | None = None,
        include_expired: bool = False,
        limit: int | None = None,
        before: str | None = None,
    ) -> tuple[BackupRow, ...]:
        """Return backups and attempts, newest first by their start.

        Args:
            source: Only of this source.
            statuses: Only with one of these; given, `include_expired` does not matter.
            kind: Only of this kind.
            include_expired: Also those whose expiry is done.
            limit: At most so many.
            before: Only what began before the backup with this id: the last one of the page before.
        """
        wanted: list[ColumnElement[bool]] = []
        if source is not None:
            wanted.append(BACKUP.c.source == source)
        if kind is not None:
            wanted.append(BACKUP.c.kind == kind.value)
        if statuses is not None:
            wanted.append(BACKUP.c.status.in_([status.value for status in statuses]))
        elif not include_expired:
            wanted.append(BACKUP.c.status != BackupStatus.EXPIRED.value)
        with self._database.reading() as connection:
            if before is not None:
                wanted.append(_older_than(connection, before))
            query = _backup_query().where(*wanted).order_by(BACKUP.c.started_at.desc(), BACKUP.c.id.desc())
            return tuple(backup_record(row) for row in connection.execute(query.limit(limit)).mappings())

    def backup(self, backup_id: str) -> BackupRow:
        """Return one backup by its whole id, whatever its status.

        Raises:
            BackupUnknown: There is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(_backup_query().where(BACKUP.c.id == backup_id)).mappings().one_or_none()
        if row is None:
            raise _unknown(backup_id)
        return backup_record(row)

    def find_backup(self, prefix: str) -> BackupRow:
        """Return the one backup whose id begins with `prefix`; expired ones count only where nothing else fits.

        Raises:
            BackupUnknown: None fits, or several do; the message lists them, newest first.
        """
        query = _backup_query().where(BACKUP.c.id.startswith(prefix, autoescape=True)).order_by(BACKUP.c.id.desc())
        with self._database.reading() as connection:
            rows = [backup_record(row) for row in connection.execute(query).mappings()]
        # SQLite's LIKE does not tell upper from lower case.
        rows = [row for row in rows if row.id.startswith(prefix)]
        exact = [row for row in rows if row.id == prefix]
        fitting = exact or [row for row in rows if row.status is not BackupStatus.EXPIRED] or rows
        if not prefix or not fitting:
            raise _unknown(prefix)
        if len(fitting) > 1:
            names = ", ".join(row.id for row in fitting[:_CANDIDATES_SHOWN])
            more = f" and {len(fitting) - _CANDIDATES_SHOWN} more" if len(fitting) > _CANDIDATES_SHOWN else ""
            raise BackupUnknown(
                f"{prefix!r} fits {len(fitting)} backups: {names}{more}", hint="Write more of the id you mean."
            )
        return fitting[0]

    def newest_complete(self, source: str, *, include_damaged: bool = False) -> BackupRow | None:
        """Return the complete backup with the newest recovery point, damaged ones left out unless asked for."""
        return self._newest(source, [] if include_damaged else [BACKUP.c.damaged_at.is_(None)])

    def newest_proven(self, source: str, *, include_damaged: bool = False) -> BackupRow | None:
        """Return the newest complete backup whose latest restore test passed."""
        sound = [] if include_damaged else [BACKUP.c.damaged_at.is_(None)]
        return self._newest(source, [*sound, BACKUP.c.proven_at.is_not(None)])

    def tables(self, backup_id: str) -> tuple[TableRow, ...]:
        """Return the tables of a backup in the manifest's order; empty once it has expired."""
        with self._database.reading() as connection:
            return read_tables(connection, backup_id)

    def objects(self, backup_id: str) -> tuple[ObjectRow, ...]:
        """Return the objects that a backup names, by key."""
        with self._database.reading() as connection:
            return read_objects(connection, backup_id)

    def unshared_objects(self, backup_id: str) -> tuple[ObjectRow, ...]:
        """Return the objects that only this backup names, as far as the catalog knows.

        The catalog may know less than the repository: compare with every manifest before deleting one of these.
        """
        mine, other = BACKUP_OBJECT.alias("mine"), BACKUP_OBJECT.alias("other")
        shared = (
            select(STORED_OBJECT.c.key)
            .join(mine, mine.c.object_id == STORED_OBJECT.c.id)
            .join(other, and_(other.c.object_id == mine.c.object_id, other.c.backup_id != mine.c.backup_id))
            .where(mine.c.backup_id == backup_id)
        )
        with self._database.reading() as connection:
            kept = set(connection.execute(shared).scalars())
            return tuple(item for item in read_objects(connection, backup_id) if item.key not in kept)

    def damaged_keys(self, source: str) -> frozenset[str]:
        """Return the keys of a source's objects that are known to be missing or damaged; never share these."""
        query = select(STORED_OBJECT.c.key).where(
            STORED_OBJECT.c.source == source, STORED_OBJECT.c.damaged_at.is_not(None)
        )
        with self._database.reading() as connection:
            return frozenset(connection.execute(query).scalars())

    def backups_in_use(self) -> frozenset[str]:
        """Return the ids of backups that a restore or a restore test reads now."""
        with self._database.reading() as connection:
            return backups_in_use(connection)

    def backup_facts(self, backup_id: str) -> BackupFacts | None:
        """Return what the repository should know as well of a backup; None where the catalog has no such row."""
        with self._database.reading() as connection:
            return facts_of_catalog(connection, backup_id)

    def export_facts(self) -> Iterator[tuple[str, BackupFacts]]:
        """Yield what the repository should know as well of every complete backup, by id, one at a time."""
        complete = self.backups(statuses=[BackupStatus.COMPLETE])
        for backup_id in sorted(row.id for row in complete):
            facts = self.backup_facts(backup_id)
            if facts is not None:
                yield backup_id, facts

    def _newest(self, source: str, wanted: list[ColumnElement[bool]]) -> BackupRow | None:
        query = (
            _backup_query()
            .where(BACKUP.c.source == source, BACKUP.c.status == BackupStatus.COMPLETE.value, *wanted)
            .order_by(BACKUP.c.recovery_point_at.desc(), BACKUP.c.id.desc())
            .limit(1)
        )
        with self._database.reading() as connection:
            row = connection.execute(query).mappings().one_or_none()
        return backup_record(row) if row else None


def _backup_query() -> Select[Any]:
    return select(BACKUP, _HELD)


def _older_than(connection: Connection, backup_id: str) -> ColumnElement[bool]:
    at = connection.execute(select(BACKUP.c.started_at).where(BACKUP.c.id == backup_id)).scalar()
    if at is None:
        raise _unknown(backup_id)
    return or_(BACKUP.c.started_at < at, and_(BACKUP.c.started_at == at, BACKUP.c.id < backup_id))


def _unknown(backup_id: str) -> BackupUnknown:
    return BackupUnknown(
        f"there is no backup {backup_id!r}",
        hint="List them with `goldcopy backups`; `goldcopy rebuild-catalog` finds what only the repository knows.",
    )
