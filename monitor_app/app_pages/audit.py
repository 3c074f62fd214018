"""Audit trail: who did what, and was it altered?"""

import json
from datetime import tzinfo
from typing import Any

import streamlit as st

from monitor_app import data
from monitor_app.components import finding, tables
from monitor_app.components.text import count, esc, free, instant, zone
from monitor_app.queries.audit import PAGE_SIZE, AuditFilter, CheckedChain
from shared.catalog.records import AuditRow


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
    note = f"Every entry was checked against the one before it, {instant(chain.checked_at, where)}."
    st.caption(esc(note))
    if chain.check.head_hash:
        help_text = "Whoever notes this hash elsewhere can prove later that nothing was cut off or rewritten."
        st.markdown(f"{esc('Newest hash:')} {free(chain.check.head_hash)}", help=help_text)


def ask() -> AuditFilter:
    """Read the filters; they stand in the URL."""
    with st.container(horizontal=True):
        actor = st.text_input("Who (begins with)", key="actor", bind="query-params")
        action = st.text_input("Did what (begins with)", key="action", bind="query-params")
        object_name = st.text_input("To what (begins with)", key="object", bind="query-params")
        until = st.date_input("Until (UTC)", value=None, key="until", bind="query-params")
    return AuditFilter(actor=actor.strip(), action=action.strip(), object_name=object_name.strip(), until=until)


def entry(row: AuditRow, where: tzinfo) -> dict[str, Any]:
    """Return an entry as a row of the table."""
    return {
        "No.": row.seq,
        "At": row.at.astimezone(where),
        "Who": row.actor,
        "Did": row.action,
        "To": row.object,
        "Why": row.reason,
        "Details": json.dumps(row.details, ensure_ascii=False) if row.details else "",
        "Hash": row.hash[:12],
    }


main()
