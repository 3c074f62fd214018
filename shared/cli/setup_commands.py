"""goldcopy init, check, tools."""

import click

from shared.cli.output import emit, finding_lines, json_option, printable, progress
from shared.config.load import find_config
from shared.operations.setup import write_configuration


@click.command()
@json_option
@click.pass_obj
def init(config: str | None, *, as_json: bool) -> None:
    """Write a configuration and an age identity, here."""
    result = write_configuration(find_config(config))
    lines = [
        f"wrote {result.config_path}: name your databases there",
        f"wrote {result.identity_path}: THE KEY TO YOUR BACKUPS",
        "",
        "Every backup is sealed for this identity. Without it no backup can be read, by nobody, ever:",
        "losing it loses the backups, and whoever has it can read them all.",
        "  1. Copy it now to a place that survives this machine (a password manager, a safe on paper).",
        '  2. Better, add a second recipient whose identity is kept elsewhere: `recipients = ["age1...", "age1..."]`.',
        "  3. Machines that only back up need no identity: remove the file there, restore tests then run elsewhere.",
        "",
        "Next: add a source to the configuration, then `goldcopy check` and `goldcopy backup NAME`.",
    ]
    emit(result.document(), lines, as_json=as_json)


@click.command()
@click.argument("source", required=False)
@json_option
@click.pass_obj
def check(config: str | None, source: str | None, *, as_json: bool) -> int:
    """Preflight: tools, sources, what the dump role cannot see, repository, keys."""
    from shared.wiring import open_workspace

    with open_workspace(config) as workspace, progress(quiet=as_json) as on_progress:
        document = workspace.check(source, on_progress=on_progress)
    lines = [f"  ✓ {printable(line)}" for line in document["passed"]]
    lines += finding_lines(document["findings"], document["not_measured"])
    lines.append("ready" if document["ok"] else "not ready: mend what is marked ✕ or ?")
    emit(document, lines, as_json=as_json)
    exit_code: int = document["exit_code"]
    return exit_code


@click.group()
def tools() -> None:
    """Client tools and servers of each Postgres major."""


@tools.command("add")
@click.argument("major", type=click.IntRange(14, 18))
@json_option
@click.pass_obj
def tools_add(config: str | None, major: int, *, as_json: bool) -> None:
    """Fetch client tools and server of MAJOR (14 to 18)."""
    from shared.wiring import add_tools

    with progress(quiet=as_json) as on_progress:
        toolset = add_tools(config, major, on_progress=on_progress)
    document = {"major": toolset.major, "version": toolset.version, "folder": str(toolset.folder)}
    emit(document, [f"PostgreSQL {toolset.version} is in {toolset.folder}"], as_json=as_json)


@tools.command("list")
@json_option
@click.pass_obj
def tools_list(config: str | None, *, as_json: bool) -> None:
    """Show which client tools and servers were found, and where."""
    from shared.wiring import list_tools

    found = list_tools(config)
    document = {
        "tools": [
            {
                "major": item.major,
                "version": item.version,
                "folder": str(item.folder),
                "server": item.has_server,
                "origin": item.origin,
            }
            for item in found
        ]
    }
    lines = [
        f"{item.major}: {item.version} in {item.folder} ({item.origin}{', with server' if item.has_server else ''})"
        for item in found
    ]
    emit(document, lines or ["none found: goldcopy tools add 17"], as_json=as_json)
