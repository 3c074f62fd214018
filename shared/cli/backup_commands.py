"""goldcopy backup, backups, show."""

from typing import Any

import click

from shared.cli.output import emit, finding_lines, json_option, printable, progress, table
from shared.domain.backup import BackupKind
from shared.units import format_bytes, format_duration
from shared.wiring import open_workspace


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
        f"  {size} in {document['table_count']} tables, {document['row_count']:,} rows, {seconds}",
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
@json_option
@click.pass_obj
def backups(config: str | None, source: str | None, *, as_json: bool) -> None:
    """List the backups, newest first."""
    with open_workspace(config) as workspace:
        rows = workspace.list_backups(source)
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
    emit({"backups": rows}, lines if rows else [none_yet], as_json=as_json)


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
    size = f"{format_bytes(document['dumped_bytes'])} in {document['table_count']} tables"
    lines = [
        f"{document['backup_id']}: {document['kind']} backup of {document['source']}, {document['status']}",
        f"  recovery point {document['recovery_point_at']}, finished {document['finished_at']}",
        f"  {size}, {document['row_count']:,} rows",
        f"  stored {format_bytes(document['stored_bytes'])}, of which new {format_bytes(document['new_bytes'])}",
        f"  server {document.get('server_version')}, client {document.get('client_version')}",
        f"  proven: {_standing(document)}" + (", held" if document["held"] else ""),
    ]
    if document["error"]:
        lines = [lines[0], f"  ✕ {printable(document['error'])}"]
    lines += [f"  sealed to {recipient}" for recipient in document.get("recipients", ())]
    lines += [f"  held by {hold['owner']}: {printable(hold['reason'])}" for hold in document["holds"]]
    lines += [f"  ! {printable(warning)}" for warning in document["warnings"]]
    lines += [
        f"  left out on purpose: {printable(item['object'])} ({printable(item['reason'])})"
        for item in document["excluded"]
    ]
    for test in document["restore_tests"]:
        lines.append(f"  restore test {test['started_at']}: {test['outcome']}, {test['tables_proven']} tables proven")
        lines += [f"  {line}" for line in finding_lines(test["findings"], test["not_measured"])]
    return lines
