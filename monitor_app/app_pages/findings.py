"""Findings: what is open, since when, and who has it?"""

import streamlit as st

from monitor_app import data, finding_dialogs, site
from monitor_app.components import finding, findings_view, tables
from monitor_app.components.choice import Choice, choose
from monitor_app.components.findings_view import PAGE_SIZE
from monitor_app.components.text import zone
from monitor_app.queries.findings import Finding, FindingState
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
    everything = findings_view.all_findings(data.findings(), data.fleet().status.sources, now)
    finding.page_title("Findings", findings_view.findings_sentence(everything, now))
    state, source = ask(everything)
    if not source.exists:
        return
    found = [item for item in everything if item.state is state and source.name in {ANY, item.source}]
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
