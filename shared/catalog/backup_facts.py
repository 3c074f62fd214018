"""What a manifest says, as rows of the catalog: to record a backup, and to compare a catalog with the repository."""

from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, select

from shared.catalog.columns import clean_text
from shared.catalog.models import BACKUP, BACKUP_OBJECT, BACKUP_TABLE, STORED_OBJECT
from shared.catalog.records import BackupFacts, ObjectRow, TableRow
from shared.domain.manifest import Manifest


def manifest_values(manifest: Manifest, manifest_sha256: str) -> dict[str, Any]:
    """Return the columns of a backup's row that its manifest decides."""
    return {
        "source": manifest.source,
        "kind": manifest.kind.value,
        "reason": manifest.reason,
        "started_at": manifest.started_at,
        "recovery_point_at": manifest.recovery_point_at,
        "finished_at": manifest.finished_at,
        "duration_seconds": manifest.duration_seconds,
        "dumped_bytes": manifest.dumped_bytes,
        "stored_bytes": manifest.stored_bytes,
        "new_bytes": manifest.new_bytes,
        "table_count": len(manifest.tables),
        "row_count": manifest.row_count,
        "object_count": len(manifest.objects),
        "large_object_count": manifest.large_object_count,
        "server_version": manifest.server.server_version,
        "client_version": manifest.client_version,
        "tool_version": manifest.tool_version,
        "snapshot_id": manifest.snapshot_id,
        "lsn": manifest.lsn,
        "manifest_sha256": manifest_sha256,
        "warnings": list(manifest.warnings),
        "excluded": [asdict(item) for item in manifest.excluded],
        "durations": dict(manifest.durations_seconds),
    }


def facts_of_manifest(manifest: Manifest, manifest_sha256: str) -> BackupFacts:
    """Return what the repository knows of a backup, as the catalog would hold it."""
    values = manifest_values(manifest, manifest_sha256)
    return BackupFacts(
        row={name: clean_text(value) if isinstance(value, str) else value for name, value in values.items()},
        tables=tuple(
            TableRow(
                schema=clean_text(table.schema),
                name=clean_text(table.name),
                rows=table.rows,
                plain_bytes=table.plain_bytes,
                fingerprint=table.fingerprint,
                partition_root=clean_text(table.partition_root),
            )
            for table in manifest.tables
        ),
        objects=tuple(
            sorted(
                (
                    ObjectRow(key=item.key, stored_bytes=item.stored_bytes, sha256=item.sha256)
                    for item in manifest.objects
                ),
                key=lambda item: item.key,
            )
        ),
    )


def facts_of_catalog(connection: Connection, backup_id: str) -> BackupFacts | None:
    """Return what the catalog knows of the same; None where it has no such row."""
    columns = [BACKUP.c[name] for name in _MANIFEST_COLUMNS]
    row = connection.execute(select(*columns).where(BACKUP.c.id == backup_id)).mappings().one_or_none()
    if row is None:
        return None
    return BackupFacts(
        row=dict(row),
        tables=read_tables(connection, backup_id),
        objects=tuple(
            ObjectRow(key=item.key, stored_bytes=item.stored_bytes, sha256=item.sha256)
            for item in read_objects(connection, backup_id)
        ),
    )


def read_tables(connection: Connection, backup_id: str) -> tuple[TableRow, ...]:
    """Return a backup's tables in the manifest's order."""
    rows = connection.execute(
        select(BACKUP_TABLE).where(BACKUP_TABLE.c.backup_id == backup_id).order_by(BACKUP_TABLE.c.ordinal)
    )
    return tuple(
        TableRow(
            schema=row.schema_name,
            name=row.table_name,
            rows=row.rows,
            plain_bytes=row.plain_bytes,
            fingerprint=row.fingerprint,
            partition_root=row.partition_root,
        )
        for row in rows
    )


def read_objects(connection: Connection, backup_id: str) -> tuple[ObjectRow, ...]:
    """Return the objects that a backup names, by key."""
    rows = connection.execute(
        select(STORED_OBJECT)
        .join(BACKUP_OBJECT, BACKUP_OBJECT.c.object_id == STORED_OBJECT.c.id)
        .where(BACKUP_OBJECT.c.backup_id == backup_id)
    )
    found = (
        ObjectRow(
            key=row.key,
            stored_bytes=row.stored_bytes,
            sha256=row.sha256,
            damaged_at=row.damaged_at,
            damage=row.damage,
        )
        for row in rows
    )
    # Sorted here and not by the database, whose collation may order keys in its own way.
    return tuple(sorted(found, key=lambda item: item.key))


_MANIFEST_COLUMNS = (
    "source",
    "kind",
    "reason",
    "started_at",
    "recovery_point_at",
    "finished_at",
    "duration_seconds",
    "dumped_bytes",
    "stored_bytes",
    "new_bytes",
    "table_count",
    "row_count",
    "object_count",
    "large_object_count",
    "server_version",
    "client_version",
    "tool_version",
    "snapshot_id",
    "lsn",
    "manifest_sha256",
    "warnings",
    "excluded",
    "durations",
)
