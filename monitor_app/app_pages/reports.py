"""Reports: the evidence of a period, for the auditor."""

import streamlit as st

from monitor_app import data, downloads
from monitor_app.components import finding, reports_view, tables
from monitor_app.components.text import esc, zone
from shared.clock import utc_now

EVERY = "all"
_KINDS = (("PDF", "report.pdf", "application/pdf"), ("HTML", "report.html", "text/html"))


def main() -> None:
    """Show the page."""
    title = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        offered = reports_view.periods(utc_now())
        period = st.selectbox("Period (UTC)", offered, key="period", bind="query-params") or offered[0]
        source = st.selectbox("Source", [EVERY, *data.source_names()], key="source", bind="query-params")
        chosen = (period, "" if source in {EVERY, None} else str(source))
        # A switch and no button: it changes nothing, its place is in the URL, and viewers may have reports too.
        made = st.toggle("Make the report", key="make", bind="query-params")
    written = data.written_reports()
    with title:
        sentence = data.report(*chosen).report.finding if made else reports_view.reports_sentence(written)
        finding.page_title("Reports", sentence)
    if made:
        show_report(*chosen)
    show_written()


def show_report(period: str, source: str) -> None:
    """Show a report, and let its files be taken away."""
    where = zone(st.context.timezone)
    made = data.report(period, source)
    for note in made.report.notes:
        st.caption(esc(note))
    with st.container(horizontal=True):
        for label, name, mime in _KINDS:
            file = downloads.report_file(period, source, name)
            st.download_button(label, file, f"{made.name}.{name.partition('.')[2]}", mime, on_click="ignore", key=name)
        everything = downloads.report_archive(period, source)
        st.download_button("All with digests", everything, f"{made.name}.zip", "application/zip", on_click="ignore")
    tables.rows(reports_view.control_rows(made.report), alt="Every control with its answer", tallest=20)
    finding.section(reports_view.exceptions_sentence(made.report), "Every one is in the files.")
    if found := reports_view.exception_rows(made.report, where):
        tables.rows(found, alt="Exceptions of all controls", columns=reports_view.columns(where), key="exceptions")


def show_written() -> None:
    """Show which reports were written before, with their digests."""
    where, written = zone(st.context.timezone), data.written_reports()
    finding.section(
        "Written before", "By the monthly flow and by goldcopy report; each digest stands in the audit trail."
    )
    if not written:
        finding.nothing_here(
            "None yet", "Write one, or wait for the monthly flow:", "goldcopy report --period last-month"
        )
        return
    tables.rows(reports_view.written_rows(written, where), alt="Reports", columns=reports_view.columns(where))


main()
