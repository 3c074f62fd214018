"""The landing page in parts: the answer, four numbers, who needs someone, the last days of the riskiest."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, tzinfo

import streamlit as st

from monitor_app.components import finding
from monitor_app.components.strip import LEGEND, StripRow, heartbeat
from monitor_app.components.text import advice, count, esc, span
from monitor_app.components.theme import HEALTH, Mark
from monitor_app.components.verdict import Verdict, label, missed_words, reason_since, since_words, who_has_it
from shared.catalog.records import DayRow
from shared.domain.health import Colour
from shared.domain.heartbeat import BAD_DAYS, DayCount, day_states
from shared.domain.incident import Incident
from shared.operations.status import SourceReport

FIRST_SHOWN = 8
MOST_SHOWN = 100
_LEAST_TIMES = 0.1
# What is said of one source alone, of one among others, and of several.
_STATES = {
    Colour.RED: ("is not safe", "not safe", "not safe"),
    Colour.UNKNOWN: ("is unknown", "unknown", "unknown"),
    Colour.YELLOW: ("wants a look", "wants a look", "want a look"),
}


def show_answer(answer: Verdict) -> None:
    """Show the answer as the page's title, and what is worst below it in its colour."""
    finding.page_title("Are we safe?", answer.title)
    colour = Colour.YELLOW if answer.is_new else answer.colour
    finding.verdict(colour, answer.worst, answer.body)


def show_numbers(reports: Sequence[SourceReport], days: Sequence[DayRow], today: date) -> None:
    """Show the four numbers that say how far all is well; `days` are the last thirty."""
    whole = len(reports)
    within = sum(report.standing.rpo_met is True for report in reports)
    proven = sum(report.standing.proven_met is True for report in reports)
    failed = sum(day.failed for day in days if (today - day.day).days <= 1)
    with st.grid(4, min_column_width=160):
        _number("Within objective", f"{within:,} of {whole:,}", _short(whole - within, "past it", "all of them"))
        _longest(reports)
        _number("Proven in time", f"{proven:,} of {whole:,}", _short(whole - proven, "not proven", "all of them"))
        _number("Failed since yesterday", f"{failed:,}", (f"{sum(day.failed for day in days):,} in 30 days", False))


def show_needs(
    found: Sequence[SourceReport],
    incidents: Mapping[str, Incident],
    where: tzinfo,
    now: datetime,
    known_since: Mapping[str, datetime],
) -> None:
    """List who needs someone, worst first: what, since when, who has it, what to do."""
    if not found:
        finding.section("Nobody needs you", "Every source is within its objectives.")
        return
    finding.section(needs_sentence(found), "Worst first.")
    for report in found[:FIRST_SHOWN]:
        _need(report, incidents.get(report.source.name), where, now, known_since)
    if len(found) > FIRST_SHOWN:
        shown = f"All {len(found)}" if len(found) <= MOST_SHOWN else f"The worst {MOST_SHOWN} of {len(found)}"
        more = st.expander(shown, on_change="rerun", key="all-needs")
        if more.open:
            with more:
                for report in found[FIRST_SHOWN:MOST_SHOWN]:
                    _need(report, incidents.get(report.source.name), where, now, known_since)


def show_heartbeat(
    reports: Sequence[SourceReport],
    counts: Mapping[str, Mapping[date, DayCount]],
    days: Sequence[date],
    now: datetime,
) -> None:
    """Show the last days of the riskiest sources."""
    rows = [
        StripRow(
            name=report.source.name,
            days=day_states(
                report.source,
                counts.get(report.source.name, {}),
                days,
                first_backup_at=report.facts.first_backup_at if report.facts else None,
                now=now,
            ),
        )
        for report in reports
    ]
    bad = sum(state in BAD_DAYS for row in rows for state in row.days)
    names = [row.name for row in rows]
    finding.section(heartbeat_sentence(bad, len(days), names), LEGEND)
    heartbeat(rows, days, caption=f"Backups of {_among(names)} per day, worst source first")


def heartbeat_sentence(bad: int, days: int, names: Sequence[str]) -> str:
    """Say how many bad days there were; one source is named, of several how many they are."""
    found = f"{count(bad, 'bad day') if bad else 'No bad day'} in {days}"
    return f"{found} among {_among(names)}" if len(names) > 1 else f"{found}: {_among(names)}"


def needs_sentence(found: Sequence[SourceReport]) -> str:
    """Say how many sources need someone, and how many of each colour, as `goldcopy status` counts them."""
    counts = {colour: sum(report.health.colour is colour for report in found) for colour in _STATES}
    if len(found) == 1:
        return f"1 source needs someone: it {next(_STATES[colour][0] for colour in counts if counts[colour])}"
    parts = [f"{number:,} {_STATES[colour][1 if number == 1 else 2]}" for colour, number in counts.items() if number]
    return f"{count(len(found), 'source')} need someone: {', '.join(parts)}"


def times_words(times: float) -> str:
    """Say how many times its objective an exposure is."""
    return f"{times:.1f} times its objective" if times >= _LEAST_TIMES else "a fraction of its objective"


def _among(names: Sequence[str]) -> str:
    return f"the {len(names)} riskiest sources" if len(names) > 1 else names[0]


def _number(name: str, value: str, note: tuple[str, bool]) -> None:
    words, is_bad = note
    st.metric(
        name,
        value,
        delta=words,
        delta_color="red" if is_bad else "off",
        delta_arrow="off",
        border=True,
        height="stretch",
    )


def _short(number: int, bad: str, good: str) -> tuple[str, bool]:
    return (f"{number:,} {bad}", True) if number else (good, False)


def _longest(reports: Sequence[SourceReport]) -> None:
    """Show the exposure that is the most times its objective; a source without any backup has no end to it."""
    without = sum(report.standing.exposure is None for report in reports)
    known = [(report.standing.exposure, report.source.objectives.rpo) for report in reports]
    ratios = [(exposure / rpo, exposure) for exposure, rpo in known if exposure is not None]
    if not ratios:
        _number("Longest exposure", "no end", (f"{without:,} without backup", True))
        return
    times, exposure = max(ratios)
    _number("Longest exposure", span(exposure.total_seconds()), (times_words(times), times > 1))


def _need(
    report: SourceReport,
    incident: Incident | None,
    where: tzinfo,
    now: datetime,
    known_since: Mapping[str, datetime],
) -> None:
    reason = report.health.reasons[0]
    mark = HEALTH[reason.colour.value]
    more = len([item for item in report.health.reasons[1:] if item.colour is not Colour.GREEN])
    also = f" (and {count(more, 'more reason')})" if more else ""
    since = since_words(reason.colour, reason_since(report, known_since), where, now)
    facts = [missed_words(report, where, now), since, who_has_it(incident, where)]
    line = "; ".join(fact for fact in facts if fact)
    with st.container(gap="xxsmall", border=True, key=f"need-{report.source.name}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            finding.badge(Mark(word=label(reason), glyph=mark.glyph, badge=mark.badge, icon=mark.icon))
            finding.source_link(report.source.name)
            st.markdown(esc(f"{reason.sentence[:1].upper()}{reason.sentence[1:]}{also}"), width="content")
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            st.caption(esc(f"{line[:1].upper()}{line[1:]}."), width="content")
            st.markdown(f"{esc('Do:')} {advice(reason.action)}", width="content")
