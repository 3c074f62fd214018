"""What pages read, cached for half a minute; the only file with `st.cache_data`.

Every function takes small hashable arguments and returns frozen rows. After a change call `forget()`.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from typing import Any

import streamlit as st

from monitor_app import site
from monitor_app.freshness import Freshness, judge
from monitor_app.queries import backups as backup_queries
from monitor_app.queries.audit import AuditFilter, CheckedChain, check_chain, check_newer, count_entries, load_entries
from monitor_app.queries.backup_detail import BackupDetail, load_backup
from monitor_app.queries.backups import BackupFilter
from monitor_app.queries.days import load_fleet_days
from monitor_app.queries.elsewhere import load_manual_backups
from monitor_app.queries.findings import Finding, load_findings
from monitor_app.queries.fleet import Fleet, load_day_counts, load_fleet
from monitor_app.queries.freshness import is_generated, load_signs
from monitor_app.queries.recovery import Evidence, load_evidence
from monitor_app.queries.reports import load_report, load_written
from monitor_app.queries.requests import load_choices, load_requests
from monitor_app.queries.source_history import SourceHistory, load_source_history
from monitor_app.queries.storage import load_comparison, load_storage
from shared.catalog.app_records import ManualBackupRecord
from shared.catalog.records import AuditRow, BackupRow, DayRow
from shared.catalog.restore_requests import RestoreRequestRecord
from shared.clock import utc_now
from shared.domain.heartbeat import DayCount
from shared.operations.report import ReportResult
from shared.operations.storage import PolicyComparison, StorageView

CHAIN_SECONDS = 600
STORAGE_SECONDS = 300
_LIVE: dict[str, Any] = {"ttl": 30, "show_spinner": False}


def forget() -> None:
    """Drop everything that is cached, so that a change shows at once."""
    st.cache_data.clear()
    st.cache_resource.clear()


def freshness() -> Freshness:
    """How old the facts are; asked anew on every run, so a catalog that is gone shows at once."""
    shown = site.current()
    return judge(load_signs(shown.database()), utc_now(), shown.config.file.app.stale_after)


@st.cache_data(max_entries=200, **_LIVE)
def backup_count(wanted: BackupFilter) -> int:
    """How many backups match, counted up to a bound."""
    return backup_queries.count_backups(site.current().database(), wanted)


@st.cache_data(max_entries=200, **_LIVE)
def backups(wanted: BackupFilter, page: int) -> tuple[BackupRow, ...]:
    """One page of the history."""
    return backup_queries.load_backups(site.current().database(), wanted, page)


@st.cache_data(max_entries=1, **_LIVE)
def source_names() -> tuple[str, ...]:
    """All sources by name."""
    return backup_queries.load_source_names(site.current().database())


@st.cache_data(max_entries=200, **_LIVE)
def backup(backup_id: str) -> BackupDetail | None:
    """One backup with its tables, holds and restore tests; None where there is none."""
    return load_backup(site.current().database(), backup_id)


@st.cache_data(max_entries=20, **_LIVE)
def fleet_days(since: date) -> tuple[DayRow, ...]:
    """What each day came to over all sources, oldest first."""
    return load_fleet_days(site.current().database(), since)


@st.cache_data(max_entries=200, **_LIVE)
def manual_backups(source: str) -> tuple[ManualBackupRecord, ...]:
    """The newest backups that were made elsewhere, of one source or (empty name) of all."""
    return load_manual_backups(site.current().database(), source)


@st.cache_data(max_entries=200, **_LIVE)
def audit_count(wanted: AuditFilter) -> int:
    """How many entries of the audit trail match, counted up to a bound."""
    return count_entries(site.current().database(), wanted)


@st.cache_data(max_entries=200, **_LIVE)
def audit_entries(wanted: AuditFilter, page: int) -> tuple[AuditRow, ...]:
    """One page of the audit trail."""
    return load_entries(site.current().database(), wanted, page)


@st.cache_data(max_entries=1, ttl=CHAIN_SECONDS, show_spinner="Checking the chain")
def _whole_chain() -> CheckedChain:
    return check_chain(site.current().database(), utc_now())


def audit_chain() -> CheckedChain:
    """How the audit trail stands: all of it as walked at most ten minutes ago, and what came since."""
    return check_newer(site.current().database(), _whole_chain())


# Shared as it is, not copied for every run: it holds all sources, is frozen, and nobody changes it.
@st.cache_resource(max_entries=1, **_LIVE)
def fleet() -> Fleet:
    """How all configured sources stand."""
    shown = site.current()
    return load_fleet(shown.database(), shown.config.sources, utc_now())


@st.cache_data(max_entries=50, **_LIVE)
def day_counts(sources: tuple[str, ...], since: date) -> Mapping[str, Mapping[date, DayCount]]:
    """What each UTC day came to for some sources."""
    return load_day_counts(site.current().database(), sources, since)


@st.cache_data(max_entries=20, **_LIVE)
def source_history(source: str, since: date) -> SourceHistory:
    """What happened to one source since a UTC day."""
    return load_source_history(site.current().database(), source, datetime.combine(since, time(), UTC))


@st.cache_data(max_entries=1, **_LIVE)
def findings() -> tuple[Finding, ...]:
    """What is open, and what was over lately; newest first."""
    return load_findings(site.current().database(), utc_now())


@st.cache_data(max_entries=1, **_LIVE)
def evidence() -> Evidence:
    """The newest restore tests of all sources with what they found."""
    return load_evidence(site.current().database(), utc_now())


@st.cache_data(max_entries=1, **_LIVE)
def restore_requests() -> tuple[RestoreRequestRecord, ...]:
    """The newest requests for restores."""
    return load_requests(site.current().database())


@st.cache_data(max_entries=50, **_LIVE)
def restorable(source: str) -> tuple[tuple[str, bool], ...]:
    """The backups of a source that can be asked for, newest first, each with whether it is proven."""
    return load_choices(site.current().database(), source)


@st.cache_data(max_entries=1, **_LIVE)
def generated() -> bool:
    """Whether this catalog holds history that was generated for trying."""
    return is_generated(site.current().database())


@st.cache_data(max_entries=100, ttl=STORAGE_SECONDS, show_spinner=False)
def storage(source: str) -> StorageView:
    """What is stored of one source or (empty name) of all; sizes move slowly."""
    shown = site.current()
    return load_storage(shown.database(), shown.config, source, utc_now())


@st.cache_data(max_entries=50, **_LIVE)
def comparison(source: str, keep: tuple[str, ...]) -> PolicyComparison:
    """A source's retention and a changed one side by side."""
    shown = site.current()
    return load_comparison(shown.database(), shown.config, source, keep, utc_now())


# Shared as it is, not copied for every run: it is frozen, and holds whole files.
@st.cache_resource(max_entries=4, ttl=CHAIN_SECONDS, show_spinner=False)
def report(period: str, source: str) -> ReportResult:
    """The compliance report of a period, of one source or (empty name) of all."""
    shown = site.current()
    return load_report(shown.database(), shown.config, period, source, utc_now())


@st.cache_data(max_entries=1, **_LIVE)
def written_reports() -> tuple[AuditRow, ...]:
    """Audit entries of the reports that were written, newest first."""
    return load_written(site.current().database())
