"""Requests for restores in words and rows."""

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components.text import span
from shared.catalog.restore_requests import RequestState, RestoreRequestRecord

_WORDS = {
    RequestState.REQUESTED: "○ waits for approval",
    RequestState.APPROVED: "✓ approved",
    RequestState.REFUSED: "✕ refused",
    RequestState.RUNNING: "… running",
    RequestState.DONE: "✓ done",
}


def requests_sentence(found: Sequence[RestoreRequestRecord], now: datetime) -> str:
    """Say what waits, and for how long."""
    waiting = [item for item in found if item.state is RequestState.REQUESTED]
    if not waiting:
        return "Nobody waits for a restore"
    longest = max(now - item.requested_at for item in waiting)
    waits = "waits" if len(waiting) == 1 else "wait"
    return f"{len(waiting)} {waits} for approval, the oldest for {span(longest.total_seconds())}"


def request_rows(found: Sequence[RestoreRequestRecord], where: tzinfo) -> list[dict[str, Any]]:
    """Return requests as rows of a table."""
    return [
        {
            "Asked": item.requested_at.astimezone(where),
            "State": _WORDS[item.state],
            "Source": item.source,
            "Backup": item.backup_id,
            "What": ", ".join(item.tables) or "everything",
            "To": item.destination,
            "Why": item.reason,
            "Asked by": item.requested_by,
            "Decided by": item.decided_by,
            "Decision": item.decision_reason or item.outcome,
        }
        for item in found
    ]


def request_columns(where: tzinfo) -> dict[str, Any]:
    """Describe the columns of `request_rows`."""
    return {
        "Asked": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "Why": st.column_config.TextColumn(width="medium"),
    }
