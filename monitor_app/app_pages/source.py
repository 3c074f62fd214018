"""One source: what happened to it, is that normal, and does it restore?"""

from datetime import timedelta

import streamlit as st

from monitor_app import data, dialogs
from monitor_app.components import finding, source_view
from monitor_app.components.choice import choose
from monitor_app.components.text import zone
from monitor_app.components.verdict import worst_first
from shared.clock import utc_now
from shared.operations.status import SourceReport

WINDOWS = (90, 180, 400)


def main() -> None:
    """Show the page."""
    fleet = data.fleet()
    title = st.container()
    if not fleet.status.sources:
        with title:
            finding.page_title("One source", "Nothing is protected: no database is registered")
        finding.nothing_here(
            "Register a database to start", "Write it into goldcopy.toml, then:", "goldcopy check", is_bad=True
        )
        return
    reports = {report.source.name: report for report in worst_first(fleet.status.sources)}
    problems = st.container()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        worst = next(iter(reports))
        # No default of its own: a chosen name stays in the URL, whichever source is the worst by then.
        hint = f"{worst}, the worst" if len(reports) > 1 else worst
        names = list(reports)
        chosen = choose("Source", names, what="source", key="source", index=None, placeholder=hint, problems=problems)
        days = st.segmented_control("Days", WINDOWS, default=90, required=True, key="days", bind="query-params") or 90
    if not chosen.exists:
        with title:
            finding.page_title("One source", "Nothing to show: no such source is configured")
        return
    show(reports[chosen.name or worst], title, int(days))


def show(report: SourceReport, title: st.delta_generator.DeltaGenerator, days: int) -> None:
    """Show one source over the last days."""
    now, where, name = utc_now(), zone(st.context.timezone), report.source.name
    first = now.date() - timedelta(days=days - 1)
    history = data.source_history(name, first)
    with title:
        finding.page_title("One source", source_view.source_sentence(history, report, where, days=days, now=now))
        with st.container(horizontal=True):
            dialogs.back_up_now_button((name,))
            newest = report.facts.newest if report.facts else None
            detail = data.backup(newest.backup_id) if newest else None
            if detail is not None:
                dialogs.backup_buttons(detail.row.id, detail.holds)
    counts = data.day_counts((name,), first).get(name, {})
    missing = source_view.missing_days(report, counts, now, of_last=(30, 90))
    source_view.show_standing(report, data.fleet().incidents.get(name), where, now, missing)
    source_view.show_exposure(history, report, where, days=days, now=now)
    with st.grid(2, min_column_width=400, gap="medium"):
        with st.container():
            source_view.show_sizes(history.attempts, history.begins_at, where, name=name)
        with st.container():
            source_view.show_days(report, counts, first, now)
    source_view.show_runs(history.attempts, where, missing[0])
    source_view.show_evidence(history, where)
    source_view.show_growth(history, where)


main()
