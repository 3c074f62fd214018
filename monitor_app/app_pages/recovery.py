"""Recovery: would we be back in time, and how do we know?"""

from functools import partial

import streamlit as st

from monitor_app import data, downloads
from monitor_app.components import finding, recovery_view, tables
from monitor_app.components.charts import show
from monitor_app.components.recovery_chart import recovery_figure
from monitor_app.components.text import zone
from monitor_app.components.theme import palette
from shared.clock import utc_now


def main() -> None:
    """Show the page."""
    reports = data.fleet().status.sources
    if not reports:
        finding.page_title("Recovery", "No database is registered")
        finding.nothing_here("Register a database to start", "Write it into goldcopy.toml, then:", "goldcopy check")
        return
    now, where = utc_now(), zone(st.context.timezone)
    finding.page_title("Recovery", recovery_view.recovery_sentence(reports, now))
    tables.facts(recovery_view.recovery_counts(reports, now), alt="How many sources would be back in time")
    rows = recovery_view.lollipops(reports, where, now)
    if rows:
        over = sum(row.ratio > 1 for row in rows)
        note = (
            "Predicted from restore tests for today's size, over the objective; only tests of the last 90 days count."
        )
        finding.section(f"{over} of the slowest {len(rows)} would be too late" if over else "The slowest", note)
        alt = "; ".join(f"{row.name} {row.label}" for row in rows)
        show(recovery_figure(rows, palette()), alt=f"Predicted time to recover of the slowest: {alt}", key="recovery")
    finding.section("Every source", "What is predicted, and the restore test that it stands on.")
    predicted = recovery_view.prediction_rows(reports, where, now)
    columns = recovery_view.prediction_columns(where)
    tables.rows(predicted, alt="Predicted time to recover of every source", columns=columns, tallest=10)
    evidence = data.evidence()
    tests = evidence.tests
    finding.section(recovery_view.evidence_sentence(tests), "Evidence: what was expected and found, test by test.")
    if not tests:
        finding.nothing_here(
            "Nothing was tried lately", "Restore the newest backup and compare:", "goldcopy restore-test"
        )
        return
    downloads.button(
        "Evidence as CSV", partial(recovery_view.evidence_csv, evidence), "goldcopy-restore-tests.csv", "text/csv"
    )
    shown = recovery_view.evidence_rows(tests, where)
    columns = recovery_view.evidence_columns(where)
    tables.rows(shown, alt="Restore tests, failed ones first", columns=columns, tallest=12, key="evidence")


main()
