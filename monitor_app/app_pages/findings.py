"""Findings: what is open, since when, and who has it?"""

import streamlit as st

from monitor_app import data, finding_dialogs, site
from monitor_app.components import finding, findings_view, tables
from monitor_app.components.choice import Choice, choose
from monitor_app.components.findings_view import PAGE_SIZE
from monitor_app.components.text import advice, zone
from monitor_app.queries.findings import Finding, FindingKind, FindingState
from shared.clock import utc_now

ANY = "any"
_EMPTY = {
    FindingState.OPEN: "Nothing asks for anybody now.",
    FindingState.ACKNOWLEDGED: "Nobody has taken anything that still goes on.",
    FindingState.RESOLVED: "Nothing ended within the last 90 days.",
    FindingState.NOTED: "Nothing was noted within the last 90 days.",
}


def main() -> None:
    """Show the page."""
    now, where = utc_now(), zone(st.context.timezone)
    fleet = data.fleet()
    everything = findings_view.all_findings(data.findings(), fleet.status.sources, now, fleet.known_since)
    title = st.container()
    if not fleet.status.sources and not everything:
        finding.page_title("Findings", "Nothing is protected: no database is registered")
        finding.nothing_here(
            "Register a database to start", "Write it into goldcopy.toml, then:", "goldcopy check", is_bad=True
        )
        return
    state, source = ask(everything)
    if not source.exists:
        with title:
            finding.page_title("Findings", "Nothing to show: there is no such source")
        return
    asked = [item for item in everything if source.name in {ANY, item.source}]
    found = [item for item in asked if item.state is state]
    about = "" if source.name == ANY else f"{source.name}: "
    with title:
        finding.page_title("Findings", f"{about}{findings_view.findings_sentence(asked, state, now)}")
        if any(item.kind is FindingKind.INCIDENT and not item.id for item in asked):
            st.markdown(
                advice("Nobody watches, so nobody is told: start `goldcopy up`, or run `goldcopy watch` now and then.")
            )
    if not found:
        finding.nothing_here("Nothing here", "Clear the filter to see more." if source.name != ANY else _EMPTY[state])
        return
    page, place = tables.pager(len(found), PAGE_SIZE)
    shown = found[PAGE_SIZE * (page - 1) : PAGE_SIZE * page]
    with place:
        if state not in {FindingState.OPEN, FindingState.ACKNOWLEDGED}:
            findings_view.show_rows(shown, where, now)
            return
        for number, item in enumerate(shown):
            findings_view.show_open(item, where, now, number=number, button=finding_dialogs.acknowledge_button)


def ask(everything: tuple[Finding, ...]) -> tuple[FindingState, Choice]:
    """Read the filters; they stand in the URL."""
    place = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        counts = {state: sum(item.state is state for item in everything) for state in FindingState}
        names = [state.value for state in FindingState if counts[state] or state is not FindingState.NOTED]
        state = st.segmented_control("State", names, default=names[0], required=True, key="state", bind="query-params")
        sources = sorted({*(item.source for item in everything), *site.current().config.sources})
        source = choose("Source", [ANY, *sources], what="source", key="source", problems=place)
    return FindingState(state or names[0]), source


main()
