"""Deployments of sources with a schedule of their own, and where Prefect and the configuration disagree.

`prefect.yaml` holds the standard deployments; those here are made from its entries, with the source's name, cron and
time zone put in.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import yaml

from flows.planned import Deployed, Planned
from shared.config.load import Config, load_config
from shared.domain.schedule import Cron, cron_expression
from shared.domain.source import Source
from shared.errors import ProgramFailed, ProgramMissing

PREFECT_FILE = Path(__file__).resolve().parent.parent / "prefect.yaml"
# What a source's schedule names -> the deployment of prefect.yaml it is made from.
STANDARD = {"daily": "backup/daily", "weekly": "backup/weekly", "restore_test": "restore-testing/monthly"}


def read_definitions(path: Path = PREFECT_FILE) -> dict[str, Planned]:
    """Read the standard deployments of prefect.yaml by `flow/deployment`.

    Raises:
        ProgramMissing: The file is not where the flows are.
    """
    if not path.is_file():
        raise ProgramMissing(f"{path} is missing", hint="Install Goldcopy from its repository: git clone, then make.")
    document = yaml.safe_load(path.read_text("utf-8"))
    planned = (_planned(entry, document.get("pull") or []) for entry in document["deployments"])
    return {item.name: item for item in planned}


def _planned(entry: Mapping[str, Any], pull: Sequence[Any]) -> Planned:
    flow = entry["entrypoint"].rpartition(".")[2].replace("_", "-")
    schedule: Mapping[str, str] = next(iter(entry.get("schedules") or []), {})
    return Planned(
        name=f"{flow}/{entry['name']}",
        entrypoint=entry["entrypoint"],
        cron=schedule.get("cron"),
        timezone=schedule.get("timezone", "UTC"),
        parameters=entry.get("parameters", {}),
        definition={**entry, "pull": pull},
    )


def plan_own(sources: Iterable[Source], standard: Mapping[str, Planned]) -> dict[str, Planned]:
    """Plan the deployments of every source that has a schedule of its own, by `flow/deployment`."""
    planned: dict[str, Planned] = {}
    for source in sources:
        for what, base in STANDARD.items() if source.schedule.own else ():
            flow = base.partition("/")[0]
            name = f"{flow}/{source.name}-{what.replace('_', '-')}"
            planned[name] = Planned(
                name=name,
                entrypoint=standard[base].entrypoint,
                cron=cron_expression(getattr(source.schedule, what)),
                timezone=source.schedule.timezone,
                parameters={**standard[base].parameters, "source": source.name},
                definition=standard[base].definition,
            )
    return planned


def compare(deployed: Sequence[Deployed], sources: Mapping[str, Source], standard: Mapping[str, Planned]) -> list[str]:
    """Say in sentences where Prefect's deployments and the configuration disagree; empty when they agree."""
    have = {item.name: item for item in deployed}
    own = plan_own(sources.values(), standard)
    differences = [line for wanted in (*standard.values(), *own.values()) for line in _against(wanted, have)]
    differences += [
        f"deployment {item.name} belongs to no source of the configuration any more; `goldcopy deploy` removes it"
        for item in deployed
        if item.is_own and item.name not in own
    ]
    return differences + list(_shared_schedules(sources.values(), standard))


def _against(wanted: Planned, have: Mapping[str, Deployed]) -> list[str]:
    found = have.get(wanted.name)
    command = "goldcopy deploy" if wanted.is_own else "prefect deploy --all"
    if found is None:
        return [f"deployment {wanted.name} is missing in Prefect; run `{command}`"]
    if wanted.cron is None:
        return []
    if found.is_paused or not found.crons:
        return [f"deployment {wanted.name} is paused in Prefect, so nothing fires; resume its schedule"]
    if not any(_same(wanted, cron, zone) for cron, zone in found.crons):
        fires = ", ".join(f"{cron} {zone}" for cron, zone in found.crons)
        expected = f"{wanted.cron} {wanted.timezone}"
        return [f"deployment {wanted.name} fires at {fires}, expected is {expected}; run `{command}`"]
    return []


def _same(wanted: Planned, cron: str, timezone: str) -> bool:
    """Compare schedules by what they mean: 0 and SUN are the same day."""
    try:
        return Cron(cron, timezone) == Cron(wanted.cron or "", wanted.timezone)
    except ValueError:
        return False


def _shared_schedules(sources: Iterable[Source], standard: Mapping[str, Planned]) -> Iterable[str]:
    """Sources without a schedule of their own are judged by the default one, so prefect.yaml must fire as it says."""
    source = next((source for source in sources if not source.schedule.own), None)
    for what, name in STANDARD.items() if source else ():
        expected = cron_expression(getattr(source.schedule, what)) if source else ""
        fires = standard[name]
        if not _same(fires, expected, "UTC"):
            yield (
                f"prefect.yaml fires {name} at {fires.cron} {fires.timezone}, but sources without a schedule of their"
                f" own expect {expected} UTC; write the same schedule into goldcopy.toml or mend prefect.yaml"
            )


@click.command("deploy")
@click.option("--json", "as_json", is_flag=True, help="Print exactly one JSON document on stdout.")
@click.option("--dry-run", is_flag=True, help="Say what would be done and change nothing.")
@click.pass_obj
def command(config: str | None, *, as_json: bool, dry_run: bool) -> None:
    """Give every source with a schedule of its own its deployments in Prefect; remove those of sources that are gone.

    The standard deployments come from `prefect deploy --all`. Prefect is found by PREFECT_API_URL or your profile,
    else it is the server of `goldcopy up` here.
    """
    opened = load_config(config)
    own = plan_own(opened.sources.values(), read_definitions())
    with _prefect_of(opened) as deployments:
        removed = [item.name for item in deployments.read_deployed() if item.is_own and item.name not in own]
        if not dry_run:
            deployments.apply(own.values())
            deployments.remove_stale(own)
            deployments.install_rest(opened.sources, opened.file.limits.backups_at_once)
    if as_json:
        click.echo(json.dumps({"deployed": sorted(own), "removed": removed, "dry_run": dry_run}))
        return
    for name in sorted(own):
        click.echo(f"{'would deploy' if dry_run else 'deployed'} {name}: {own[name].cron} {own[name].timezone}")
    for name in removed:
        click.echo(f"{'would remove' if dry_run else 'removed'} {name}: its source or schedule is gone")
    if not own and not removed:
        click.echo("No source has a schedule of its own; `prefect deploy --all` deploys the standard ones.")


def check_deployments(config: Config) -> list[str]:
    """Say where Prefect's deployments and the configuration disagree, for `goldcopy check`.

    Returns:
        One sentence each; empty when they agree.

    Raises:
        ProgramMissing: No Prefect server is known here, so nothing fires schedules from here.
        ProgramFailed: Prefect's API does not answer, so it is not known.
    """
    with _prefect_of(config) as deployments:
        return compare(deployments.read_deployed(), config.sources, read_definitions())


def check_pool(config: Config) -> str:
    """Say why nobody takes up what Prefect fires: a paused pool, or no worker that gives signs of life.

    Returns:
        One sentence; empty when somebody does.

    Raises:
        ProgramMissing: No Prefect server is known here.
        ProgramFailed: Prefect's API does not answer.
    """
    with _prefect_of(config) as deployments:
        state: str | None = deployments.read_pool_state()
    if state is None:
        return "Prefect has no work pool `goldcopy`: nobody takes up what it fires"
    if state == "PAUSED":
        return "the work pool `goldcopy` is paused in Prefect: nothing that it fires begins"
    return "" if state == "READY" else "no worker of the pool `goldcopy` gives signs of life: nothing scheduled runs"


@contextmanager
def _prefect_of(config: Config) -> Iterator[ModuleType]:
    """Turn to the Prefect that is configured, else to the one of `goldcopy up` here; errors become ours."""
    # Imported here: planning and comparing need no Prefect, and importing it takes two seconds.
    import httpx
    from prefect.settings import PREFECT_API_URL, get_current_settings, temporary_settings

    from flows import deployments, server

    given = get_current_settings().api.url
    url = given or server.api_url_of(config.state_folder)
    if url is None:
        raise ProgramMissing(
            "no Prefect server is known here", hint="Start `goldcopy up`, or set PREFECT_API_URL to your Prefect's API."
        )
    try:
        with temporary_settings({PREFECT_API_URL: url}):
            yield deployments
    except httpx.HTTPError as error:
        raise ProgramFailed(
            f"Prefect's API at {url} does not do what was asked ({type(error).__name__})",
            hint="Check its address and key, and that `prefect work-pool create goldcopy --type process` was run.",
        ) from error
