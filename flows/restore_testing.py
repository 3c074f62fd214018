"""Prove backups: restore one of each source to a scratch server and compare it with what the source held."""

from datetime import datetime
from enum import StrEnum

from prefect import flow

from flows.artifacts import Document
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.progress import progress_artifact
from flows.support import note_lost_runs, open_workspace, step, tell_people
from shared.clock import utc_now

TIMEOUT_SECONDS = 24 * 3600
COLUMNS = {
    "backup_id": "Backup",
    "recovery_time_seconds": "Recovery time",
    "tables_proven": "Tables proven",
    "rows_proven": "Rows proven",
    "not_measured": "Not measured",
    "findings": "Findings",
    "source_version": "Source",
    "scratch_version": "Scratch server",
}


class Pick(StrEnum):
    """Which backup of a source is tested."""

    ROTATE = "rotate"
    NEWEST = "newest"
    OLDEST = "oldest"
    RANDOM = "random"


def pick_of_month(pick: Pick, now: datetime) -> str:
    """Turn `rotate` into a pick: the newest in odd months, a random one in even months, so old ones are proven too."""
    if pick is not Pick.ROTATE:
        return pick.value
    return (Pick.NEWEST if now.month % 2 else Pick.RANDOM).value


@step(name="list sources")
def list_sources() -> list[str]:
    """Return every source that has no schedule, and so no deployment, of its own."""
    with open_workspace() as workspace:
        return sorted(name for name, source in workspace.sources.items() if not source.schedule.own)


@step(name="restore test", task_run_name="restore test {which}")
def restore_test(which: str, pick: str) -> Document:
    """Test one backup: a source's, by pick, or the one named by its id."""
    with progress_artifact("restore-test", which) as progress, open_workspace() as workspace:
        return workspace.run_restore_test(which, pick, on_progress=progress.note).document()


@flow(
    name="restore-testing",
    flow_run_name="restore test {pick}",
    timeout_seconds=TIMEOUT_SECONDS,
    persist_result=False,
    on_crashed=[note_lost_runs],
    on_cancellation=[note_lost_runs],
)
def restore_testing(source: str | None = None, pick: Pick = Pick.NEWEST) -> None:
    """Restore a backup to a scratch server and prove it.

    Args:
        source: Name of a source or id of a backup; empty means every source without an own schedule.
        pick: Which backup of a source; rotate means the newest in odd months and a random one in even months.
    """
    chosen = pick_of_month(pick, utc_now())
    subjects = [source] if source else list_sources()
    # One after another: two scratch servers would only take memory and disk from each other.
    results = run_for_each(
        restore_test, {subject: {"which": subject, "pick": chosen} for subject in subjects}, at_once=1
    )
    publish("Restore tests", results, COLUMNS, key="restore-tests")
    tell_people()
    fail_unless_good(results)
