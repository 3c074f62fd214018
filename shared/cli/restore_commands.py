"""goldcopy restore-test, restore."""

from typing import Any

import click

from shared.cli.output import emit, finding_lines, json_option, printable, progress
from shared.units import counted, format_duration

EXIT_CODES = {"passed": 0, "failed": 1, "not_measured": 3}


@click.command("restore-test")
@click.argument("subject", required=False, metavar="[SOURCE|BACKUP_ID]")
@click.option("--pick", type=click.Choice(["newest", "oldest", "random"]), default="newest", show_default=True)
@json_option
@click.pass_obj
def restore_test(config: str | None, subject: str | None, pick: str, *, as_json: bool) -> int:
    """Restore a backup to a scratch server, prove its content, keep the evidence."""
    from shared.wiring import open_workspace

    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.run_restore_test(subject, pick, on_progress=on_progress).document()
    emit(document, _test_lines(document), as_json=as_json)
    return EXIT_CODES[document["outcome"]]


def _test_lines(document: dict[str, Any]) -> list[str]:
    words = {"passed": "PROVEN", "failed": "FAILED", "not_measured": "NOT MEASURED"}
    phases = ", ".join(f"{name} {format_duration(seconds)}" for name, seconds in document["phases"].items())
    proven = f"{counted(document['tables_proven'], 'table')}, {counted(document['rows_proven'], 'row')}"
    lines = [f"{words[document['outcome']]}: {document['backup_id']}"]
    if not document["scratch_version"]:
        return lines + list(finding_lines(document["findings"], document["not_measured"]))
    lines += [
        f"  {proven} equal to what the source held in the backup's snapshot",
        f"  recovery time {format_duration(document['recovery_time_seconds'] or 0)} ({phases})",
        f"  source {document['source_version']}, scratch server {document['scratch_version']}",
    ]
    return lines + list(finding_lines(document["findings"], document["not_measured"]))


@click.command()
@click.argument("backup_id")
@click.option("--to", "destination", required=True, metavar="env:NAME|file:PATH|URL", help="An empty database.")
@click.option("--table", "tables", multiple=True, metavar="SCHEMA.TABLE", help="Only this table; may be repeated.")
@click.option("--reason", default="", help="Why; kept in the audit trail.")
@click.option(
    "--jobs",
    type=click.IntRange(1, 32),
    default=1,
    show_default=True,
    help="More than 1 is faster and not one transaction.",
)
@click.option("--into-source", is_flag=True, help="Allow the source itself as the destination.")
@click.option("--into-non-empty", is_flag=True, help="Allow a destination that holds something already.")
@json_option
@click.pass_obj
def restore(config: str | None, /, backup_id: str, destination: str, *, as_json: bool, **options: Any) -> int:
    """Restore BACKUP_ID into an empty database, or chosen tables into any."""
    from shared.wiring import open_workspace

    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.restore(backup_id, destination, on_progress=on_progress, **options).document()
    emit(document, restore_lines(document), as_json=as_json)
    return EXIT_CODES[document["outcome"]]


def restore_lines(document: dict[str, Any]) -> list[str]:
    """Return what a person reads of a restore: first whether anything was restored."""
    what = f"{document['backup_id']} into {printable(document['destination'])}"
    found = finding_lines(document["findings"], document["not_measured"])
    if document["is_rolled_back"]:
        return [f"NOT RESTORED: {what}, which is as it was", *found]
    words = {"passed": "RESTORED", "failed": "RESTORED, AND DIFFERS", "not_measured": "RESTORED, NOT ALL MEASURED"}
    proven = f"{counted(document['tables_restored'], 'table')}, {counted(document['rows_restored'], 'row')}"
    return [
        f"{words[document['outcome']]}: {what} in {format_duration(document['duration_seconds'])}",
        f"  {proven}, read back and compared",
        *found,
    ]
