"""Findings in words and rows: which are open, since when, who has them, what became of the others."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components import finding as page
from monitor_app.components import tables
from monitor_app.components.text import advice, ago, count, esc, instant, span
from monitor_app.components.theme import HEALTH, Mark
from monitor_app.components.verdict import cause_label, reason_since, since_words, worst_first
from monitor_app.queries.findings import ALL_SOURCES, RESOLVED_FOR, Finding, FindingKind, FindingState
from shared.domain.health import Colour, ReasonCode
from shared.domain.incident import SYSTEM_NAME
from shared.operations.status import SourceReport

PAGE_SIZE = 20
# What is about no single source has no page to lead to.
WIDE = {SYSTEM_NAME: "Goldcopy itself", ALL_SOURCES: "All sources"}
_NOBODY_KNOWS: Mapping[str, datetime] = {}
_NOTHING = {
    FindingState.ACKNOWLEDGED: "Nothing is taken",
    FindingState.RESOLVED: f"Nothing ended within the last {RESOLVED_FOR.days} days",
    FindingState.NOTED: f"Nothing was noted within the last {RESOLVED_FOR.days} days",
}
_ORDER = {colour: number for number, colour in enumerate(Colour)}


def all_findings(
    stored: Sequence[Finding],
    reports: Sequence[SourceReport],
    now: datetime,
    known_since: Mapping[str, datetime] = _NOBODY_KNOWS,
) -> tuple[Finding, ...]:
    """Return everything once, in the order of the first page; of one source the oldest comes first.

    An incident that goes on is told in the words of now, not in those of when somebody last wrote them down.
    A source that is not green has a finding even where nobody watches and no incident was opened. A failed check that
    an incident is about is told by the incident; an incident about something unusual is told by what was found, for
    whoever says that it is no trouble ends both.
    """
    ranked = worst_first(reports)
    place = {report.source.name: number for number, report in enumerate(ranked)}
    of_source = {report.source.name: report for report in ranked}
    found = [*(_of_now(item, of_source, known_since) for item in stored)]
    found += _unwatched(reports, stored, now, known_since)
    incidents = {(item.source, item.cause) for item in found if _is_open_incident(item)}
    anomalies = {
        (item.source, ReasonCode.ANOMALY.value)
        for item in found
        if item.kind is FindingKind.ANOMALY and item.state is FindingState.OPEN
    }
    told = {FindingKind.CHECK: incidents, FindingKind.INCIDENT: anomalies, FindingKind.ANOMALY: set[tuple[str, str]]()}
    once = [item for item in found if not _is_told(item, told[item.kind])]
    return tuple(
        sorted(
            once,
            key=lambda item: (_ORDER[item.colour], place.get(item.source, -1), item.opened_at, item.source, item.id),
        )
    )


def _of_now(item: Finding, of_source: Mapping[str, SourceReport], known_since: Mapping[str, datetime]) -> Finding:
    report = of_source.get(item.source)
    if not _is_open_incident(item) or report is None or report.health.colour is Colour.GREEN:
        return item  # about Goldcopy itself, or over as soon as somebody looks
    reason, since = report.health.reasons[0], reason_since(report, known_since)
    return replace(
        item,
        colour=reason.colour,
        cause=reason.code,
        sentence=reason.sentence,
        action=reason.action,
        since=since,
        opened_at=min(item.opened_at, since or item.opened_at),
    )


def _is_told(item: Finding, told: set[tuple[str, str]]) -> bool:
    return item.state is FindingState.OPEN and (item.source, item.cause) in told


def _is_open_incident(item: Finding) -> bool:
    return item.kind is FindingKind.INCIDENT and item.closed_at is None


def _unwatched(
    reports: Sequence[SourceReport], stored: Sequence[Finding], now: datetime, known_since: Mapping[str, datetime]
) -> Iterator[Finding]:
    told = {item.source for item in stored if _is_open_incident(item)}
    for report in reports:
        reason, since = report.health.reasons[0], reason_since(report, known_since)
        if report.health.colour is not Colour.GREEN and report.source.name not in told:
            yield Finding(
                kind=FindingKind.INCIDENT,
                state=FindingState.OPEN,
                source=report.source.name,
                colour=report.health.colour,
                cause=reason.code,
                sentence=reason.sentence,
                opened_at=since or now,
                since=since,
                action=reason.action,
            )


def findings_sentence(found: Sequence[Finding], state: FindingState, now: datetime) -> str:
    """Say how many are in a state, since when the oldest of them, and what else asks for somebody."""
    shown = [item for item in found if item.state is state]
    others = {other: sum(item.state is other for item in found) for other in FindingState if other is not state}
    if state is FindingState.OPEN:
        taken = others[FindingState.ACKNOWLEDGED]
        if not shown:
            return f"{taken} taken and not over; nothing else is open" if taken else "Nothing is open"
        return f"{len(shown):,} open{_oldest(shown, now)}" + (f"; {taken} taken and not over" if taken else "")
    also = f"; {others[FindingState.OPEN]:,} open" if others[FindingState.OPEN] else ""
    if not shown:
        return f"{_NOTHING[state]}{also}"
    if state is FindingState.ACKNOWLEDGED:
        return f"{len(shown):,} taken and not over{_oldest(shown, now)}{also}"
    what = "ended" if state is FindingState.RESOLVED else "noted"
    return f"{len(shown):,} {what} within the last {RESOLVED_FOR.days} days{also}"


def _oldest(found: Sequence[Finding], now: datetime) -> str:
    seconds = max(item.lasted(now) for item in found).total_seconds()
    return f", the oldest for {span(seconds)}" if seconds else ""


def since_line(item: Finding, where: tzinfo, now: datetime) -> str:
    """Say since when: of what a source's colour follows from, since when it has that colour; empty if nobody knows."""
    if item.kind is FindingKind.INCIDENT:
        since = item.since or (item.opened_at if item.id else None)
        said = since_words(item.colour, since, where, now)
    else:
        said = f"since {instant(item.opened_at, where)} ({ago(item.opened_at, now)})"
    return f"{said[:1].upper()}{said[1:]}"


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
            facts = [since_line(item, where, now), _owner(item, where)]
            st.caption(esc(" ".join(f"{fact}." for fact in facts if fact)), width="content")
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
        return "Nobody has taken it yet"
    said = f": {item.comment}" if item.comment else ""
    return f"{item.owner} has it since {instant(item.taken_at, where)}{said}"
