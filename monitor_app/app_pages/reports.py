"""Reports: the evidence of a period, for the auditor."""

import streamlit as st

from monitor_app import data, downloads
from monitor_app.components import finding, reports_view, tables
from monitor_app.components.text import count, esc, zone
from shared.clock import utc_now
from shared.operations.report import ReportResult

EVERY = "all"
_MADE = "report-made"
_KINDS = (("PDF", "report.pdf", "application/pdf"), ("HTML", "report.html", "text/html"))


def main() -> None:
    """Show the page."""
    finding.page_title("Reports", reports_view.reports_sentence(data.written_reports()))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        this_month, *earlier = reports_view.periods(utc_now())
        offered = [*earlier[:1], this_month, *earlier[1:]]
        period = st.selectbox("Period (UTC)", offered, key="period", bind="query-params") or offered[0]
        source = st.selectbox("Source", [EVERY, *data.source_names()], key="source", bind="query-params")
        chosen = (period, "" if source in {EVERY, None} else str(source))
        if st.button("Make the report"):
            st.session_state[_MADE] = chosen
    if st.session_state.get(_MADE) == chosen:
        show_report(*chosen)
    show_written()


def show_report(period: str, source: str) -> None:
    """Show a report, and let its files be taken away."""
    where = zone(st.context.timezone)
    made = make(period, source)
    finding.section(made.report.finding)
    for note in made.report.notes:
        st.caption(esc(note))
    with st.container(horizontal=True):
        for label, name, mime in _KINDS:
            file = downloads.report_file(period, source, name)
            downloads.button(label, file, f"{made.name}.{name.partition('.')[2]}", mime)
        everything = downloads.report_archive(period, source)
        downloads.button("All with digests", everything, f"{made.name}.zip", "application/zip")
    tables.rows(reports_view.control_rows(made.report), alt="Every control with its answer", tallest=20)
    if found := reports_view.exception_rows(made.report, where):
        said = reports_view.exceptions_sentence(made.report)
        finding.section(said, f"The first {len(found)} are here; every one is in the files.")
        tables.rows(found, alt="Exceptions of all controls", columns=reports_view.columns(where), key="exceptions")


def make(period: str, source: str) -> ReportResult:
    """Make the report, or take the one made before, and say what goes on meanwhile."""
    number = 1 if source else len(data.source_names())
    with st.status(f"Reading and judging the records of {count(number, 'source')}") as status:
        made = data.report(period, source)
        status.update(label=esc(f"{made.name} is ready"), state="complete")
    return made


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
