"""Compliance reports in words and rows."""

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components.text import count
from shared.catalog.records import AuditRow
from shared.domain.compliance import ComplianceReport
from shared.domain.control import Status
from shared.domain.period import month_before, month_of

MONTHS_OFFERED = 12
GLYPHS = {Status.MET: "✓", Status.NOT_MET: "✕", Status.NOT_MEASURED: "?"}


def periods(now: datetime) -> list[str]:
    """Return the periods that are offered: the last whole months, the quarters and years in them, and this month."""
    months = [month_before(now)]
    while len(months) < MONTHS_OFFERED:
        months.append(month_before(months[-1].begins_at + timedelta(days=1)))
    quarters = dict.fromkeys(f"{item.begins_at:%Y}-Q{(item.begins_at.month + 2) // 3}" for item in months)
    years = dict.fromkeys(f"{item.begins_at:%Y}" for item in months)
    return [*(item.label for item in months), *quarters, *years, month_of(now).label]


def reports_sentence(written: Sequence[AuditRow]) -> str:
    """Say what the newest written report found."""
    if not written:
        return "No report was written yet"
    return f"Newest report, {written[0].details.get('finding', written[0].object)}"


def control_rows(report: ComplianceReport) -> list[dict[str, Any]]:
    """Return every control with its answer."""
    return [
        {
            "Answer": f"{GLYPHS[item.status]} {item.status}",
            "Control": item.control.title,
            "Result": item.summary,
            "Exceptions": sum(1 for deviation in item.deviations if deviation.is_measured),
            "Supports the audit of": "; ".join(item.control.supports),
        }
        for item in report.controls
    ]


def exception_rows(report: ComplianceReport, where: tzinfo, most: int = 200) -> list[dict[str, Any]]:
    """Return the exceptions of all controls that were measured."""
    found = [
        {
            "Control": item.control.title,
            "Source": deviation.source or "all",
            "Began": deviation.at.astimezone(where) if deviation.at else None,
            "Object": deviation.object,
            "What": deviation.sentence,
        }
        for item in report.controls
        for deviation in item.deviations
        if deviation.is_measured
    ]
    return found[:most]


def exceptions_sentence(report: ComplianceReport) -> str:
    """Say how many exceptions there are."""
    number = sum(deviation.is_measured for item in report.controls for deviation in item.deviations)
    return count(number, "exception") if number else "No exception"


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
