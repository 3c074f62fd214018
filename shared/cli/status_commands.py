"""goldcopy status: how every source stands, why, and what to do."""

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta

import click

from shared.cli.output import emit, json_option, printable
from shared.clock import utc_now
from shared.domain.health import Colour, Reason
from shared.domain.incident import Incident
from shared.domain.objectives import Standing
from shared.operations.exposure_history import ExposureHistory
from shared.operations.status import SourceReport, StatusReport
from shared.units import format_bytes, format_duration, format_minute
from shared.wiring.status import open_status

# Colour, glyph and word say the same, for nobody sees all three everywhere.
_GLYPHS = {Colour.RED: "✕", Colour.UNKNOWN: "?", Colour.YELLOW: "!", Colour.GREEN: "✓"}
_PAINT = {Colour.RED: "red", Colour.UNKNOWN: "magenta", Colour.YELLOW: "yellow", Colour.GREEN: "green"}
_MET = {True: "met", False: "missed", None: "nobody knows"}
_NOBODY_KNOWS = "-"
_HISTORY_DAYS = 90
_BREACHES_SHOWN = 5


@click.command(
    epilog="Exit codes: 0 all green or yellow, 1 a source is red, 3 a source is unknown and none is red, "
    "2 usage or configuration."
)
@click.argument("source", required=False)
@click.option("--probe", is_flag=True, help="Ask the repository whether it can be reached.")
@json_option
@click.pass_obj
def status(config: str | None, source: str | None, *, probe: bool, as_json: bool) -> int:
    """Show how every source stands, or SOURCE in detail: exposure, proof, reasons, what to do."""
    with open_status(config) as desk:
        now = utc_now()
        report = desk.read(now, source=source, repository=desk.probe(now) if probe else None)
        history = desk.read_history(now, source, _HISTORY_DAYS) if source else None
    document = report.document() if as_json else {}
    if as_json and source:
        document["sources"][0]["history"] = history.document() if history else None
    lines = (*_detail(report.sources[0]), *_kept_lines(history)) if source else _overview(report)
    emit(document, lines, as_json=as_json)
    return report.exit_code


def _overview(report: StatusReport) -> Iterator[str]:
    if report.catalog_error:
        yield click.style(f"the catalog cannot be read: {printable(report.catalog_error)}", fg="red", bold=True)
    if not report.sources:
        yield "no source is configured: nothing is protected. Add [sources.NAME] with its url to goldcopy.toml."
    else:
        yield from _table(report.sources)
        yield ""
        yield from (line for item in report.sources for line in _trouble(item))
        yield from _own_trouble(report)
        yield _summary(report)
    for row in report.unconfigured:
        newest = format_minute(row.newest_complete_at) if row.newest_complete_at else "none"
        yield (
            f"{printable(row.source)}: not configured any more, not judged; {row.backup_count} backups remain, "
            f"the newest of {newest}"
        )


def _table(reports: Sequence[SourceReport]) -> Iterator[str]:
    headers = ("", "source", "health", "exposure", "proven", "recovery", "backups", "stored")
    rows = [_row(report) for report in reports]
    widths = [max(len(row[at]) for row in [headers, *rows]) for at in range(len(headers))]
    for number, row in enumerate([headers, *rows]):
        line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        yield click.style(line, dim=True) if number == 0 else _painted(line, reports[number - 1].health.colour)


def _row(report: SourceReport) -> tuple[str, ...]:
    colour, standing, facts = report.health.colour, report.standing, report.facts
    return (
        _GLYPHS[colour],
        printable(report.source.name),
        colour.value,
        _age(standing.exposure),
        _age(standing.proven_exposure),
        _recovery(standing),
        str(facts.backup_count) if facts else _NOBODY_KNOWS,
        format_bytes(facts.stored_bytes) if facts else _NOBODY_KNOWS,
    )


def _trouble(report: SourceReport) -> Iterator[str]:
    """The reasons of a source that is not green, with what to do."""
    if report.health.colour is Colour.GREEN:
        return
    yield click.style(printable(report.source.name), bold=True)
    yield from _acknowledged(report.incident)
    for reason in report.health.reasons:
        if reason.colour is not Colour.GREEN:
            yield from _reason_lines(reason)
    yield ""


def _own_trouble(report: StatusReport) -> Iterator[str]:
    """What the watch found wrong with Goldcopy itself, such as a channel that reaches nobody."""
    incident = report.own_incident
    if incident is None:
        return
    seen = f", when `goldcopy watch` looked at {format_minute(report.watched_at)}" if report.watched_at else ""
    yield click.style(f"Goldcopy itself: {incident.colour.value}{seen}", bold=True)
    yield from _acknowledged(incident)
    for reason in incident.reasons:
        yield from _reason_lines(reason)
    yield ""


def _acknowledged(incident: Incident | None) -> Iterator[str]:
    taken = incident.acknowledgement if incident else None
    if incident and taken:
        yield printable(f"  {incident.id} acknowledged by {taken.by} ({format_minute(taken.at)}): {taken.reason}")


def _reason_lines(reason: Reason) -> Iterator[str]:
    at = format_minute(reason.since) if reason.since else ""
    since = f" (since {at})" if at and at not in reason.sentence else ""
    yield _painted(f"  {_GLYPHS[reason.colour]} {printable(reason.sentence)}{since}", reason.colour)
    if reason.action:
        yield f"      {printable(reason.action)}"


def _summary(report: StatusReport) -> str:
    counts = {colour: sum(health.colour is colour for health in report.healths) for colour in Colour}
    shown = ", ".join(f"{count} {colour.value}" for colour, count in counts.items() if count)
    worst = report.colour
    words = {
        Colour.RED: "not safe",
        Colour.UNKNOWN: "nobody knows",
        Colour.YELLOW: "safe, and something asks for a look",
        Colour.GREEN: "safe",
    }
    count = len(report.sources)
    return _painted(f"{_GLYPHS[worst]} {words[worst]}: of {count} source{'s' * (count != 1)} {shown}", worst)


def _detail(report: SourceReport) -> Iterator[str]:
    """One source with everything that is known of it."""
    standing, objectives = report.standing, report.source.objectives
    colour = report.health.colour
    yield _painted(f"{_GLYPHS[colour]} {printable(report.source.name)}: {colour.value}", colour)
    yield from _acknowledged(report.incident)
    for reason in report.health.reasons:
        yield from _reason_lines(reason)
    yield ""
    agreed: list[tuple[str, str, timedelta, bool | None]] = [
        ("exposure", _age(standing.exposure), objectives.rpo, standing.rpo_met),
        ("proven exposure", _age(standing.proven_exposure), objectives.proven, standing.proven_met),
        ("time to recover", _recovery(standing), objectives.rto, standing.rto_met),
        ("restore", _recovery(standing), objectives.restore_time, standing.restore_time_met),
        ("backup", _age(standing.backup_time), objectives.backup_time, standing.backup_time_met),
    ]
    for name, value, limit, met in agreed:
        yield f"  {name:<16} {value:<28} objective {_age(limit):<10} {_MET[met]}"
    for days, rate in ((30, standing.success_30), (90, standing.success_90)):
        met = rate.meets(objectives.success_rate)
        shown = f"{rate.ok} of {rate.ok + rate.failed}"
        yield f"  {f'success, {days} d':<16} {shown:<28} objective {f'{objectives.success_rate:.2%}':<10} {_MET[met]}"
    if standing.lost_rows is not None:
        yield f"  {'rows lost':<16} {standing.lost_rows} in the last restore test"
    if report.phases:
        phases = ", ".join(f"{name.replace('_', ' ')} {format_duration(took)}" for name, took in report.phases.items())
        yield f"  {'last restore':<16} {phases}"
    if standing.calibration.predicted:
        found = standing.calibration
        yield f"  {'prediction':<16} {found.inside} of {found.predicted} earlier tests fell inside their interval"


def _kept_lines(history: ExposureHistory | None) -> Iterator[str]:
    """How the promises were kept, and when they were not."""
    if history is None:
        return
    for name, kept in (("exposure", history.complete), ("proven exposure", history.proven)):
        if kept.met_ratio is None:
            continue
        times = "never" if not kept.breaches else f"{len(kept.breaches)} times" if len(kept.breaches) > 1 else "once"
        since = format_minute(kept.segments[0].begins_at)
        yield f"  {name:<16} above {_age(kept.limit)} {times} since {since}, within it {_percent(kept.met_ratio)}"
        for breach in kept.breaches[-_BREACHES_SHOWN:]:
            worst = "nothing to restore" if breach.worst is None else f"up to {_age(breach.worst)}"
            yield f"      {format_minute(breach.begins_at)} for {_age(breach.duration)}, {worst}"


def _percent(ratio: float) -> str:
    """Round down: what was missed once is never shown as 100 %."""
    return f"{math.floor(ratio * 10_000) / 100:g} % of the time"


def _recovery(standing: Standing) -> str:
    predicted = standing.predicted
    if predicted is None:
        return _NOBODY_KNOWS
    about = f"~{format_duration(predicted.seconds)}"
    if predicted.low_seconds is None or predicted.high_seconds is None:
        return about
    return f"{about} ({format_duration(predicted.low_seconds)} to {format_duration(predicted.high_seconds)})"


def _age(value: timedelta | None) -> str:
    return _NOBODY_KNOWS if value is None else format_duration(value.total_seconds())


def _painted(text: str, colour: Colour) -> str:
    return click.style(text, fg=_PAINT[colour], bold=colour is Colour.RED)
