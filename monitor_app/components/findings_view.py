"""Findings in words and rows: which are open, since when, who has them, what became of the others."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components import finding as page
from monitor_app.components import tables
from monitor_app.components.text import advice, ago, count, esc, instant, span
from monitor_app.components.theme import HEALTH, Mark
from monitor_app.components.verdict import cause_label
from monitor_app.queries.findings import ALL_SOURCES, Finding, FindingKind, FindingState
from shared.domain.health import Colour, ReasonCode
from shared.domain.incident import SYSTEM_NAME
from shared.operations.status import SourceReport

PAGE_SIZE = 20
# What is about no single source has no page to lead to.
WIDE = {SYSTEM_NAME: "Goldcopy itself", ALL_SOURCES: "All sources"}
_ORDER = {colour: number for number, colour in enumerate(Colour)}


def all_findings(stored: Sequence[Finding], reports: Sequence[SourceReport], now: datetime) -> tuple[Finding, ...]:
    """Return everything once, worst first; of one colour the oldest comes first.

    A source that is not green has a finding even where nobody watches and no incident was opened. A failed check that
    an incident is about is told by the incident; an incident about something unusual is told by what was found, for
    whoever says that it is no trouble ends both.
    """
    found = [*stored, *_unwatched(reports, stored, now)]
    incidents = {(item.source, item.cause) for item in found if _is_open_incident(item)}
    anomalies = {
        (item.source, ReasonCode.ANOMALY.value)
        for item in found
        if item.kind is FindingKind.ANOMALY and item.state is FindingState.OPEN
    }
    told = {FindingKind.CHECK: incidents, FindingKind.INCIDENT: anomalies, FindingKind.ANOMALY: set[tuple[str, str]]()}
    once = [item for item in found if not _is_told(item, told[item.kind])]
    return tuple(sorted(once, key=lambda item: (_ORDER[item.colour], item.opened_at, item.source, item.id)))


def _is_told(item: Finding, told: set[tuple[str, str]]) -> bool:
    return item.state is FindingState.OPEN and (item.source, item.cause) in told


def _is_open_incident(item: Finding) -> bool:
    return item.kind is FindingKind.INCIDENT and item.closed_at is None


def _unwatched(reports: Sequence[SourceReport], stored: Sequence[Finding], now: datetime) -> Iterator[Finding]:
    told = {item.source for item in stored if _is_open_incident(item)}
    for report in reports:
        reason = report.health.reasons[0]
        if report.health.colour is not Colour.GREEN and report.source.name not in told:
            yield Finding(
                kind=FindingKind.INCIDENT,
                state=FindingState.OPEN,
                source=report.source.name,
                colour=report.health.colour,
                cause=reason.code,
                sentence=reason.sentence,
                opened_at=reason.since or now,
                action=reason.action,
            )


def findings_sentence(found: Sequence[Finding], now: datetime) -> str:
    """Say what is open, and since when the oldest of it."""
    open_ones = [item for item in found if item.state is FindingState.OPEN]
    taken = sum(item.state is FindingState.ACKNOWLEDGED for item in found)
    also = f"; {taken} taken" if taken else ""
    if not open_ones:
        return f"Nothing is open{also}"
    oldest = max(item.lasted(now) for item in open_ones)
    return f"{len(open_ones)} open, the oldest for {span(oldest.total_seconds())}{also}"


def show_open(item: Finding, where: tzinfo, now: datetime, *, number: int, button: Callable[[Finding], None]) -> None:
    """Show one finding that asks for somebody, with what can be done about it."""
    mark = HEALTH[item.colour.value]
    with st.container(border=True, gap="xsmall", key=f"finding-{number}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            page.badge(Mark(word=cause_label(item.cause), glyph=mark.glyph, badge=mark.badge, icon=mark.icon))
            if item.source in WIDE:
                st.markdown(f"**{WIDE[item.source]}**")
            else:
                page.source_link(item.source)
            st.caption(esc(item.kind.value))
        st.markdown(esc(f"{item.sentence[:1].upper()}{item.sentence[1:]}"))
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            since = f"Since {instant(item.opened_at, where)} ({ago(item.opened_at, now)}). {_owner(item, where)}"
            st.caption(esc(since), width="content")
            if item.action:
                st.markdown(f"{esc('Do:')} {advice(item.action)}", width="content")
        button(item)


def finding_rows(found: Sequence[Finding], where: tzinfo, now: datetime) -> list[dict[str, Any]]:
    """Return findings as rows of a table."""
    return [
        {
            "Began": item.opened_at.astimezone(where),
            "Source": item.source,
            "Cause": item.cause,
            "What": item.sentence,
            "Lasted" if item.closed_at else "Lasts": span(item.lasted(now).total_seconds()),
            "Owner": item.owner,
            "Comment": item.comment,
            "Ended because": item.closed_because,
        }
        for item in found
    ]


def show_rows(found: Sequence[Finding], where: tzinfo, now: datetime) -> None:
    """Show findings that ask for nothing any more."""
    columns = {
        "Began": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "What": st.column_config.TextColumn(width="large"),
    }
    tables.rows(finding_rows(found, where, now), alt=f"{count(len(found), 'finding')}", columns=columns, key="rows")


def _owner(item: Finding, where: tzinfo) -> str:
    if not item.owner:
        return "Nobody has taken it yet." if item.id else "Nobody watches it: start goldcopy up, or goldcopy watch."
    said = f": {item.comment}" if item.comment else ""
    return f"{item.owner} has it since {instant(item.taken_at, where)}{said}"
