"""Compliance reports: made for whoever asks, and those that were written before."""

from datetime import datetime

from monitor_app.queries.audit import AuditFilter, load_entries
from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.records import AuditRow
from shared.config.load import Config
from shared.operations.report import ReportResult, make_report
from shared.operations.watch_events import REPORT_MADE
from shared.wiring.reporting import read_period, report_request


def load_report(database: Database, config: Config, period: str, source: str, now: datetime) -> ReportResult:
    """Make the report of a period, of one source or (empty name) of all; nothing is written.

    Raises:
        CatalogProblem: The catalog cannot be read.
        UsageProblem: The period cannot be understood, or has not begun.
    """
    request = report_request(config, read_period(period, now), source or None)
    return make_report(Catalog(database, actor="app"), request, now)


def load_written(database: Database) -> tuple[AuditRow, ...]:
    """Return the audit entries of the newest reports that were written, newest first."""
    return load_entries(database, AuditFilter(action=REPORT_MADE), 1)
