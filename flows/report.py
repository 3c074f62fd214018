"""Write the compliance report of the month that ended; `goldcopy report` writes the same by hand."""

from prefect import flow

from flows.artifacts import Document
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.support import open_workspace, step

TIMEOUT_SECONDS = 3600
COLUMNS = {"finding": "Finding", "folder": "Written to"}


@step(name="write report")
def write_report(period: str, source: str | None) -> Document:
    """Judge one period and write what was found."""
    with open_workspace() as workspace:
        return workspace.report(period, source).document()


@flow(name="report", timeout_seconds=TIMEOUT_SECONDS, persist_result=False)
def report(period: str = "last-month", source: str | None = None) -> None:
    """Write a compliance report: HTML, PDF, CSV, and the digests of all files.

    Args:
        period: 2026-10, 2026-Q4, 2026, 2026-10-01..2026-10-15, or last-month.
        source: Name of a source; empty means all.
    """
    results = run_for_each(write_report, {period: {"period": period, "source": source}}, at_once=1)
    publish("Compliance report", results, COLUMNS, key="report")
    # A control that is not met is what the report is for; only a report that could not be written fails the run.
    fail_unless_good(results)
