"""goldcopy verify, cleanup, hold, release, audit, rebuild-catalog."""

from typing import Any

import click

from shared.cli.output import dry_run_option, emit, finding_lines, json_option, printable, progress
from shared.cli.restore_commands import EXIT_CODES
from shared.units import counted, format_bytes
from shared.wiring import open_workspace


@click.command()
@click.argument("backup_id", required=False)
@click.option("--all", "everything", is_flag=True, help="Every backup (the default without BACKUP_ID).")
@json_option
@click.pass_obj
def verify(config: str | None, backup_id: str | None, *, everything: bool, as_json: bool) -> int:
    """Read stored bytes again and compare them with the recorded digests."""
    if backup_id and everything:
        raise click.UsageError("name a backup or say --all, not both")
    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.verify([backup_id] if backup_id else None, on_progress=on_progress).document()
    read = f"{counted(document['objects_checked'], 'object')}, {format_bytes(document['bytes_checked'])} read"
    lines = [
        f"{document['outcome'].replace('_', ' ')}: {read}",
        *finding_lines(document["findings"], document["not_measured"]),
    ]
    emit(document, lines, as_json=as_json)
    return EXIT_CODES[document["outcome"]]


@click.command()
@click.argument("source", required=False)
@dry_run_option
@json_option
@click.pass_obj
def cleanup(config: str | None, source: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Expire what the retention policy lets go; never the last proven backup."""
    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.clean_up(source, dry_run=dry_run, on_progress=on_progress).document()
    emit(document, _cleanup_lines(document), as_json=as_json)
    return 1 if any(finding["severity"] == "error" for finding in document["findings"]) else 0


def _cleanup_lines(document: dict[str, Any]) -> list[str]:
    would = "would expire" if document["dry_run"] else "expired"
    lines = [f"keep    {item['backup_id']}  {printable(item['reason'])}" for item in document["kept"]]
    lines += [f"{would} {item['backup_id']}  {printable(item['reason'])}" for item in document["expired"]]
    lines.append(
        f"{len(document['kept'])} kept, {len(document['expired'])} {would}, "
        f"{format_bytes(document['freed_bytes'])} {'would be freed' if document['dry_run'] else 'freed'}"
    )
    return lines + list(finding_lines(document["findings"]))


@click.command()
@click.argument("backup_id")
@click.option("--reason", required=True, help="Why it must not expire.")
@json_option
@click.pass_obj
def hold(config: str | None, backup_id: str, reason: str, *, as_json: bool) -> None:
    """Keep BACKUP_ID whatever the policy says, until it is released."""
    with open_workspace(config) as workspace:
        document = workspace.hold(backup_id, reason)
    emit(document, _hold_lines(document, reason), as_json=as_json)


def _hold_lines(document: dict[str, Any], reason: str) -> list[str]:
    backup_id, kept = document["backup_id"], printable(document["reason"])
    if document["is_new"]:
        return [f"{backup_id} is held: {kept}"]
    lines = [f"{backup_id} is held already, by {document['owner']} since {document['placed_at']}: {kept}"]
    if reason.strip() != document["reason"]:
        lines.append(f"  that reason stays, and yours is not recorded: {printable(reason)}")
        lines.append(f"  to change it: goldcopy release {backup_id}, then goldcopy hold {backup_id} --reason REASON")
    return lines


@click.command()
@click.argument("backup_id")
@click.option("--reason", default="", help="Why the hold ends.")
@json_option
@click.pass_obj
def release(config: str | None, backup_id: str, reason: str, *, as_json: bool) -> None:
    """End the hold on BACKUP_ID; the policy decides again."""
    with open_workspace(config) as workspace:
        document = workspace.release(backup_id, reason)
    emit(document, [f"{document['backup_id']} is no longer held"], as_json=as_json)


@click.command()
@json_option
@click.pass_obj
def audit(config: str | None, *, as_json: bool) -> int:
    """Compare the repository with the catalog, both ways, and check the audit trail's chain."""
    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.audit(on_progress=on_progress).document()
    missing, drifted = len(document["missing"]), len(document["drifted"])
    lines = [
        f"{counted(len(document['orphans']), 'orphan')}, {missing} missing, {drifted} drifted",
        *(
            f"  {kind}: {printable(item['object'])}: {printable(item['message'])}{_hint(item)}"
            for kind in ("orphans", "missing", "drifted")
            for item in document[kind]
        ),
        f"  audit trail: {document['audit_trail']}",
    ]
    emit(document, lines, as_json=as_json)
    return 1 if document["missing"] or document["drifted"] or document["audit_trail"] != "intact" else 0


def _hint(item: dict[str, Any]) -> str:
    return f"\n      {printable(item['hint'])}" if item["hint"] else ""


@click.command("rebuild-catalog")
@dry_run_option
@json_option
@click.pass_obj
def rebuild_catalog(config: str | None, *, dry_run: bool, as_json: bool) -> int:
    """Rebuild the metadata store from the repository alone."""
    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.rebuild_catalog(dry_run=dry_run, on_progress=on_progress).document()
    lines = [f"{counted(document['backups'], 'backup')}, {counted(document['restored_rows'], 'row')} restored"]
    lines += [f"  {item['backup_id']}: {printable(item['message'])}" for item in document["differences"]]
    lines += finding_lines(document["unreadable"])
    emit(document, lines, as_json=as_json)
    return 1 if document.get("unreadable") else 0
