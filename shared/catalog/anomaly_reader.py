"""Read anomalies and what they are judged by; every call is one short transaction."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from shared.catalog.anomaly_models import ANOMALY, ANOMALY_CHECK, SCHEMA_BASELINE, SCHEMA_CHANGE, SCHEMA_OBJECT
from shared.catalog.anomaly_records import AnomalyCheckRow, AnomalyRow, SchemaRecord, anomaly_record
from shared.catalog.connection import Database
from shared.catalog.models import BACKUP, BACKUP_TABLE
from shared.domain.anomaly import BackupPoint, Episode, History, ObjectChange, Rule, SchemaDrift, TableCount, TablesAt
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import NotMeasured, Outcome, Severity
from shared.errors import UsageProblem

# Weekly backups reach back 42 of them where a daily and a manual one came each day in between.
_POINTS_READ = 600
_TABLES_READ = 8
_WITH_NUMBERS = [BackupStatus.COMPLETE.value, BackupStatus.EXPIRING.value, BackupStatus.EXPIRED.value]


class AnomalyReader:
    """Reads anomalies."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def open_anomalies(self, source: str | None = None) -> tuple[AnomalyRow, ...]:
        """Return what is neither closed nor acknowledged, of all sources unless one is named, oldest first.

        Rows of severity info are among them; they do not colour health.
        """
        wanted: list[ColumnElement[bool]] = [ANOMALY.c.closed_at.is_(None), ANOMALY.c.acknowledged_at.is_(None)]
        if source is not None:
            wanted.append(ANOMALY.c.source == source)
        query = select(ANOMALY).where(*wanted).order_by(ANOMALY.c.started_at, ANOMALY.c.id)
        with self._database.reading() as connection:
            return tuple(anomaly_record(row) for row in connection.execute(query).mappings())

    def anomalies(
        self,
        source: str | None = None,
        *,
        backup_id: str | None = None,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[AnomalyRow, ...]:
        """Return anomalies whatever became of them, newest first.

        Args:
            source: Only of this source.
            backup_id: Only those that showed first in this backup.
            since: Only those that began then or later.
            limit: At most so many.
        """
        wanted: list[ColumnElement[bool]] = []
        if source is not None:
            wanted.append(ANOMALY.c.source == source)
        if backup_id is not None:
            wanted.append(ANOMALY.c.backup_id == backup_id)
        if since is not None:
            wanted.append(ANOMALY.c.started_at >= since)
        query = select(ANOMALY).where(*wanted).order_by(ANOMALY.c.started_at.desc(), ANOMALY.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(anomaly_record(row) for row in connection.execute(query).mappings())

    def anomaly(self, number: int) -> AnomalyRow:
        """Return one anomaly.

        Raises:
            UsageProblem: There is none with this number.
        """
        with self._database.reading() as connection:
            return read_anomaly(connection, number)

    def anomaly_check(self, backup_id: str) -> AnomalyCheckRow | None:
        """Return how the look at a backup ended; None where nobody has looked."""
        query = select(ANOMALY_CHECK).where(ANOMALY_CHECK.c.backup_id == backup_id)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        return AnomalyCheckRow(
            backup_id=row.backup_id,
            outcome=Outcome(row.outcome),
            checked_at=row.checked_at,
            not_measured=tuple(NotMeasured(**item) for item in row.not_measured),
        )

    def anomaly_history(self, source: str, before: datetime) -> History:
        """Return what a backup with this recovery point is compared with."""
        with self._database.reading() as connection:
            rows = _backups_before(connection, source, before)
            points = [
                BackupPoint(
                    at=row.recovery_point_at,
                    kind=BackupKind(row.kind),
                    dumped_bytes=row.dumped_bytes,
                    stored_bytes=row.stored_bytes,
                    duration_seconds=row.duration_seconds or 0.0,
                )
                for row in rows
            ]
            kept = [row for row in rows if row.status != BackupStatus.EXPIRED.value][-_TABLES_READ:]
            tables = _tables_of(connection, {row.id: row.recovery_point_at for row in kept})
            episodes = _episodes(connection, source, points[0].at if points else before)
        return History(points=tuple(points), tables=tables, episodes=episodes)

    def schema_record(self, source: str) -> SchemaRecord:
        """Return whose schema the catalog holds for a source."""
        query = select(SCHEMA_BASELINE).where(SCHEMA_BASELINE.c.source == source)
        with self._database.reading() as connection:
            row = connection.execute(query).one_or_none()
        return SchemaRecord(
            backup_id=row.backup_id if row else "", form=row.form if row else "", digest=row.digest if row else ""
        )

    def schema_digests(self, source: str) -> dict[tuple[str, str], str]:
        """Return the keyed digest of every schema object of the source's newest backup, by class and name."""
        with self._database.reading() as connection:
            return read_schema_digests(connection, source)

    def schema_changes(self, backup_id: str) -> tuple[SchemaDrift, ...]:
        """Return what a backup found changed in the schema since the one before, by class and name."""
        with self._database.reading() as connection:
            return read_schema_changes(connection, backup_id)


def read_anomaly(connection: Connection, number: int) -> AnomalyRow:
    """Return one anomaly.

    Raises:
        UsageProblem: There is none with this number.
    """
    row = connection.execute(select(ANOMALY).where(ANOMALY.c.id == number)).mappings().one_or_none()
    if row is None:
        raise UsageProblem(
            f"there is no anomaly {number}", hint="`goldcopy status` shows the open ones with their numbers."
        )
    return anomaly_record(row)


def read_schema_digests(connection: Connection, source: str) -> dict[tuple[str, str], str]:
    """Return the digest of every schema object of the source's newest backup, by class and name."""
    columns = (SCHEMA_OBJECT.c.object_class, SCHEMA_OBJECT.c.identity, SCHEMA_OBJECT.c.digest)
    rows = connection.execute(select(*columns).where(SCHEMA_OBJECT.c.source == source))
    return {(row.object_class, row.identity): row.digest for row in rows}


def read_schema_changes(connection: Connection, backup_id: str) -> tuple[SchemaDrift, ...]:
    """Return what a backup found changed in the schema."""
    query = select(SCHEMA_CHANGE).where(SCHEMA_CHANGE.c.backup_id == backup_id).order_by(SCHEMA_CHANGE.c.ordinal)
    return tuple(
        SchemaDrift(
            change=ObjectChange(row.change),
            object_class=row.object_class,
            identity=row.identity,
            digest_before=row.digest_before,
            digest_after=row.digest_after,
        )
        for row in connection.execute(query)
    )


def _backups_before(connection: Connection, source: str, before: datetime) -> list[Any]:
    """Return the newest backups older than an instant, oldest first; the numbers of expired ones are still there."""
    query = (
        select(
            BACKUP.c.id,
            BACKUP.c.kind,
            BACKUP.c.status,
            BACKUP.c.recovery_point_at,
            BACKUP.c.dumped_bytes,
            BACKUP.c.stored_bytes,
            BACKUP.c.duration_seconds,
        )
        .where(BACKUP.c.source == source, BACKUP.c.status.in_(_WITH_NUMBERS), BACKUP.c.recovery_point_at < before)
        .order_by(BACKUP.c.recovery_point_at.desc(), BACKUP.c.id.desc())
        .limit(_POINTS_READ)
    )
    return [*connection.execute(query)][::-1]


def _tables_of(connection: Connection, backups: dict[str, datetime]) -> tuple[TablesAt, ...]:
    names = (BACKUP_TABLE.c.schema_name, BACKUP_TABLE.c.table_name, BACKUP_TABLE.c.partition_root)
    columns = (BACKUP_TABLE.c.backup_id, *names, BACKUP_TABLE.c.rows, BACKUP_TABLE.c.fingerprint)
    tables: dict[str, list[TableCount]] = defaultdict(list)
    for row in connection.execute(select(*columns).where(BACKUP_TABLE.c.backup_id.in_(list(backups)))):
        tables[row.backup_id].append(
            TableCount(
                schema=row.schema_name,
                name=row.table_name,
                rows=row.rows,
                fingerprint=row.fingerprint,
                partition_root=row.partition_root,
            )
        )
    return tuple(TablesAt(at=at, tables=tuple(tables[backup_id])) for backup_id, at in backups.items())


def _episodes(connection: Connection, source: str, since: datetime) -> tuple[Episode, ...]:
    columns = (
        ANOMALY.c.rule,
        ANOMALY.c.object_name,
        ANOMALY.c.severity,
        ANOMALY.c.started_at,
        ANOMALY.c.closed_at,
        ANOMALY.c.acknowledged_at,
        ANOMALY.c.expected_value,
        ANOMALY.c.found_value,
    )
    query = (
        select(*columns)
        .where(ANOMALY.c.source == source, (ANOMALY.c.started_at >= since) | ANOMALY.c.closed_at.is_(None))
        .order_by(ANOMALY.c.started_at, ANOMALY.c.id)
    )
    return tuple(
        Episode(
            rule=Rule(row.rule),
            object=row.object_name,
            severity=Severity(row.severity),
            started_at=row.started_at,
            closed_at=row.closed_at,
            acknowledged_at=row.acknowledged_at,
            expected_value=row.expected_value,
            found_value=row.found_value,
        )
        for row in connection.execute(query)
    )
