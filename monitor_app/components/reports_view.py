"""Compliance reports in words and rows."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import streamlit as st

from shared.catalog.records import AuditRow
from shared.domain.compliance import ComplianceReport
from shared.domain.control import Status, deviations_sentence
from shared.domain.period import month_before, month_of

MONTHS_OFFERED = 12
GLYPHS = {Status.MET: "✓", Status.NOT_MET: "✕", Status.NOT_MEASURED: "?"}


def periods(now: datetime) -> list[str]:
    """Return the periods that are offered: this month so far, the last whole months, the quarters and years in them."""
    months = [month_before(now)]
    while len(months) < MONTHS_OFFERED:
        months.append(month_before(months[-1].begins_at + timedelta(days=1)))
    quarters = dict.fromkeys(f"{item.begins_at:%Y}-Q{(item.begins_at.month + 2) // 3}" for item in months)
    years = dict.fromkeys(f"{item.begins_at:%Y}" for item in months)
    return [month_of(now).label, *(item.label for item in months), *quarters, *years]


def reports_sentence(written: Sequence[AuditRow]) -> str:
    """Say what the newest written report found."""
    if not written:
        return "No report was written yet"
    return f"Newest written report, {written[0].details.get('finding', written[0].object)}"


def control_rows(report: ComplianceReport) -> list[dict[str, Any]]:
    """Return every control with its answer."""
    return [
        {
            "Answer": f"{GLYPHS[item.status]} {item.status}",
            "Control": item.control.title,
            "Result": item.summary,
            "Exceptions": item.exceptions,
            "Not measured": len(item.deviations) - item.exceptions,
            "Supports the audit of": "; ".join(item.control.supports),
        }
        for item in report.controls
    ]


def exception_rows(report: ComplianceReport, where: tzinfo, most: int = 200) -> list[dict[str, Any]]:
    """Return the exceptions of all controls, and after them what was not measured."""
    found = [
        {
            "Kind": "exception" if deviation.is_measured else "not measured",
            "Control": item.control.title,
            "Source": deviation.source or "all",
            "Began": deviation.at.astimezone(where) if deviation.at else None,
            "Object": deviation.object,
            "What": deviation.sentence,
        }
        for is_measured in (True, False)
        for item in report.controls
        for deviation in item.deviations
        if deviation.is_measured is is_measured
    ]
    return found[:most]


def exceptions_sentence(report: ComplianceReport) -> str:
    """Say how many exceptions there are, and how much was not measured."""
    return deviations_sentence(
        sum(item.exceptions for item in report.controls), sum(len(item.deviations) for item in report.controls)
    )


def written_rows(written: Sequence[AuditRow], where: tzinfo) -> list[dict[str, Any]]:
    """Return the reports that were written, with the digest that proves them."""
    return [
        {
            "Written": row.at.astimezone(where),
            "Report": row.object,
            "Found": str(row.details.get("finding", "")),
            "By": row.actor,
            "SHA-256 of SHA256SUMS": str(row.details.get("sha256", "")),
        }
        for row in written
    ]


def columns(where: tzinfo) -> dict[str, Any]:
    """Return how rows with instants are shown."""
    shown = st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where))
    return {"Written": shown, "Began": shown, "What": st.column_config.TextColumn(width="large")}
