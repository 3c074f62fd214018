"""The `goldcopy` command: finds its subcommands, turns errors into sentences and exit codes."""

import json
import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import click

from shared.cli.interruption import Interruption
from shared.config.load import TRACEBACK_VARIABLE, wants_traceback
from shared.errors import GoldcopyError, Interrupted, UsageProblem

COMMANDS = {
    "ack": "shared.cli.watch_commands:ack",
    "audit": "shared.cli.repository_commands:audit",
    "backup": "shared.cli.backup_commands:backup",
    "backups": "shared.cli.backup_commands:backups",
    "check": "shared.cli.setup_commands:check",
    "cleanup": "shared.cli.repository_commands:cleanup",
    "cost": "shared.cli.report_commands:cost",
    "demo": "shared.cli.demo_command:demo",
    "hold": "shared.cli.repository_commands:hold",
    "incidents": "shared.cli.watch_commands:incidents",
    "init": "shared.cli.setup_commands:init",
    "keys": "shared.cli.people_commands:keys",
    "notify-test": "shared.cli.notice_commands:notify_test",
    "metrics": "shared.cli.metrics_command:metrics",
    "people": "shared.cli.people_commands:people",
    "rebuild-catalog": "shared.cli.repository_commands:rebuild_catalog",
    "release": "shared.cli.repository_commands:release",
    "report": "shared.cli.report_commands:report",
    "restore": "shared.cli.restore_commands:restore",
    "restore-test": "shared.cli.restore_commands:restore_test",
    "show": "shared.cli.backup_commands:show",
    "status": "shared.cli.status_commands:status",
    "tools": "shared.cli.setup_commands:tools",
    "verify": "shared.cli.repository_commands:verify",
    "watch": "shared.cli.watch_commands:watch",
    "what-if": "shared.cli.report_commands:what_if",
}
ENTRY_POINT_GROUP = "goldcopy.commands"

EPILOG = "Exit codes: 0 done and good, 1 it ran and found something bad, 2 usage or configuration, 3 could not be measured or carried out, 130 interrupted."  # noqa: E501


class Commands(click.Group):
    """Loads a command only when it is called: the start stays fast, and flows bring Prefect only for their own."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name every command, those of other packages included."""
        del ctx
        return sorted({*COMMANDS, *(found.name for found in entry_points(group=ENTRY_POINT_GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load one command."""
        del ctx
        command = _load(cmd_name)
        if command is not None and all(parameter.name != "config" for parameter in command.params):
            command.params.append(_config_option())
        return command


def _load(name: str) -> click.Command | None:
    if name in COMMANDS:
        module, _, attribute = COMMANDS[name].partition(":")
        return getattr(import_module(module), attribute)  # type: ignore[no-any-return]
    for found in entry_points(group=ENTRY_POINT_GROUP, name=name):
        return found.load()  # type: ignore[no-any-return]
    return None


def _config_option() -> click.Option:
    """The same option behind the verb as before it."""

    def remember(ctx: click.Context, _parameter: click.Parameter, value: str | None) -> None:
        ctx.obj = value or ctx.obj

    return click.Option(["--config"], metavar="PATH", expose_value=False, callback=remember, help="Configuration file.")


@click.group(cls=Commands, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--config", metavar="PATH", help="Configuration file (default: $GOLDCOPY_CONFIG, else ./goldcopy.toml).")
@click.option("--json", "as_json", is_flag=True, help="The same as behind the command, for those that have it.")
@click.version_option(package_name="goldcopy")
@click.pass_context
def cli(ctx: click.Context, config: str | None, *, as_json: bool) -> None:
    """Back up Postgres databases and prove that every backup restores."""
    ctx.obj = config
    command = _load(ctx.invoked_subcommand or "")
    if as_json and command is not None and command.name:
        ctx.default_map = {command.name: _json_by_default(command)}


def _json_by_default(command: click.Command) -> dict[str, Any]:
    """Return the defaults with which a command prints JSON: `--json` before the verb means what it means behind it."""
    if isinstance(command, click.Group):
        return {name: _json_by_default(inner) for name, inner in command.commands.items()}
    if all(parameter.name != "as_json" for parameter in command.params):
        raise click.UsageError(f"`goldcopy {command.name}` prints no JSON: leave --json out")
    return {"as_json": True}


def main() -> None:
    """Run the command line and end with its exit code."""
    Interruption().listen()
    as_json = "--json" in sys.argv
    try:
        result = cli.main(standalone_mode=False)
    except click.exceptions.Exit as ended:
        sys.exit(ended.exit_code)
    except click.ClickException as error:
        error.show()
        if as_json:
            _print_document(UsageProblem(error.format_message(), hint="See `goldcopy --help` and docs/commands.md."))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except (KeyboardInterrupt, Exception) as error:  # noqa: BLE001 - the outermost edge: no stack trace at three in the morning
        known = _as_ours(error)
        _report(known, as_json=as_json)
        sys.exit(known.exit_code)
    sys.exit(result if isinstance(result, int) else 0)


def _as_ours(error: BaseException) -> GoldcopyError:
    """Turn whatever ended a command into a sentence; what nobody expected is a mistake of ours."""
    if isinstance(error, GoldcopyError):
        return error
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return Interrupted("interrupted", hint="Nothing half-done counts; run the command again.")
    if wants_traceback():
        raise error
    return GoldcopyError(
        f"unexpected {type(error).__name__}: this is a mistake in Goldcopy",
        hint=f"Nothing half-done counts. Run it again with {TRACEBACK_VARIABLE}=1 and report what it prints.",
    )


def _report(error: GoldcopyError, *, as_json: bool) -> None:
    """Print an error: for people on stderr, and as the one document on stdout where that was asked for."""
    click.secho(f"error: {error.message}", fg="red", bold=True, err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    if as_json:
        _print_document(error)


def _print_document(error: GoldcopyError) -> None:
    document = {"code": error.code, "kind": type(error).__name__, "message": error.message, "hint": error.hint}
    click.echo(json.dumps({"error": document, "exit_code": error.exit_code}, ensure_ascii=False))


if __name__ == "__main__":
    main()
