"""Audit trail: who did what, and was it altered?"""

import json
from collections.abc import Mapping, Sequence
from datetime import tzinfo
from functools import partial
from typing import Any

import streamlit as st

from monitor_app import data, downloads
from monitor_app.components import finding, tables
from monitor_app.components.text import count, esc, instant, zone
from monitor_app.queries.audit import PAGE_SIZE, AuditFilter, CheckedChain
from shared.catalog.records import AuditRow
from shared.domain.action_words import action_words
from shared.reports.csv_files import printed
from shared.units import format_instant


def main() -> None:
    """Show the page."""
    where = zone(st.context.timezone)
    chain = data.audit_chain()
    finding.page_title("Audit trail", sentence(chain))
    show_chain(chain, where)
    wanted = ask()
    number = data.audit_count(wanted)
    if not number:
        finding.nothing_here(
            "Nothing matches" if wanted != AuditFilter() else "Nothing happened yet",
            "Clear a filter to see more." if wanted != AuditFilter() else "Every backup, test and change stands here.",
        )
        return
    page, place = tables.pager(number, PAGE_SIZE)
    columns = {
        "At": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss z", timezone=str(where)),
        "Why": st.column_config.TextColumn(width="medium"),
    }
    found = data.audit_entries(wanted, page)
    with place:
        tables.rows([entry(row, where) for row in found], columns=columns, alt="Entries, newest first")
        downloads.button("Download CSV", partial(entries_csv, found), "goldcopy-audit-trail.csv", "text/csv")


def sentence(chain: CheckedChain) -> str:
    """Say what the walk along the chain found."""
    if chain.check.is_intact:
        return f"{count(chain.check.entry_count, 'recorded action')}, chain intact"
    return f"The trail was altered: {chain.check.problem}"


def show_chain(chain: CheckedChain, where: tzinfo) -> None:
    """Show when the chain was walked, and the hash to note elsewhere."""
    if not chain.check.is_intact:
        text = "Nothing after the entry before it can be trusted. Keep a copy of the catalog and compare with a backup."
        st.error(esc(text), title=esc(chain.check.problem), icon=":material/link_off:")
    note = f"All entries were checked against the one before at {instant(chain.checked_at, where)}, newer ones since."
    st.caption(esc(note))
    if chain.check.head_hash:
        st.caption(
            esc(
                f"Hash of entry {chain.check.entry_count}. Whoever notes it elsewhere can prove later that nothing up "
                "to it was cut off or rewritten:"
            )
        )
        st.code(chain.check.head_hash, language=None, wrap_lines=True)


def ask() -> AuditFilter:
    """Read the filters; they stand in the URL."""
    with st.container(horizontal=True):
        actor = st.text_input("Who (begins with)", key="actor", bind="query-params")
        action = st.text_input("Code (begins with, such as hold)", key="action", bind="query-params")
        object_name = st.text_input("To what (begins with)", key="object", bind="query-params")
        until = st.date_input("Until (UTC)", value=None, key="until", bind="query-params")
    return AuditFilter(actor=actor.strip(), action=action.strip(), object_name=object_name.strip(), until=until)


def entry(row: AuditRow, where: tzinfo) -> dict[str, Any]:
    """Return an entry as a row of the table."""
    return {
        "No.": row.seq,
        "At": row.at.astimezone(where),
        "Who": row.actor,
        "Did": action_words(row.action),
        "To": row.object,
        "Why": row.reason,
        "Details": details_text(row.details),
        "Code": row.action,
        "Hash": row.hash,
    }


def details_text(details: Mapping[str, Any]) -> str:
    """Print details as `key: value`, one after the other."""
    return "; ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in details.items())


def _value(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(_value(item) for item in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "none"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


def entries_csv(found: Sequence[AuditRow]) -> bytes:
    """Return the entries of a page as a file: codes as they are, details as JSON, instants in UTC."""
    names = ("seq", "at", "actor", "action", "object", "reason", "details", "previous_hash", "hash")
    rows = (
        (
            row.seq,
            format_instant(row.at),
            row.actor,
            row.action,
            row.object,
            row.reason,
            json.dumps(row.details, ensure_ascii=False, sort_keys=True),
            row.previous_hash,
            row.hash,
        )
        for row in found
    )
    return printed([names, *rows])


main()
