"""Expire what retention no longer keeps; the rules stand in `shared/domain/retention.py`."""

from prefect import flow

from flows.artifacts import Document
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.progress import progress_artifact
from flows.support import note_lost_runs, open_workspace, step, tell_people

TIMEOUT_SECONDS = 6 * 3600
COLUMNS = {"kept": "Kept", "expired": "Expired", "freed_bytes": "Freed"}


@step(name="clean up")
def clean_up(source: str | None, dry_run: bool) -> Document:  # noqa: FBT001 - a step's arguments are passed by name
    """Plan and expire the backups of one source or of all."""
    with progress_artifact("cleanup", source or "all sources") as progress, open_workspace() as workspace:
        return workspace.clean_up(source, dry_run=dry_run, on_progress=progress.note).document()


@flow(
    name="cleanup",
    timeout_seconds=TIMEOUT_SECONDS,
    persist_result=False,
    on_crashed=[note_lost_runs],
    on_cancellation=[note_lost_runs],
)
def cleanup(source: str | None = None, dry_run: bool = False) -> None:  # noqa: FBT001, FBT002 - a form's check box
    """Remove backups that no retention rule, hold or safety rule keeps.

    Args:
        source: Name of a source; empty means all.
        dry_run: Only show what would be removed.
    """
    subject = source or "all sources"
    results = run_for_each(clean_up, {subject: {"source": source, "dry_run": dry_run}}, at_once=1)
    publish("Cleanup (dry run)" if dry_run else "Cleanup", results, COLUMNS, key="cleanup")
    tell_people()
    fail_unless_good(results)
