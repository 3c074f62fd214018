"""Restore requests: who wants what restored, and what became of it?"""

import streamlit as st

from monitor_app import data, request_dialog, site
from monitor_app.components import finding, requests_view, tables
from monitor_app.components.text import zone
from shared.clock import utc_now

OPEN_SHOWN = 20


def main() -> None:
    """Show the page."""
    found = data.restore_requests()
    finding.page_title("Restore requests", requests_view.requests_sentence(found, utc_now()))
    note = (
        "A request restores nothing: it is recorded and shown to all, and an operator carries it out with the command "
        "beside it. In an emergency goldcopy restore needs no request."
    )
    st.caption(note)
    request_dialog.ask_button(tuple(sorted(site.current().config.sources)))
    if not found:
        finding.nothing_here(
            "No request yet", "Ask for a restore, and say why. From a shell:", "goldcopy restore --help"
        )
        return
    where = zone(st.context.timezone)
    for item in requests_view.open_requests(found)[:OPEN_SHOWN]:
        requests_view.show_open(item, where, buttons=request_dialog.close_buttons)
    tables.rows(
        requests_view.request_rows(found, where),
        alt="Requests for restores, newest first",
        columns=requests_view.request_columns(where),
        key="requests",
    )


main()
