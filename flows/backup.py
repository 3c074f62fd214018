"""Back up one source, or every source that is due; test the restore where the configuration says so.

What a backup is and in which order its bytes are written stands in `shared/operations/backup.py`.
"""

from dataclasses import dataclass

from prefect import flow

from flows.artifacts import Document
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.progress import progress_artifact
from flows.restore_testing import COLUMNS as TEST_COLUMNS
from flows.restore_testing import restore_test
from flows.support import (
    ensure_slots,
    note_lost_runs,
    open_workspace,
    run_reference,
    source_slot,
    step,
    tell_people,
)
from shared.clock import utc_now
from shared.domain.backup import BackupKind

# The last guard: an operation that makes no progress ends itself long before.
TIMEOUT_SECONDS = 24 * 3600
COLUMNS = {
    "backup_id": "Backup",
    "recovery_point_at": "Recovery point",
    "duration_seconds": "Took",
    "table_count": "Tables",
    "row_count": "Rows",
    "dumped_bytes": "Dumped",
    "stored_bytes": "Stored",
    "new_bytes": "New",
    "warnings": "Warnings",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which sources a run backs up, which of them are tested after it, and how many at once."""

    sources: tuple[str, ...]
    tested: frozenset[str]
    at_once: int


@step(name="choose sources")
def choose_sources(source: str | None, kind: BackupKind) -> Choice:
    """Take the named source, or all that are due."""
    with open_workspace() as workspace:
        due = tuple(workspace.due_sources(kind, utc_now())) if source is None else (source,)
        tested = frozenset(name for name, known in workspace.sources.items() if known.restore_test_after_backup)
        return Choice(sources=due, tested=tested, at_once=workspace.overall_concurrency)


@step(name="back up", task_run_name="back up {source}")
def back_up(source: str, kind: BackupKind, reason: str, reference: str) -> Document:
    """Take one backup while holding the source's slot."""
    with (
        source_slot(source),
        progress_artifact("backup", source) as progress,
        open_workspace() as workspace,
    ):
        return workspace.back_up(source, kind, reason, on_progress=progress.note, run_reference=reference).document()


@flow(
    name="backup",
    flow_run_name="backup {kind}",
    timeout_seconds=TIMEOUT_SECONDS,
    persist_result=False,
    on_crashed=[note_lost_runs],
    on_cancellation=[note_lost_runs],
)
def backup(source: str | None = None, kind: BackupKind = BackupKind.MANUAL, reason: str = "") -> None:
    """Back up one source, or every source that is due.

    Args:
        source: Name of a source in goldcopy.toml; empty means every source that is due.
        kind: Decides how long the backup is kept.
        reason: Why, in your own words; kept with the backup.
    """
    choice = choose_sources(source, kind)
    ensure_slots(choice.sources, choice.at_once)
    given = {"kind": kind, "reason": reason, "reference": run_reference()}
    results = run_for_each(
        back_up, {name: {"source": name, **given} for name in choice.sources}, at_once=choice.at_once
    )
    publish(f"Backup: {kind}", results, COLUMNS, key=f"backup-{kind}")
    made = {result.subject: str(result.document["backup_id"]) for result in results if result.error is None}
    tests = run_for_each(
        restore_test,
        {
            name: {"which": made[name], "pick": "newest"}
            for name in choice.sources
            if name in made and name in choice.tested
        },
        at_once=1,
    )
    if tests:
        publish("Restore tests after the backup", tests, TEST_COLUMNS, key="restore-tests")
    tell_people()
    fail_unless_good([*results, *tests])
