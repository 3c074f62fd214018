"""What a list and a page of one backup show, from the catalog."""

from typing import Any

from shared.catalog.engine import Catalog
from shared.catalog.records import BackupRow, RestoreTestRow
from shared.units import format_instant


def backup_document(row: BackupRow) -> dict[str, Any]:
    """Return one backup in JSON's own types."""
    return {
        "backup_id": row.id,
        "source": row.source,
        "kind": row.kind.value,
        "status": row.status.value,
        "reason": row.reason,
        "started_at": format_instant(row.started_at),
        "recovery_point_at": format_instant(row.recovery_point_at) if row.recovery_point_at else None,
        "finished_at": format_instant(row.finished_at) if row.finished_at else None,
        "duration_seconds": row.duration_seconds,
        "dumped_bytes": row.dumped_bytes,
        "stored_bytes": row.stored_bytes,
        "new_bytes": row.new_bytes,
        "table_count": row.table_count,
        "row_count": row.row_count,
        "warnings": list(row.warnings),
        "excluded": [{"object": item.object, "reason": item.reason} for item in row.excluded],
        "proven_at": format_instant(row.proven_at) if row.proven_at else None,
        "test_outcome": row.test_outcome.value if row.test_outcome else None,
        "damaged_at": format_instant(row.damaged_at) if row.damaged_at else None,
        "held": row.held,
        "error": row.error_message or None,
    }


def shown_backup(row: BackupRow, catalog: Catalog) -> dict[str, Any]:
    """Return one backup with everything the catalog knows of it."""
    return backup_document(row) | {
        "server_version": row.server_version,
        "client_version": row.client_version,
        "tool_version": row.tool_version,
        "snapshot_id": row.snapshot_id,
        "lsn": row.lsn,
        "manifest_sha256": row.manifest_sha256,
        "phases": row.durations,
        "large_object_count": row.large_object_count,
        "tables": [
            {"schema": table.schema, "name": table.name, "rows": table.rows, "bytes": table.plain_bytes}
            for table in catalog.tables(row.id)
        ],
        "holds": [
            {
                "reason": hold.reason,
                "owner": hold.owner,
                "placed_at": format_instant(hold.placed_at),
                "released_at": format_instant(hold.released_at) if hold.released_at else None,
            }
            for hold in catalog.holds(row.id)
        ],
        "restore_tests": [_test_document(test) for test in catalog.restore_tests(backup_id=row.id)],
    }


def _test_document(test: RestoreTestRow) -> dict[str, Any]:
    return {
        "outcome": test.outcome.value if test.outcome else "running",
        "picked": test.picked,
        "started_at": format_instant(test.started_at),
        "finished_at": format_instant(test.finished_at) if test.finished_at else None,
        "phases": test.phases,
        "recovery_time_seconds": test.recovery_time_seconds,
        "tables_proven": test.tables_proven,
        "rows_proven": test.rows_proven,
        "source_version": test.source_version,
        "scratch_version": test.scratch_version,
        "findings": [finding.document() for finding in test.findings],
        "not_measured": [gap.document() for gap in test.not_measured],
    }
