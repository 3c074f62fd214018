"""The notices about what was done: backups, restore tests, anomalies, cleanup. Pure: facts in, a notice out.

Each is written for somebody who was woken up by it: what happened, to which object, what it means in hours, and the
next step with its command. Commands stand between backticks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.notice_words import (
    Links,
    Protection,
    age,
    clock,
    count,
    cut_fact,
    duration,
    first_words,
    moment,
)
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.units import format_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupEnd:
    """A backup that ended, well or badly; the names are those of the catalog.

    Attributes:
        recovery_point_at: Instant of its snapshot; None where it failed.
        proven_at: When a restore test of this very backup passed; None until then.
        error_message: Why it failed, without a secret; empty when it did not.
        hint: What the error says to do next; may be empty.
    """

    id: str
    source: str
    kind: str
    started_at: datetime
    finished_at: datetime
    duration_seconds: float
    recovery_point_at: datetime | None = None
    dumped_bytes: int = 0
    stored_bytes: int = 0
    new_bytes: int = 0
    table_count: int = 0
    row_count: int = 0
    proven_at: datetime | None = None
    warnings: tuple[str, ...] = ()
    error_message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestEnd:
    """A restore test that ended.

    Attributes:
        recovery_point_at: Recovery point of the backup that was tested.
        duration_seconds: All of it, the proof included.
        recovery_time_seconds: Fetched to usable, without the proof.
    """

    id: str
    source: str
    backup_id: str
    finished_at: datetime
    duration_seconds: float
    recovery_point_at: datetime | None = None
    recovery_time_seconds: float | None = None
    tables_proven: int = 0
    rows_proven: int = 0
    findings: tuple[Finding, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    source_version: str = ""
    scratch_version: str = ""


def backup_completed(backup: BackupEnd, *, links: Links = ()) -> Notice:
    """Tell that a backup is complete."""
    at = backup.finished_at
    proven = f"proven {clock(backup.proven_at, at)}" if backup.proven_at else "not proven yet"
    size, tables = format_bytes(backup.dumped_bytes), count(backup.table_count, "table")
    return Notice(
        key=f"backup-completed:{backup.id}",
        event=NoticeEvent.BACKUP_COMPLETED,
        severity=NoticeSeverity.INFO,
        source=backup.source,
        title=f"Backup of {backup.source} completed: {size}, {tables}, {duration(backup.duration_seconds)}, {proven}",
        at=at,
        facts=(
            *_backup_facts(backup),
            ("Contents", f"{tables}, {count(backup.row_count, 'row')}"),
            ("Stored", f"{format_bytes(backup.stored_bytes)}, of which {format_bytes(backup.new_bytes)} are new"),
        ),
        findings=backup.warnings,
        links=links,
    )


def backup_failed(
    backup: BackupEnd, protection: Protection, *, next_try_at: datetime | None = None, links: Links = ()
) -> Notice:
    """Tell that a backup failed, was interrupted, or died without a word.

    Args:
        backup: What ended.
        protection: What the source could be brought back to when it ended.
        next_try_at: When the schedule expects the next one, where there is a schedule.
        links: Pages that say more.
    """
    at, source = backup.finished_at, backup.source
    again = f" The schedule's next is {moment(next_try_at)}." if next_try_at else ""
    see = f"{backup.hint} When that is mended," if backup.hint else f"`goldcopy check {source}` names what is wrong,"
    return Notice(
        key=f"backup-failed:{backup.id}",
        event=NoticeEvent.BACKUP_FAILED,
        severity=NoticeSeverity.CRITICAL,
        source=source,
        title=f"Backup of {source} FAILED: {first_words(backup.error_message) or 'no reason was recorded'}",
        at=at,
        impact=protection.sentence(at),
        action=f"{see} `goldcopy backup {source}` tries again.{again}",
        facts=(
            *cut_fact("Error", backup.error_message),
            ("Failed at", f"{moment(at)}, after {duration(backup.duration_seconds)}"),
            ("Backup", f"{backup.id} ({backup.kind})"),
        ),
        links=links,
    )


def backup_slow(backup: BackupEnd, agreed: timedelta, *, links: Links = ()) -> Notice:
    """Tell that a backup is complete and took longer than was agreed."""
    source, took = backup.source, duration(backup.duration_seconds)
    over = backup.duration_seconds - agreed.total_seconds()
    return Notice(
        key=f"backup-slow:{backup.id}",
        event=NoticeEvent.BACKUP_SLOW,
        severity=NoticeSeverity.WARNING,
        source=source,
        title=f"Backup of {source} took {took}, agreed are {duration(agreed.total_seconds())}",
        at=backup.finished_at,
        impact=(
            f"The backup is complete and counts. It took {duration(over)} longer than agreed; while a backup runs the"
            " source keeps old row versions, and the next one may meet the working day."
        ),
        action=(
            f"`goldcopy show {backup.id}` shows which phase took the time. More jobs for the dump or a quieter hour"
            f" help; if it is meant to take that long, raise objectives.backup_time of {source}."
        ),
        facts=(*_backup_facts(backup), ("Size", format_bytes(backup.dumped_bytes))),
        links=links,
    )


def backup_late(
    source: str,
    kind: str,
    expected_at: datetime,
    protection: Protection,
    now: datetime,
    *,
    running_since: datetime | None = None,
    links: Links = (),
) -> Notice:
    """Tell that a scheduled backup did not come.

    Args:
        source: Whose.
        kind: Kind of the backup that was expected.
        expected_at: When it should have begun.
        protection: What the source could be brought back to now.
        now: Aware instant.
        running_since: Since when a backup is running that has not ended; None when none has begun.
        links: Pages that say more.
    """
    began = f"one runs since {clock(running_since, now)} and has not ended" if running_since else "none has begun"
    return Notice(
        key=f"backup-late:{source}:{kind}:{expected_at:%Y%m%dT%H%M%SZ}",
        event=NoticeEvent.BACKUP_LATE,
        severity=NoticeSeverity.WARNING,
        source=source,
        title=f"Backup of {source} is {age(now - expected_at)} late: {began}",
        at=now,
        impact=protection.sentence(now),
        action=(
            f"Is the scheduler alive? Look at the Prefect server and its worker, then take one by hand:"
            f" `goldcopy backup {source} --kind {kind}`."
        ),
        facts=(("Expected", f"{moment(expected_at)} ({kind})"), ("Noticed", moment(now))),
        links=links,
    )


def restore_test_passed(test: RestoreTestEnd, *, links: Links = ()) -> Notice:
    """Tell that a backup was restored and equals its source."""
    warnings = [finding for finding in test.findings if finding.severity is Severity.WARNING]
    proven = f"{count(test.tables_proven, 'table')} and {count(test.rows_proven, 'row')}"
    return Notice(
        key=f"restore-test-passed:{test.id}",
        event=NoticeEvent.RESTORE_TEST_PASSED,
        severity=NoticeSeverity.INFO,
        source=test.source,
        title=f"Restore test of {test.source} passed: {proven} proven in {duration(test.duration_seconds)}",
        at=test.finished_at,
        facts=_test_facts(test),
        findings=_finding_lines(warnings),
        links=links,
    )


def restore_test_failed(test: RestoreTestEnd, protection: Protection, *, links: Links = ()) -> Notice:
    """Tell that a restored backup does not equal its source, or cannot be restored."""
    source, at = test.source, test.finished_at
    worst = sorted(test.findings, key=lambda finding: list(Severity).index(finding.severity))
    errors = [finding for finding in worst if finding.severity is Severity.ERROR]
    first = f", first: {first_words(_line(errors[0]), 90)}" if errors else ""
    return Notice(
        key=f"restore-test-failed:{test.id}",
        event=NoticeEvent.RESTORE_TEST_FAILED,
        severity=NoticeSeverity.CRITICAL,
        source=source,
        title=f"Restore test of {source} FAILED: {count(len(errors), 'finding')}{first}",
        at=at,
        impact=f"Do not rely on backup {test.backup_id}. {_without(test, protection)}",
        action=(
            f"`goldcopy show {test.backup_id}` lists what differs. Take and prove a fresh one:"
            f" `goldcopy backup {source}` and `goldcopy restore-test {source}`. Proven ones are kept meanwhile."
        ),
        facts=_test_facts(test),
        findings=(*_finding_lines(worst), *_gap_lines(test.not_measured)),
        links=links,
    )


def restore_test_not_measured(test: RestoreTestEnd, protection: Protection, *, links: Links = ()) -> Notice:
    """Tell that a restore test could not be carried out, or not wholly: that is no proof."""
    source, at = test.source, test.finished_at
    gaps = test.not_measured
    first = f": {first_words(gaps[0].reason, 90)}" if gaps else ""
    return Notice(
        key=f"restore-test-not-measured:{test.id}",
        event=NoticeEvent.RESTORE_TEST_NOT_MEASURED,
        severity=NoticeSeverity.WARNING,
        source=source,
        title=f"Restore test of {source} proves nothing, {count(len(gaps), 'check')} could not run{first}",
        at=at,
        impact=f"Nothing is known to be wrong with backup {test.backup_id}, and it is not proven."
        f" {protection.proven_sentence(at)}",
        action=(
            f"Mend what is named below, then `goldcopy restore-test {test.backup_id}`;"
            f" `goldcopy check {source}` says what a restore test needs here."
        ),
        facts=_test_facts(test),
        findings=(*_gap_lines(gaps), *_finding_lines(test.findings)),
        links=links,
    )


def anomalies_found(
    source: str, backup_id: str, sentences: Sequence[str], at: datetime, *, key: str, links: Links = ()
) -> Notice:
    """Tell that something about a backup is unusual; it is complete nevertheless.

    Args:
        source: Of which source.
        backup_id: In which backup it showed; empty where none came.
        sentences: One for each anomaly, what was found and what was expected.
        at: When it was found.
        key: Unique name.
        links: Pages that say more.
    """
    first = first_words(sentences[0], 110)
    more = f" (and {len(sentences) - 1:,} more)" if len(sentences) > 1 else ""
    shown = f"`goldcopy show {backup_id}` shows the backup. " if backup_id else ""
    return Notice(
        key=key,
        event=NoticeEvent.ANOMALY,
        severity=NoticeSeverity.WARNING,
        source=source,
        title=f"Unusual in {source}: {first}{more}",
        at=at,
        impact=(
            "Backups go on and this one counts. If data was lost in the source, backups from before that are the way"
            " back, and they expire with time."
        ),
        action=(
            f"{shown}Ask who works on {source} whether it is meant."
            f" If it is: `goldcopy ack {source} --reason 'why'`."
            + (
                f" If it is not, keep an older backup: `goldcopy backups {source}`, `goldcopy hold ID`."
                if backup_id
                else ""
            )
        ),
        facts=(("Found", moment(at)), *((("Backup", backup_id),) if backup_id else ())),
        findings=tuple(sentences),
        links=links,
    )


def cleanup_refused(source: str, reason: str, hint: str, at: datetime, *, key: str, links: Links = ()) -> Notice:
    """Tell that a cleanup did not expire what the policy would let go, and that nothing was removed."""
    whom = source or "all sources"
    return Notice(
        key=key,
        event=NoticeEvent.CLEANUP_REFUSED,
        severity=NoticeSeverity.WARNING,
        source=source,
        title=f"Cleanup of {whom} refused: {first_words(reason)}",
        at=at,
        impact="No backup was removed, so nothing is lost. Storage grows until cleanup can go on.",
        action=f"{hint + ' ' if hint else ''}See what would go and why: `goldcopy cleanup --dry-run`.",
        facts=(*cut_fact("Reason", reason), ("When", moment(at))),
        links=links,
    )


def _backup_facts(backup: BackupEnd) -> tuple[tuple[str, str], ...]:
    point = (("Recovery point", moment(backup.recovery_point_at)),) if backup.recovery_point_at else ()
    ended = f"{moment(backup.finished_at)}, after {duration(backup.duration_seconds)}"
    return (*point, ("Finished", ended), ("Backup", f"{backup.id} ({backup.kind})"))


def _test_facts(test: RestoreTestEnd) -> tuple[tuple[str, str], ...]:
    point = (("Its recovery point", moment(test.recovery_point_at)),) if test.recovery_point_at else ()
    seconds = test.recovery_time_seconds
    recovery = (("Recovery time", duration(seconds)),) if seconds is not None else ()
    versions = f"source {test.source_version}, restored on {test.scratch_version}"
    return (
        ("Backup", test.backup_id),
        *point,
        ("Tested", f"{moment(test.finished_at)}, in {duration(test.duration_seconds)}"),
        *recovery,
        ("Proven", f"{count(test.tables_proven, 'table')}, {count(test.rows_proven, 'row')}"),
        *((("Postgres", versions),) if test.source_version and test.scratch_version else ()),
    )


def _without(test: RestoreTestEnd, protection: Protection) -> str:
    """Say what can be relied on when a backup cannot: what is proven counts here, not what is merely complete."""
    if protection.proven_at is None:
        return f"No other backup is proven: nothing is known to bring {test.source} back."
    return (
        f"The newest proven backup is {age(test.finished_at - protection.proven_at)} old"
        f" ({moment(protection.proven_at)}); what was written since then is not safe."
    )


def _line(finding: Finding) -> str:
    return finding.message if finding.object in finding.message else f"{finding.object}: {finding.message}"


def _finding_lines(findings: Sequence[Finding]) -> tuple[str, ...]:
    return tuple(f"{finding.check}: {_line(finding)}" for finding in findings)


def _gap_lines(gaps: Sequence[NotMeasured]) -> tuple[str, ...]:
    return tuple(f"not measured: {gap.check} of {gap.object}: {gap.reason}" for gap in gaps)
