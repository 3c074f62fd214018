"""Are we safe? The one page for everybody: the answer, what is worst, since when, who must act."""

from datetime import timedelta

import streamlit as st

from monitor_app import data
from monitor_app.components import finding, fleet_view
from monitor_app.components.text import esc, instant, zone
from monitor_app.components.verdict import fleet_verdict, need_someone, worst_first
from shared.clock import utc_now

STRIP_SOURCES, STRIP_DAYS, SPAN_DAYS = 20, 45, 30


def main() -> None:
    """Show the page."""
    fleet = data.fleet()
    now, where = utc_now(), zone(st.context.timezone)
    reports = fleet.status.sources
    if not reports:
        finding.page_title("Are we safe?", "Nothing is protected: no database is registered")
        finding.nothing_here(
            "Register a database to start", "Write it into goldcopy.toml, then:", "goldcopy check", is_bad=True
        )
        return
    fleet_view.show_answer(fleet_verdict(reports, fleet.incidents, where, now, fleet.known_since))
    today = now.date()
    fleet_view.show_numbers(reports, data.fleet_days(today - timedelta(days=SPAN_DAYS - 1)), today)
    st.caption(esc(f"As of {instant(fleet.status.at, where)}; looked at again every minute."))
    fleet_view.show_needs(need_someone(reports), fleet.incidents, where, now, fleet.known_since)
    days = [today - timedelta(days=age) for age in range(STRIP_DAYS - 1, -1, -1)]
    riskiest = worst_first(reports)[:STRIP_SOURCES]
    counts = data.day_counts(tuple(report.source.name for report in riskiest), days[0])
    fleet_view.show_heartbeat(riskiest, counts, days, now)
    for row in fleet.status.unconfigured:
        st.caption(esc(f"{row.source} has {row.backup_count} backups and is not in goldcopy.toml: nobody judges it."))
    st.session_state["looked"] = True
    look_again()


@st.fragment(run_every="60s")
def look_again() -> None:
    """Run the whole page anew every minute, its banner about old facts included: an old green page would lie."""
    if not st.session_state.pop("looked", False):
        st.rerun(scope="app")


main()
