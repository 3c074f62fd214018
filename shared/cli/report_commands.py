"""Commands about evidence and money: report, cost, what-if."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import click

from shared.cli.output import emit, json_option, printable, table
from shared.domain.cost import format_money
from shared.units import format_bytes, format_duration
from shared.wiring import open_workspace

_GLYPHS = {"met": "✓", "not met": "✕", "not measured": "?"}
_EXPIRIES_SHOWN = 10


@click.command()
@click.option("--period", required=True, help="2026-10, 2026-Q4, 2026, 2026-10-01..2026-10-15 or last-month.")
@click.option("--source", help="Only this source.")
@click.option("--to", type=click.Path(file_okay=False), help="Folder; default: reports.folder of the configuration.")
@json_option
@click.pass_obj
def report(config: str | None, period: str, source: str | None, to: str | None, *, as_json: bool) -> int:
    """Write the compliance report of a period: HTML, PDF, CSV, and the digests of all files."""
    with open_workspace(config) as workspace:
        made = workspace.report(period, source, to=to)
    document = made.document()
    emit(document, _report_lines(document), as_json=as_json)
    return 0 if made.is_good else 1


def _report_lines(document: dict[str, Any]) -> Iterator[str]:
    yield printable(document["finding"])
    yield from (f"  note: {printable(note)}" for note in document["notes"])
    for item in document["controls"]:
        yield f"  {_GLYPHS[item['status']]} {item['title']}: {printable(item['summary'])}"
    yield f"written to {printable(document['folder'])} ({len(document['files'])} files, digests in SHA256SUMS)"


@click.command()
@click.argument("source", required=False)
@json_option
@click.pass_obj
def cost(config: str | None, source: str | None, *, as_json: bool) -> None:
    """Say what stored backups take and cost, by source and kind, and how that grows."""
    with open_workspace(config) as workspace:
        document = workspace.storage(source).document()
    emit(document, _cost_lines(document), as_json=as_json)


def _cost_lines(document: dict[str, Any]) -> Iterator[str]:
    yield f"{format_bytes(document['stored_bytes'])} stored"
    yield from _sizes("source", document["by_source"])
    yield from _sizes("needed by", document["by_kind"])
    growth = document["growth_bytes_per_month"]
    if growth is not None:
        share = document["growth_ratio_per_month"]
        ratio = "" if share is None else f" ({share:+.1%})"
        yield f"growth a month: {'-' if growth < 0 else ''}{format_bytes(abs(growth))}{ratio}"
    if document["forecast_reason"]:
        yield f"no forecast: {document['forecast_reason']}"
    for point in document["forecast"][2::3]:
        low, high = format_bytes(point["low_bytes"]), format_bytes(point["high_bytes"])
        yield f"  {point['day']}  {format_bytes(point['stored_bytes'])}  ({low} to {high})"
    if document["limit_bytes"] is not None:
        earliest = f", at the earliest {document['limit_month_earliest']}" if document["limit_month_earliest"] else ""
        month = document["limit_month"] or "not within a year"
        yield f"limit of {format_bytes(document['limit_bytes'])} reached: {month}{earliest}"
    yield from _bill(document)


def _sizes(title: str, sizes: dict[str, int]) -> Iterator[str]:
    if sizes:
        yield from (f"  {line}" for line in table([title, "stored"], ((k, format_bytes(v)) for k, v in sizes.items())))


def _bill(document: dict[str, Any]) -> Iterator[str]:
    amounts = {name: amount for name, amount in document["cost"].items() if amount is not None}
    if not amounts:
        yield "no price is configured, so nothing is said about money; write into goldcopy.toml, for example:"
        yield from ("  [prices]", '  currency = "EUR"', "  storage_per_gb_month = 0.006")
        return
    missing = [name for name in document["cost"] if name not in amounts]
    currency = document["currency"]
    parts = ", ".join(f"{name} {format_money(Decimal(amount), currency)}" for name, amount in amounts.items())
    yield f"a month: {parts}" + (f"; no price for {', '.join(missing)}" if missing else "")


@click.command("what-if")
@click.argument("source")
@click.option("--keep", multiple=True, help="KIND=RULE: daily=14d, weekly=age=28d,monthly=12, ...; none: as it is.")
@json_option
@click.pass_obj
def what_if(config: str | None, source: str, keep: tuple[str, ...], *, as_json: bool) -> int:
    """Say what another retention of SOURCE would keep, free and cost, before anybody changes it.

    Without --keep, say what today's retention keeps.
    """
    with open_workspace(config) as workspace:
        document = workspace.what_if(source, keep).document()
    emit(document, _what_if_lines(document) if keep else _today_lines(document), as_json=as_json)
    return 0 if document["other"]["is_damage_noticed_in_time"] else 1


def _what_if_lines(document: dict[str, Any]) -> Iterator[str]:
    now, other, currency = document["current"], document["other"], document["currency"] or ""
    going = {item["backup_id"] for item in now["expires"]}
    extra = [item for item in other["expires"] if item["backup_id"] not in going]
    yield from table(["", "now", "then"], list(_compared(now, other, currency)))
    reach = format_duration(document["history_seconds"])
    yield f"In the long run: had each always been in force, over the {reach} that are recorded; bytes are estimated."
    if document["estimate_ratio"] is not None:
        yield f"The same estimate of what exists is {document['estimate_ratio']:.0%} of the truth."
    yield f"The next cleanup would expire {len(extra)} more backup(s) and free {_freed(document['freed_bytes'])}."
    yield from (f"  {item['backup_id']}  {printable(item['reason'])}" for item in extra[:_EXPIRIES_SHOWN])
    if len(extra) > _EXPIRIES_SHOWN:
        yield f"  and {len(extra) - _EXPIRIES_SHOWN} more; --json lists them all"
    yield from _damage(other, now)


def _today_lines(document: dict[str, Any]) -> Iterator[str]:
    now = document["current"]
    rows = [(name, today) for name, today, _ in _compared(now, now, document["currency"] or "")]
    yield from table(["", "now"], rows)
    yield "In the long run: had it always been in force. Compare with another: --keep daily=14d"
    yield from _damage(now, None)


def _damage(outcome: dict[str, Any], today: dict[str, Any] | None) -> Iterator[str]:
    """Say why damage would not be noticed in time; `today` is what is configured, where that is something else."""
    if outcome["is_damage_noticed_in_time"]:
        return
    unseen, kept = format_duration(outcome["unseen_seconds"]), format_duration(outcome["retention_seconds"])
    yield f"✕ damage could stay unseen for {unseen}, and copies would be kept for {kept}: keep them longer"
    if today is not None and not today["is_damage_noticed_in_time"]:
        yield f"  today's policy fails alike: it keeps them for {format_duration(today['retention_seconds'])}"


def _compared(now: dict[str, Any], other: dict[str, Any], currency: str) -> Iterator[tuple[str, str, str]]:
    for kind, rule in now["retention"].items():
        yield kind, rule, other["retention"][kind]
    yield "restore points in the long run", str(now["restore_points"]), str(other["restore_points"])
    for before, after in zip(now["ages"], other["ages"], strict=True):
        yield f"  {before['age']}", str(before["count"]), str(after["count"])
    yield "worst gap", _span(now["worst_gap_seconds"]), _span(other["worst_gap_seconds"])
    yield "oldest", _span(now["reach_seconds"]), _span(other["reach_seconds"])
    yield "bytes, estimated", format_bytes(now["long_run_bytes"]), format_bytes(other["long_run_bytes"])
    if now["long_run_cost_per_month"] is not None:
        cost_now, cost_then = now["long_run_cost_per_month"], other["long_run_cost_per_month"]
        before, after = (format_money(Decimal(amount), currency) for amount in (cost_now, cost_then))
        yield "storage a month", before, after


def _freed(freed_bytes: int) -> str:
    return format_bytes(freed_bytes) if freed_bytes >= 0 else f"{format_bytes(-freed_bytes)} less"


def _span(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(timedelta(seconds=seconds).total_seconds())
