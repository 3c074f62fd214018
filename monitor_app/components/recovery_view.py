"""Recovery in words and rows: what is predicted beside what was agreed, and the evidence behind it."""

import csv
import io
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components.recovery_chart import Lollipop
from monitor_app.components.text import count, duration, instant, size
from monitor_app.queries.recovery import EVIDENCE_DAYS, Evidence
from shared.catalog.records import RestoreTestRow
from shared.domain.proof import Outcome
from shared.operations.status import SourceReport
from shared.units import format_instant

MOST_SHOWN = 12
MOST_TESTS_SHOWN = 200
TOO_OLD = timedelta(days=90)
"""A prediction from older tests proves nothing any more."""


def is_predicted(report: SourceReport, now: datetime) -> bool:
    """Say whether a prediction stands on a restore test that is young enough."""
    predicted = report.standing.predicted
    return predicted is not None and now - predicted.last_tested_at <= TOO_OLD


def recovery_sentence(reports: Sequence[SourceReport], now: datetime) -> str:
    """Say who would not be back in time, or of whom nobody knows; counts, for a percentage rounds one away."""
    known = [report for report in reports if is_predicted(report, now)]
    late = sum(report.standing.rto_met is False for report in known)
    unknown = len(reports) - len(known)
    whole = count(len(reports), "source")
    if late:
        also = f"; {unknown} not tried in 90 days" if unknown else ""
        return f"{late} of {whole} would miss {'its' if late == 1 else 'their'} recovery time at today's size{also}"
    if unknown:
        has = "has" if unknown == 1 else "have"
        return f"{unknown} of {whole} {has} passed no restore test in the last 90 days"
    everybody = f"All {whole}" if len(reports) > 1 else reports[0].source.name
    return f"{everybody} would be back in time at today's size"


def recovery_counts(reports: Sequence[SourceReport], now: datetime) -> dict[str, str]:
    """Count what is proven and what is predicted."""
    whole = len(reports)
    known = [report for report in reports if is_predicted(report, now)]
    tested = sum(report.facts is not None and report.facts.last_decisive is not None for report in reports)
    return {
        "Back within their time to recover": _of(known, "rto_met", whole),
        "Restored within their time to restore": _of(known, "restore_time_met", whole),
        "Proven within their objective": _of(reports, "proven_met", whole),
        "Not tried in 90 days": f"{whole - len(known)} of {whole}",
        "Never tried": f"{whole - tested} of {whole}",
    }


def _of(reports: Sequence[SourceReport], promise: str, whole: int) -> str:
    return f"{sum(getattr(report.standing, promise) is True for report in reports)} of {whole}"


def lollipops(reports: Sequence[SourceReport], where: tzinfo, now: datetime) -> list[Lollipop]:
    """Return the slowest by how many times their objective they would take, slowest first."""
    found = []
    for report in reports:
        predicted, rto = report.standing.predicted, report.source.objectives.rto.total_seconds()
        if predicted is None or not is_predicted(report, now) or predicted.seconds <= 0:
            continue
        low, high = predicted.low_seconds, predicted.high_seconds
        reach = "" if low is None or high is None else f", {duration(low)} to {duration(high)} likely"
        found.append(
            Lollipop(
                name=report.source.name,
                ratio=predicted.seconds / rto,
                low=None if low is None else low / rto,
                high=None if high is None else high / rto,
                label=f"{duration(predicted.seconds)} of {duration(rto)}",
                detail=f"{report.source.name}: {size(predicted.dumped_bytes)}{reach}; "
                f"{count(predicted.tests, 'test')}, the last {instant(predicted.last_tested_at, where)}",
            )
        )
    return sorted(found, key=lambda row: -row.ratio)[:MOST_SHOWN]


def prediction_rows(reports: Sequence[SourceReport], where: tzinfo, now: datetime) -> list[dict[str, Any]]:
    """Return every source with what is predicted, and what that stands on."""
    rows = []
    for report in reports:
        predicted, passed = report.standing.predicted, report.standing.last_passed
        known = is_predicted(report, now)
        rows.append(
            {
                "Source": report.source.name,
                "In time": {True: "✓ yes", False: "✕ no", None: "? not known"}[
                    report.standing.rto_met if known else None
                ],
                "Predicted": duration(predicted.seconds) if predicted and known else None,
                "Objective": duration(report.source.objectives.rto.total_seconds()),
                "For GB": predicted.dumped_bytes / 1e9 if predicted else None,
                "Tests": predicted.tests if predicted else 0,
                "Last passed": passed.finished_at.astimezone(where) if passed else None,
                "Tested GB": passed.dumped_bytes / 1e9 if passed else None,
                "Measured": duration(passed.recovery_time_seconds) if passed else None,
            }
        )
    return sorted(rows, key=lambda row: ((row["In time"][0] == "✓"), str(row["Source"])))


def prediction_columns(where: tzinfo) -> dict[str, Any]:
    """Describe the columns of `prediction_rows`."""
    return {
        "For GB": st.column_config.NumberColumn(format="%.2f", width="small"),
        "Tested GB": st.column_config.NumberColumn(format="%.2f", width="small"),
        "Last passed": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
    }


def evidence_sentence(tests: Sequence[RestoreTestRow]) -> str:
    """Say how the tests of the last days ended; what could not be measured is counted apart."""
    ended = [test for test in tests if test.outcome is not None]
    if not ended:
        return f"No restore test in the last {EVIDENCE_DAYS} days"
    outcomes = [test.outcome.value for test in ended if test.outcome]
    failed, gaps = outcomes.count("failed"), outcomes.count("not_measured")
    also = f", {gaps} could not be measured" if gaps else ""
    return f"{failed or 'None'} of {count(len(ended), 'restore test')} in the last {EVIDENCE_DAYS} days failed{also}"


def evidence_rows(tests: Sequence[RestoreTestRow], where: tzinfo) -> list[dict[str, Any]]:
    """Return restore tests as rows of a table: first those that failed, then what was not measured, newest first."""
    order = {Outcome.FAILED: 0, Outcome.NOT_MEASURED: 1}
    worst_first = sorted(tests, key=lambda test: order.get(test.outcome, 2) if test.outcome else 2)
    glyphs = {"passed": "✓ passed", "failed": "✕ failed", "not_measured": "? not measured"}
    return [
        {
            "Ended": test.finished_at.astimezone(where) if test.finished_at else None,
            "Source": test.source,
            "Result": glyphs[test.outcome.value] if test.outcome else "… running",
            "Usable after": duration(test.recovery_time_seconds),
            "Tables": test.tables_proven,
            "Rows equal": test.rows_proven,
            "Expected and found": "; ".join(f"{item.object}: {item.message}" for item in test.findings)
            or "; ".join(f"{gap.object}: {gap.reason}" for gap in test.not_measured),
            "Backup": test.backup_id,
        }
        for test in worst_first[:MOST_TESTS_SHOWN]
    ]


def evidence_columns(where: tzinfo) -> dict[str, Any]:
    """Describe the columns of `evidence_rows`."""
    return {
        "Ended": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "Rows equal": st.column_config.NumberColumn(format="localized"),
        "Expected and found": st.column_config.TextColumn(width="large"),
    }


_FIELDS = (
    "test_id",
    "backup_id",
    "manifest_sha256",
    "source",
    "outcome",
    "picked",
    "started_at",
    "finished_at",
    "recovery_time_seconds",
    "tables_proven",
    "rows_proven",
    "source_version",
    "scratch_version",
    "tool_version",
    "check",
    "severity",
    "object",
    "expected_and_found",
    "what_to_do",
)


def evidence_csv(found: Evidence) -> bytes:
    """Return the evidence as a file: one line per finding, or one for a test without any; instants in UTC."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(_FIELDS)
    for test in found.tests:
        findings = [[item.check, item.severity.value, item.object, item.message, item.hint] for item in test.findings]
        findings += [[gap.check, "not measured", gap.object, gap.reason, ""] for gap in test.not_measured]
        for finding in findings or [["", "", "", "", ""]]:
            writer.writerow([_cell(value) for value in [*_test_cells(test, found.digests), *finding]])
    return text.getvalue().encode("utf-8-sig")


def _test_cells(test: RestoreTestRow, digests: Mapping[str, str]) -> list[object]:
    return [
        test.id,
        test.backup_id,
        digests.get(test.backup_id, ""),
        test.source,
        test.outcome.value if test.outcome else "running",
        test.picked,
        format_instant(test.started_at),
        format_instant(test.finished_at) if test.finished_at else "",
        test.recovery_time_seconds,
        test.tables_proven,
        test.rows_proven,
        test.source_version,
        test.scratch_version,
        test.tool_version,
    ]


def _cell(value: object) -> object:
    """Keep a spreadsheet from reading text as a formula."""
    return f"'{value}" if isinstance(value, str) and value[:1] in {"=", "+", "-", "@", "\t", "\r"} else value
