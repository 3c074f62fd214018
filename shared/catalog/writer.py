"""Record backups: begun, complete, failed. Each call is one transaction, and calling again changes nothing more."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, or_, select, update

from shared.catalog.audit_writer import append_entry
from shared.catalog.backup_facts import manifest_values
from shared.catalog.connection import Database
from shared.catalog.models import BACKUP, BACKUP_OBJECT, BACKUP_TABLE, STORED_OBJECT
from shared.catalog.records import AuditRow, RunRow
from shared.catalog.rollups import recompute_rollups, refresh_source
from shared.catalog.statements import chunked, error_facts, lock_source
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.manifest import Manifest, ObjectRecord, TableRecord
from shared.errors import BackupUnknown


class BackupWriter:
    """Writes what happens to backups while they are taken."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def register_source(self, source: str, kind: str, now: datetime) -> None:
        """Make a source known before its first backup, so that pages show it as unprotected."""
        with self._database.writing() as connection:
            lock_source(connection, source, now, kind=kind)
            refresh_source(connection, source, now)

    def backup_started(
        self, *, backup_id: str, source: str, kind: BackupKind, reason: str, now: datetime, run: RunRow | None = None
    ) -> None:
        """Record that a backup has begun; it does not exist for readers before its manifest does."""
        with self._database.writing() as connection:
            lock_source(connection, source, now)
            values = {
                "id": backup_id,
                "source": source,
                "kind": kind.value,
                "reason": reason,
                "status": BackupStatus.RUNNING.value,
                "started_at": now,
                "run_id": run.id if run else None,
            }
            connection.execute(insert(BACKUP).values(values))
            refresh_source(connection, source, now, days=[now])

    def backup_completed(self, manifest: Manifest, manifest_sha256: str, now: datetime) -> None:
        """Record a backup whose manifest is durable: its row, tables, objects, rollups and audit entry at once.

        Args:
            manifest: As it was read back from the repository.
            manifest_sha256: SHA-256 of the manifest's stored bytes, hex.
            now: Aware instant.
        """
        with self._database.writing() as connection:
            record_manifest(connection, manifest, manifest_sha256, now)
            append_entry(
                connection,
                actor=self._actor,
                action="backup.complete",
                object_name=manifest.backup_id,
                reason=manifest.reason,
                details={
                    "source": manifest.source,
                    "kind": manifest.kind.value,
                    "manifest_sha256": manifest_sha256,
                    "stored_bytes": manifest.stored_bytes,
                    "row_count": manifest.row_count,
                },
                now=now,
            )

    def backup_failed(self, backup_id: str, error: BaseException, now: datetime) -> bool:
        """Record why a backup failed; a backup that is complete stays so, whatever went wrong afterwards.

        Returns:
            Whether it is recorded as failed now.
        """
        with self._database.writing() as connection:
            row = connection.execute(select(BACKUP).where(BACKUP.c.id == backup_id)).one_or_none()
            if row is None:
                return False
            lock_source(connection, row.source, now)
            facts = error_facts(error)
            changed = connection.execute(
                update(BACKUP)
                .where(BACKUP.c.id == backup_id, BACKUP.c.status == BackupStatus.RUNNING.value)
                .values(
                    status=BackupStatus.FAILED.value,
                    finished_at=now,
                    duration_seconds=(now - row.started_at).total_seconds(),
                    **facts,
                )
            )
            if changed.rowcount != 1:
                return False
            refresh_source(connection, row.source, now, days=[row.started_at])
            append_entry(
                connection,
                actor=self._actor,
                action="backup.failed",
                object_name=backup_id,
                reason=facts["error_message"],
                details={"source": row.source, "error_code": facts["error_code"]},
                now=now,
            )
        return True

    def record_anomaly(self, backup_id: str, anomaly: str, now: datetime) -> None:
        """Record that something about a backup is odd, in one sentence; empty text takes it back.

        Raises:
            BackupUnknown: There is no such backup.
        """
        with self._database.writing() as connection:
            row = require_backup(connection, backup_id)
            lock_source(connection, row.source, now)
            connection.execute(update(BACKUP).where(BACKUP.c.id == backup_id).values(anomaly=anomaly))
            refresh_source(connection, row.source, now, days=[row.started_at])

    def append_audit(
        self,
        *,
        actor: str,
        action: str,
        object_name: str,
        reason: str = "",
        details: dict[str, Any] | None = None,
        now: datetime,
    ) -> AuditRow:
        """Append one entry to the audit trail: who did what to which object, when and why."""
        with self._database.writing() as connection:
            return append_entry(
                connection,
                actor=actor,
                action=action,
                object_name=object_name,
                reason=reason,
                details=details,
                now=now,
            )

    def recompute_rollups(self, now: datetime) -> None:
        """Compute the pages' small tables from the facts; needed only after rows were changed by hand."""
        with self._database.writing() as connection:
            recompute_rollups(connection, now)


def require_backup(connection: Connection, backup_id: str) -> Any:
    """Return a backup's row.

    Raises:
        BackupUnknown: There is none.
    """
    row = connection.execute(select(BACKUP).where(BACKUP.c.id == backup_id)).one_or_none()
    if row is None:
        raise BackupUnknown(
            f"the catalog knows no backup {backup_id}",
            hint="List them with `goldcopy backups`; `goldcopy rebuild-catalog` finds what only the repository knows.",
        )
    return row


def record_manifest(connection: Connection, manifest: Manifest, manifest_sha256: str, now: datetime) -> None:
    """Write everything that a manifest says, whatever the catalog knew of the backup before.

    What only the catalog knows (proof, holds, tests, the run) stays as it is; but a proof of another manifest is none.
    """
    backup_id = manifest.backup_id
    lock_source(connection, manifest.source, now, kind=manifest.source_kind)
    known = (BACKUP.c.started_at, BACKUP.c.status, BACKUP.c.manifest_sha256)
    before = connection.execute(select(*known).where(BACKUP.c.id == backup_id)).one_or_none()
    values = manifest_values(manifest, manifest_sha256) | {
        "error_code": None,
        "error_message": "",
        "manifest_damaged_at": None,  # it was just read
    }
    if before is None:
        connection.execute(insert(BACKUP).values(id=backup_id, status=BackupStatus.COMPLETE.value, **values))
    else:
        # A cleanup that has begun goes on: only it may take the mark away, by removing the backup.
        expiring = before.status == BackupStatus.EXPIRING.value
        status = BackupStatus.EXPIRING if expiring else BackupStatus.COMPLETE
        if before.manifest_sha256 not in {"", manifest_sha256}:
            values |= {"proven_at": None, "test_outcome": ""}  # what was proven was another manifest
        connection.execute(update(BACKUP).where(BACKUP.c.id == backup_id).values(status=status.value, **values))
    _write_tables(connection, backup_id, manifest.tables)
    _write_objects(connection, manifest)
    refresh_damage(connection, [backup_id])
    days = [manifest.started_at] if before is None else [manifest.started_at, before.started_at]
    refresh_source(connection, manifest.source, now, days=days)


def refresh_damage(connection: Connection, backup_ids: Sequence[str]) -> None:
    """Let backups know whether their manifest, or an object that they name, is damaged."""
    since = (
        select(func.min(STORED_OBJECT.c.damaged_at))
        .join(BACKUP_OBJECT, BACKUP_OBJECT.c.object_id == STORED_OBJECT.c.id)
        .where(BACKUP_OBJECT.c.backup_id == BACKUP.c.id)
        .scalar_subquery()
    )
    own = BACKUP.c.manifest_damaged_at
    earlier = or_(BACKUP.c.damaged_at.is_(None), BACKUP.c.damaged_at > own)
    for chunk in chunked(backup_ids):
        named = BACKUP.c.id.in_(chunk)
        connection.execute(update(BACKUP).where(named).values(damaged_at=since))
        connection.execute(update(BACKUP).where(named, own.is_not(None), earlier).values(damaged_at=own))


def _write_tables(connection: Connection, backup_id: str, tables: Sequence[TableRecord]) -> None:
    connection.execute(delete(BACKUP_TABLE).where(BACKUP_TABLE.c.backup_id == backup_id))
    rows = [
        {
            "backup_id": backup_id,
            "ordinal": ordinal,
            "schema_name": table.schema,
            "table_name": table.name,
            "rows": table.rows,
            "plain_bytes": table.plain_bytes,
            "fingerprint": table.fingerprint,
            "partition_root": table.partition_root,
        }
        for ordinal, table in enumerate(tables)
    ]
    for chunk in chunked(rows):
        connection.execute(insert(BACKUP_TABLE), list(chunk))


def _write_objects(connection: Connection, manifest: Manifest) -> None:
    """Write the objects that are new, correct what differs, and link them all to the backup."""
    connection.execute(delete(BACKUP_OBJECT).where(BACKUP_OBJECT.c.backup_id == manifest.backup_id))
    records = {item.key: item for item in manifest.objects}
    known = _known_objects(connection, list(records))
    fresh = [item for key, item in records.items() if key not in known]
    for item in (records[key] for key, row in known.items() if _differs(row, records[key])):
        connection.execute(
            update(STORED_OBJECT)
            .where(STORED_OBJECT.c.key == item.key)
            .values(stored_bytes=item.stored_bytes, sha256=item.sha256)
        )
    ids = [row.id for row in known.values()]
    for chunk in chunked([_object_values(manifest, item) for item in fresh]):
        ids += connection.execute(insert(STORED_OBJECT).returning(STORED_OBJECT.c.id), list(chunk)).scalars()
    links = [{"backup_id": manifest.backup_id, "object_id": number} for number in sorted(ids)]
    for chunk in chunked(links):
        connection.execute(insert(BACKUP_OBJECT), list(chunk))


def _known_objects(connection: Connection, keys: Sequence[str]) -> dict[str, Any]:
    known: dict[str, Any] = {}
    for chunk in chunked(keys):
        columns = (STORED_OBJECT.c.id, STORED_OBJECT.c.key, STORED_OBJECT.c.stored_bytes, STORED_OBJECT.c.sha256)
        for row in connection.execute(select(*columns).where(STORED_OBJECT.c.key.in_(chunk))):
            known[row.key] = row
    return known


def _differs(row: Any, record: ObjectRecord) -> bool:
    return bool(row.stored_bytes != record.stored_bytes or row.sha256 != record.sha256)


def _object_values(manifest: Manifest, record: ObjectRecord) -> dict[str, Any]:
    return {
        "key": record.key,
        "source": manifest.source,
        "stored_bytes": record.stored_bytes,
        "sha256": record.sha256,
        "first_backup_id": manifest.backup_id,
        "damage": "",
    }
