"""goldcopy watch, ack, incidents."""

from typing import Any

import click

from shared.cli.output import emit, json_option, printable
from shared.domain.notice_words import name_of
from shared.units import counted
from shared.wiring import open_workspace


@click.command()
@json_option
@click.pass_obj
def watch(config: str | None, *, as_json: bool) -> int:
    """Look at everything once: record what changed, and tell people.

    Call it every ten minutes, from cron where no Prefect does. Two at once tell nothing twice.
    """
    with open_workspace(config) as workspace:
        document = workspace.watch(workspace.firing_reasons()).document()
    emit(document, _watch_lines(document), as_json=as_json)
    is_failed = any(item["state"] == "failed" for item in document["deliveries"])
    return 1 if document["own_reasons"] or document["unheard"] or is_failed else 0


def _watch_lines(document: dict[str, Any]) -> list[str]:
    counts = document["sources"]
    shown = ", ".join(f"{number} {colour}" for colour, number in counts.items() if number)
    lines = [counted(sum(counts.values()), "source") + (f": {shown}" if shown else "")]
    lines += ["  no source is configured: nothing is protected"] if not any(counts.values()) else []
    lines += [f"  {printable(reason['sentence'])}" for reason in document["own_reasons"]]
    lines += [f"  run lost: {printable(run)}" for run in document["lost_runs"]]
    lines += [
        f"  {name_of(item['source'])}: {item['before'] or 'not watched'} -> {item['after'] or 'not watched'}"
        for item in document["transitions"]
    ]
    lines += [
        f"  {'nobody gets this' if item['key'] in document['unwanted'] else 'told'}: {printable(item['title'])}"
        for item in document["notices"]
    ]
    lines += [
        f"  {item['channel']}: {item['state']}{': ' + printable(item['error']) if item['error'] else ''}"
        for item in document["deliveries"]
    ]
    return lines + [f"  NOBODY HAS HEARD: {printable(item['title'])}" for item in document["unheard"]]


@click.command()
@click.argument("subject")
@click.option("--reason", required=True, help="What is being done about it, or why it is no trouble.")
@click.option("--by", default=None, help="Who says so (default: the user of the operating system).")
@json_option
@click.pass_obj
def ack(config: str | None, subject: str, reason: str, by: str | None, *, as_json: bool) -> None:
    """Say that somebody is at SUBJECT.

    SUBJECT is a source, an incident (app#17), a reason (repository-unreachable), an anomaly's number, or `system`.
    Reminders and escalation stop until something worse comes. Of a source, open anomalies are acknowledged too: what
    they found is normal from then on.
    """
    with open_workspace(config) as workspace:
        document = workspace.acknowledge(subject, reason, by)
    taken = [*document["incidents"], *(f"anomaly {number}" for number in document["anomalies"])]
    emit(document, [f"{', '.join(taken)} acknowledged by {document['by']}: {printable(reason)}"], as_json=as_json)


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that are over.")
@click.argument("source", required=False)
@json_option
@click.pass_obj
def incidents(config: str | None, source: str | None, *, everything: bool, as_json: bool) -> int:
    """List open incidents, and who is at them."""
    with open_workspace(config) as workspace:
        document = workspace.list_incidents(source, open_only=not everything)
    lines = [printable(item["line"]) for item in document["incidents"]]
    emit(document, lines or ["no incident" if everything else "no open incident"], as_json=as_json)
    return 1 if any(item["is_open"] and item["colour"] == "red" for item in document["incidents"]) else 0
