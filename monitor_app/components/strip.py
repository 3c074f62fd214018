"""The heartbeat strip: one cell a day and a row a source, as a real table that is read aloud and follows the theme."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import streamlit as st

from monitor_app.components.text import html_text
from shared.domain.heartbeat import DayState

GLYPHS: Mapping[DayState, str] = {
    DayState.NOT_EXPECTED: "",
    DayState.OK: "",
    DayState.PARTLY: "!",
    DayState.FAILED: "✕",
    DayState.MISSING: "∅",
}
LEGEND = "One square per day. ✕: failed. !: some failed. ∅: nothing arrived. Pale: nothing was expected."
CELL_CLASSES = {state: f"s{number}" for number, state in enumerate(DayState)}
# For the calendar too; CLASS stands for the table's own class.
CELL_STYLE = """
CLASS td{padding:0;text-align:center;border:0;border-radius:2px;font-size:.7rem}
CLASS .s0{background:light-dark(#F1F3F6,#1B2536)}
CLASS .s1{background:light-dark(#9DBFDF,#33587C)}
CLASS .s2{background:light-dark(#D97706,#FFC857);color:light-dark(#1B1300,#1B1300)}
CLASS .s3{background:light-dark(#7F1D1D,#E5484D);color:#FFFFFF}
CLASS .s4{background:light-dark(#1F2937,#F1F5F9);color:light-dark(#FFFFFF,#0F172A)}
CLASS .v,CLASS caption{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
"""
_STYLE = f"""<style>
.gc-strip{{border-collapse:separate;border-spacing:2px;width:100%;table-layout:fixed;font-size:.8rem}}
.gc-strip col.gc-name{{width:11.5rem}}
.gc-strip th{{font-weight:400;text-align:left;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}}
.gc-strip th{{padding:0 .4rem 0 0}}
.gc-strip td{{height:1.15rem;line-height:1.15rem}}
{CELL_STYLE.replace("CLASS", ".gc-strip")}
@media (max-width:640px){{.gc-strip{{border-spacing:1px}} .gc-strip col.gc-name{{width:6.5rem}}
.gc-strip .old{{display:none}}}}
</style>"""
# On a phone only the newest days are drawn.
_PHONE_DAYS = 21


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
    old = max(0, len(days) - _PHONE_DAYS)
    columns = (
        '<colgroup><col class="gc-name">' + '<col class="old">' * old + "<col>" * (len(days) - old) + "</colgroup>"
    )
    return f'{_STYLE}<table class="gc-strip">{columns}<caption>{html_text(caption)}</caption>{body}</table>'


def summary(row: StripRow, days: Sequence[date]) -> str:
    """Say a row in words: how many days, and which were bad."""
    bad = [(day, state) for day, state in zip(days, row.days, strict=True) if GLYPHS[state]]
    if not bad:
        return f"{len(row.days)} days, none bad"
    named = ", ".join(f"{day:%d %b} {state}" for day, state in bad[-5:])
    return f"{len(bad)} bad of {len(row.days)} days: {named}"


def _row(row: StripRow, days: Sequence[date]) -> str:
    old = len(days) - _PHONE_DAYS
    cells = "".join(
        f'<td aria-hidden="true" class="{CELL_CLASSES[state]}{" old" if number < old else ""}" '
        f'title="{day:%d %b}: {state}">{GLYPHS[state]}</td>'
        for number, (day, state) in enumerate(zip(days, row.days, strict=True))
    )
    name = html_text(row.name)
    return (
        f'<tr><th scope="row" title="{name}">{name}<span class="v">: {html_text(summary(row, days))}</span></th>'
        f"{cells}</tr>"
    )
