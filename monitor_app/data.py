"""What pages read, cached for half a minute; the only file with `st.cache_data`.

Every function takes small hashable arguments and returns frozen rows. After a change call `forget()`.
"""

from typing import Any

import streamlit as st

from monitor_app import site
from monitor_app.queries import backups as backup_queries
from monitor_app.queries.backups import BackupFilter, BackupPage

_LIVE: dict[str, Any] = {"ttl": 30, "show_spinner": False}


def forget() -> None:
    """Drop everything that is cached, so that a change shows at once."""
    st.cache_data.clear()


@st.cache_data(max_entries=200, **_LIVE)
def backups(wanted: BackupFilter, page: int) -> BackupPage:
    """One page of the history."""
    return backup_queries.load_page(site.current().database(), wanted, page)


@st.cache_data(max_entries=1, **_LIVE)
def source_names() -> tuple[str, ...]:
    """All sources by name."""
    return backup_queries.load_source_names(site.current().database())
