"""Re-read stored bytes and compare them with the recorded digests."""

from prefect import flow

from flows.artifacts import Document
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.progress import progress_artifact
from flows.support import note_lost_runs, open_workspace, step, tell_people

TIMEOUT_SECONDS = 24 * 3600
COLUMNS = {"objects_checked": "Objects read", "bytes_checked": "Bytes read", "findings": "Findings"}


@step(name="verify stored bytes")
def verify_stored_bytes(backup_ids: list[str] | None) -> Document:
    """Read every object of the named backups, or of all."""
    with progress_artifact("verify", "stored bytes") as progress, open_workspace() as workspace:
        return workspace.verify(backup_ids, on_progress=progress.note).document()


@flow(
    name="verify",
    timeout_seconds=TIMEOUT_SECONDS,
    persist_result=False,
    on_crashed=[note_lost_runs],
    on_cancellation=[note_lost_runs],
)
def verify(backup_ids: list[str] | None = None) -> None:
    """Check that the stored bytes are still what was stored.

    Args:
        backup_ids: Ids of backups; empty means all.
    """
    subject = ", ".join(backup_ids) if backup_ids else "all backups"
    results = run_for_each(verify_stored_bytes, {subject: {"backup_ids": backup_ids or None}}, at_once=1)
    publish("Verify", results, COLUMNS, key="verify")
    tell_people()
    fail_unless_good(results)
