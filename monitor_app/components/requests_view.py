"""Requests for restores in words and rows."""

import shlex
from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from typing import Any

import streamlit as st

from monitor_app.components.text import esc, instant, plain, span
from shared.catalog.restore_requests import RequestState, RestoreRequestRecord

_WORDS = {
    RequestState.REQUESTED: "○ waits",
    RequestState.APPROVED: "○ waits",
    RequestState.REFUSED: "✕ withdrawn",
    RequestState.RUNNING: "… running",
    RequestState.DONE: "✓ done",
}


def requests_sentence(found: Sequence[RestoreRequestRecord], now: datetime) -> str:
    """Say what waits, and for how long."""
    waiting = open_requests(found)
    if not waiting:
        return "Nobody waits for a restore"
    longest = max(now - item.requested_at for item in waiting)
    waits = "waits" if len(waiting) == 1 else "wait"
    return f"{len(waiting)} {waits} to be carried out, the oldest for {span(longest.total_seconds())}"


def open_requests(found: Sequence[RestoreRequestRecord]) -> list[RestoreRequestRecord]:
    """Return those that nobody has carried out or withdrawn."""
    return [item for item in found if item.state is RequestState.REQUESTED]


def command_of(item: RestoreRequestRecord) -> str:
    """Return the command that carries a request out; a destination in words is left to whoever runs it."""
    is_reference = item.destination.startswith(("env:", "file:"))
    to = shlex.quote(plain(item.destination)) if is_reference else "DESTINATION"
    tables = "".join(f" --table {shlex.quote(plain(name))}" for name in item.tables)
    return f"goldcopy restore {shlex.quote(plain(item.backup_id))} --to {to}{tables}"


def show_open(item: RestoreRequestRecord, where: tzinfo, *, buttons: Callable[[RestoreRequestRecord], None]) -> None:
    """Show one open request: who wants what, the command that carries it out, and what can be said of it then."""
    with st.container(border=True, gap="xsmall", key=f"request-{item.id}"):
        st.markdown(esc(f"{item.requested_by} wants {item.source} restored to {item.destination}: {item.reason}"))
        st.caption(esc(f"Asked {instant(item.requested_at, where)}. An operator runs this, where the destination is:"))
        st.code(command_of(item), language=None, wrap_lines=True)
        buttons(item)


def request_rows(found: Sequence[RestoreRequestRecord], where: tzinfo) -> list[dict[str, Any]]:
    """Return requests as rows of a table."""
    return [
        {
            "Asked": item.requested_at.astimezone(where),
            "State": _WORDS[item.state],
            "Asked by": item.requested_by,
            "Source": item.source,
            "Backup": item.backup_id,
            "What": ", ".join(item.tables) or "everything",
            "To": item.destination,
            "Why": item.reason,
            "Closed by": item.decided_by,
            "What became of it": item.decision_reason or item.outcome,
        }
        for item in found
    ]


def request_columns(where: tzinfo) -> dict[str, Any]:
    """Describe the columns of `request_rows`."""
    return {
        "Asked": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "Why": st.column_config.TextColumn(width="medium"),
    }
