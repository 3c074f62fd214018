"""The heartbeat strip: one cell a day and a row a source, as a real table that is read aloud and follows the theme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import streamlit as st

from monitor_app.components.text import html_text


class DayState(StrEnum):
    """What a day came to; nothing arrived is a loud state of its own, since silence is how backups usually die."""

    NOT_EXPECTED = "not expected"
    OK = "ok"
    PARTLY = "some failed"
    FAILED = "failed"
    MISSING = "nothing arrived"


GLYPHS: Mapping[DayState, str] = {
    DayState.NOT_EXPECTED: "",
    DayState.OK: "",
    DayState.PARTLY: "!",
    DayState.FAILED: "✕",
    DayState.MISSING: "∅",
}
LEGEND = "One square per day. ✕: failed. !: some failed. ∅: nothing arrived. Pale: nothing was expected."
_CLASSES = {state: f"s{number}" for number, state in enumerate(DayState)}
_STYLE = """<style>
.gc-strip{border-collapse:separate;border-spacing:2px;width:100%;table-layout:fixed;font-size:.8rem}
.gc-strip th{font-weight:400;text-align:left;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
.gc-strip th{padding:0 .4rem 0 0}
.gc-strip td{height:1.15rem;padding:0;text-align:center;line-height:1.15rem;border-radius:2px;font-size:.7rem}
.gc-strip .s0{background:light-dark(#F1F3F6,#1B2536)}
.gc-strip .s1{background:light-dark(#9DBFDF,#33587C)}
.gc-strip .s2{background:light-dark(#D97706,#FFC857);color:light-dark(#FFFFFF,#1B1300)}
.gc-strip .s3{background:light-dark(#7F1D1D,#E5484D);color:#FFFFFF}
.gc-strip .s4{background:light-dark(#1F2937,#F1F5F9);color:light-dark(#FFFFFF,#0F172A)}
.gc-strip .v,.gc-strip caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
</style>"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StripRow:
    """One source and what each day came to, oldest first."""

    name: str
    days: tuple[DayState, ...]


def heartbeat(rows: Sequence[StripRow], days: Sequence[date], *, caption: str) -> None:
    """Show the strip; `days` are the columns, oldest first."""
    st.html(strip_html(rows, days, caption=caption))


def strip_html(rows: Sequence[StripRow], days: Sequence[date], *, caption: str) -> str:
    """Return the strip as HTML; every name in it is escaped."""
    body = "".join(_row(row, days) for row in rows)
    columns = f'<colgroup><col style="width:11.5rem">{"<col>" * len(days)}</colgroup>'
    return f'{_STYLE}<table class="gc-strip">{columns}<caption>{html_text(caption)}</caption>{body}</table>'


def summary(row: StripRow, days: Sequence[date]) -> str:
    """Say a row in words: how many days, and which were bad."""
    bad = [(day, state) for day, state in zip(days, row.days, strict=True) if GLYPHS[state]]
    if not bad:
        return f"{len(row.days)} days, none bad"
    named = ", ".join(f"{day:%d %b} {state}" for day, state in bad[-5:])
    return f"{len(bad)} bad of {len(row.days)} days: {named}"


def _row(row: StripRow, days: Sequence[date]) -> str:
    cells = "".join(
        f'<td aria-hidden="true" class="{_CLASSES[state]}" title="{day:%d %b}: {state}">{GLYPHS[state]}</td>'
        for day, state in zip(days, row.days, strict=True)
    )
    name = html_text(row.name)
    return (
        f'<tr><th scope="row" title="{name}">{name}<span class="v">: {html_text(summary(row, days))}</span></th>'
        f"{cells}</tr>"
    )
