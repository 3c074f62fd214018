"""goldcopy backup, backups, show."""

from typing import Any

import click

from shared.cli.output import emit, finding_lines, json_option, printable, progress, table
from shared.domain.backup import BackupKind
from shared.units import counted, format_bytes, format_duration
from shared.wiring import open_workspace

_SHOWN = 20


@click.command()
@click.argument("source")
@click.option("--kind", type=click.Choice([kind.value for kind in BackupKind]), default="manual", show_default=True)
@click.option("--reason", default="", help="Why; kept with the backup and in the audit trail.")
@click.option("--moved", is_flag=True, help="SOURCE is another database on another server now, on purpose.")
@json_option
@click.pass_obj
def backup(config: str | None, source: str, kind: str, reason: str, *, moved: bool, as_json: bool) -> None:
    """Take one backup of SOURCE now."""
    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        result = workspace.back_up(source, BackupKind(kind), reason, may_have_moved=moved, on_progress=on_progress)
    document = result.document()
    emit(document, _backup_lines(document), as_json=as_json)


def _backup_lines(document: dict[str, Any]) -> list[str]:
    size, seconds = format_bytes(document["dumped_bytes"]), format_duration(document["duration_seconds"])
    stored, new = format_bytes(document["stored_bytes"]), format_bytes(document["new_bytes"])
    lines = [
        f"Backup {document['backup_id']} of {document['source']} is complete",
        f"  {size} in {counted(document['table_count'], 'table')}, {counted(document['row_count'], 'row')}, {seconds}",
        f"  stored {stored}, of which new {new}; recovery point {document['recovery_point_at']}",
    ]
    lines += [f"  ! {printable(warning)}" for warning in document["warnings"]]
    lines += [f"  ? {printable(sentence)}" for sentence in document["anomalies"]]
    lines += [
        f"  left out on purpose: {printable(item['object'])} ({printable(item['reason'])})"
        for item in document["excluded"]
    ]
    lines.append(f"  not proven yet: goldcopy restore-test {document['backup_id']}")
    return lines


@click.command()
@click.argument("source", required=False)
@click.option(
    "--limit", type=click.IntRange(min=1), help=f"At most so many (default: {_SHOWN}, with --json all of them)."
)
@json_option
@click.pass_obj
def backups(config: str | None, source: str | None, limit: int | None, *, as_json: bool) -> None:
    """List the backups, newest first."""
    shown = limit or (None if as_json else _SHOWN)
    with open_workspace(config) as workspace:
        found = workspace.list_backups(source, None if shown is None else shown + 1)
        rows = found[:shown]
        none_yet = "There are no backups yet: goldcopy backup SOURCE"
        if not rows and (stored := workspace.count_stored_backups(source)):
            none_yet = f"The catalog knows none, and the repository holds {stored}: goldcopy rebuild-catalog"
    lines = table(
        ("backup", "kind", "status", "recovery point", "dumped", "new", "rows", "proven", "held"),
        (
            (
                row["backup_id"],
                row["kind"],
                row["status"],
                f"{row['recovery_point_at'][:19]}Z" if row["recovery_point_at"] else "-",
                format_bytes(row["dumped_bytes"] or 0),
                format_bytes(row["new_bytes"] or 0),
                f"{row['row_count'] or 0:,}",
                _standing(row),
                "held" if row["held"] else "",
            )
            for row in rows
        ),
    )
    older = [f"older ones are not shown: goldcopy backups --limit {10 * len(rows)}"] if len(found) > len(rows) else []
    emit({"backups": rows}, [*lines, *older] if rows else [none_yet], as_json=as_json)


def _standing(row: dict[str, Any]) -> str:
    """Whether the backup can be relied on; what is worst comes first."""
    if row["damaged_at"]:
        return f"DAMAGED since {row['damaged_at'][:16]}Z"
    if row["test_outcome"] == "failed":
        return "TEST FAILED"
    if row["status"] != "complete":
        return "-"
    return f"{row['proven_at'][:16]}Z" if row["proven_at"] else "not proven"


@click.command()
@click.argument("backup_id")
@json_option
@click.pass_obj
def show(config: str | None, backup_id: str, *, as_json: bool) -> None:
    """Show one backup: its manifest's facts and its restore tests."""
    with open_workspace(config) as workspace:
        document = workspace.show(backup_id)
    emit(document, _show_lines(document), as_json=as_json)


def _show_lines(document: dict[str, Any]) -> list[str]:
    size = f"{format_bytes(document['dumped_bytes'])} in {counted(document['table_count'], 'table')}"
    lines = [
        f"{document['backup_id']}: {document['kind']} backup of {document['source']}, {document['status']}",
        f"  recovery point {document['recovery_point_at']}, finished {document['finished_at']}",
        f"  {size}, {counted(document['row_count'], 'row')}",
        f"  stored {format_bytes(document['stored_bytes'])}, of which new {format_bytes(document['new_bytes'])}",
        f"  server {document.get('server_version')}, client {document.get('client_version')}",
        f"  proven: {_standing(document)}" + (", held" if document["held"] else ""),
    ]
    if document["error"]:
        lines = [lines[0], f"  ✕ {printable(document['error'])}"]
    if document["recipients"] is None and document["status"] == "complete":
        lines.append("  sealed to: not known, its manifest cannot be read now (goldcopy verify says why)")
    lines += [f"  sealed to {printable(recipient)}" for recipient in document["recipients"] or ()]
    lines += [_hold_line(hold) for hold in document["holds"]]
    lines += [f"  ! {printable(warning)}" for warning in document["warnings"]]
    lines += [
        f"  left out on purpose: {printable(item['object'])} ({printable(item['reason'])})"
        for item in document["excluded"]
    ]
    for test in document["restore_tests"]:
        proven = f"{counted(test['tables_proven'], 'table')} proven"
        lines.append(f"  restore test {test['started_at']}: {test['outcome'].replace('_', ' ')}, {proven}")
        lines += [f"  {line}" for line in finding_lines(test["findings"], test["not_measured"])]
    return lines


def _hold_line(hold: dict[str, Any]) -> str:
    if hold["released_at"]:
        return f"  was held by {hold['owner']} until {hold['released_at']}: {printable(hold['reason'])}"
    return f"  held by {hold['owner']}: {printable(hold['reason'])}"
