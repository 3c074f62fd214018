"""How backups are put into words and rows; plain values in, plain values out."""

from datetime import tzinfo
from typing import Any

import streamlit as st

from monitor_app.components.text import count, duration, instant, local, size
from shared.catalog.app_records import ManualBackupRecord
from shared.catalog.records import BackupRow, DayRow, HoldRow, RestoreTestRow
from shared.domain.backup import BackupStatus
from shared.domain.proof import Outcome


def result_words(row: BackupRow) -> str:
    """Say what a backup came to, with its glyph: the worst that is known of it."""
    if row.status is BackupStatus.COMPLETE and row.damaged_at is not None:
        return "✕ damaged"
    if row.status is BackupStatus.COMPLETE:
        if row.proven_at is not None:
            return "✓ proven"
        return "✕ restore failed" if row.test_outcome is Outcome.FAILED else "○ not proven yet"
    glyphs = {BackupStatus.FAILED: "✕", BackupStatus.RUNNING: "…"}
    return f"{glyphs.get(row.status, '–')} {row.status.value}"


def history_finding(matching: str, days: tuple[DayRow, ...], span_days: int, *, is_filtered: bool) -> str:
    """Say what the history found, in one sentence.

    Args:
        matching: How many attempts are listed, in words, such as `1,204`; expired ones are not.
        days: Sums of the last `span_days` days over all sources.
        span_days: How many days.
        is_filtered: Whether a filter is set.
    """
    if is_filtered:
        return f"{matching} match the filter"
    failed = sum(day.failed for day in days)
    attempts = failed + sum(day.ok for day in days)
    listed = f"{matching} listed, expired ones left out"
    if not attempts:
        return f"No backup was attempted in {span_days} days; {listed}"
    return f"{f'{failed:,}' if failed else 'None'} of {count(attempts, 'attempt')} failed in {span_days} days; {listed}"


def history_rows(found: tuple[BackupRow, ...], where: tzinfo) -> list[dict[str, Any]]:
    """Return backups as rows of a table."""
    return [
        {
            "Began": row.started_at.astimezone(where),
            "Source": row.source,
            "Result": result_words(row) + (", held" if row.held else ""),
            "Note": row.error_message or row.anomaly or row.reason,
            "Kind": row.kind.value,
            "Took": duration(row.duration_seconds),
            "Dump MB": row.dumped_bytes / 1e6 if row.dumped_bytes else None,
            "New MB": row.new_bytes / 1e6 if row.dumped_bytes else None,
            "Rows": row.row_count if row.dumped_bytes else None,
        }
        for row in found
    ]


def history_columns(where: tzinfo) -> dict[str, Any]:
    """Describe the columns of `history_rows`."""
    megabytes = st.column_config.NumberColumn(format="%.1f", width="small")
    return {
        "Began": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "Result": st.column_config.TextColumn(width=140),
        "Dump MB": megabytes,
        "New MB": megabytes,
        "Rows": st.column_config.NumberColumn(format="localized", width="small"),
        "Note": st.column_config.TextColumn(width="medium"),
    }


def manual_rows(found: tuple[ManualBackupRecord, ...], where: tzinfo) -> list[dict[str, Any]]:
    """Return backups that were made elsewhere as rows of a table."""
    return [
        {
            "Data of": local(row.taken_at, where),
            "Source": row.source,
            "Place": row.place,
            "GB": row.stored_bytes / 1e9,
            "Reason": row.reason,
            "Logged by": row.logged_by,
        }
        for row in found
    ]


def manual_columns(where: tzinfo) -> dict[str, Any]:
    """Describe the columns of `manual_rows`."""
    return {
        "Data of": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm z", timezone=str(where)),
        "GB": st.column_config.NumberColumn(format="%.3f"),
    }


def backup_facts(row: BackupRow, where: tzinfo) -> dict[str, str]:
    """Return what one backup is, name by name."""
    shared = row.stored_bytes - row.new_bytes
    return {
        "Result": result_words(row),
        "Recovery point": instant(row.recovery_point_at, where, nothing="none: it is not complete"),
        "Proven": instant(row.proven_at, where, nothing="not proven"),
        "Kind and reason": f"{row.kind.value}{': ' + row.reason if row.reason else ''}",
        "Took": duration(row.duration_seconds),
        "Holds": f"{count(row.table_count, 'table')}, {count(row.row_count, 'row')}, "
        f"{count(row.large_object_count, 'large object')}, {size(row.dumped_bytes)} of text",
        "Stored": f"{size(row.stored_bytes)}, of which {size(shared)} are shared with other backups",
        "Made with": f"PostgreSQL {row.server_version}, pg_dump {row.client_version}, Goldcopy {row.tool_version}",
        "Manifest SHA-256": row.manifest_sha256 or "none",
    }


def restore_test_facts(test: RestoreTestRow, where: tzinfo) -> dict[str, str]:
    """Return a restore test as evidence: what was done, when, by what, and what came out."""
    outcome = test.outcome.value.replace("_", " ") if test.outcome else "still running"
    phases = ", ".join(f"{name} {duration(seconds)}" for name, seconds in test.phases.items())
    return {
        "Outcome": outcome,
        "Test": test.id,
        "Began": instant(test.started_at, where),
        "Ended": instant(test.finished_at, where, nothing="not yet"),
        "Usable again after": duration(test.recovery_time_seconds),
        "By phase": phases or "–",
        "Proven": f"{count(test.tables_proven, 'table')}, {count(test.rows_proven, 'row')} equal to the source's",
        "Versions": f"source {test.source_version}, scratch {test.scratch_version}, Goldcopy {test.tool_version}",
    }


def hold_words(hold: HoldRow, where: tzinfo) -> str:
    """Say a hold in one sentence."""
    placed = f"Held by {hold.owner} since {instant(hold.placed_at, where)}: {hold.reason}"
    if hold.released_at is None:
        return placed
    why = f" ({hold.release_reason})" if hold.release_reason else ""
    return f"{placed}. Released by {hold.released_by} on {instant(hold.released_at, where)}{why}"
