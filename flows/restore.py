"""Restore a backup, or chosen tables of it, into an empty database."""

from typing import Annotated

from prefect import flow
from pydantic import Field

from flows.artifacts import Document
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.progress import progress_artifact
from flows.support import note_lost_runs, open_workspace, step

TIMEOUT_SECONDS = 24 * 3600
COLUMNS = {"tables_restored": "Tables restored", "duration_seconds": "Took", "findings": "Findings"}

# A reference, never a URL: parameters are stored by Prefect and shown to everyone who may see runs.
Destination = Annotated[
    str,
    Field(
        pattern=r"^(env|file|prefect):.+$",
        description="Where to: env:NAME, file:PATH or prefect:BLOCK that holds the URL of an empty database",
    ),
]


# No retries: what a half-done restore left behind is for a person to look at.
@step(name="restore", retries=0)
def restore_backup(backup_id: str, to: str, tables: list[str], reason: str) -> Document:
    """Restore a whole backup or chosen tables."""
    with progress_artifact("restore", backup_id) as progress, open_workspace() as workspace:
        return workspace.restore(backup_id, to, tables=tables, reason=reason, on_progress=progress.note).document()


@flow(
    name="restore",
    flow_run_name="restore {backup_id}",
    timeout_seconds=TIMEOUT_SECONDS,
    persist_result=False,
    on_crashed=[note_lost_runs],
    on_cancellation=[note_lost_runs],
)
def restore(backup_id: str, to: Destination, reason: str, tables: list[str] | None = None) -> None:
    """Restore a backup into an empty database.

    Args:
        backup_id: Which backup; an id may be shortened while it is unique.
        to: Where to: env:NAME, file:PATH or prefect:BLOCK that holds the URL of an empty database.
        reason: Why, in your own words; kept in the audit trail.
        tables: Only these tables, each as schema.table; empty means everything.
    """
    given = {"backup_id": backup_id, "to": to, "tables": tables or [], "reason": reason}
    results = run_for_each(restore_backup, {backup_id: given}, at_once=1)
    publish("Restore", results, COLUMNS, key=f"restore-{backup_id}")
    fail_unless_good(results)
