"""Tables: key and value side by side, and rows from the server with their columns described."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from monitor_app.components.text import esc, plain

# As tall as Streamlit draws them at our font size.
ROW_HEIGHT_PIXELS = 33
_HEADER_PIXELS = 36
# What a spreadsheet computes; a number with its sign and unit is none.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?!\d[\d.,]*( ?[%a-zA-Z]{1,5})?$)")


def facts(values: Mapping[str, object], *, alt: str) -> None:
    """Show names and values under each other.

    Args:
        values: By name, in order; text from outside is made harmless here.
        alt: What the table is, for those who hear it.
    """
    rows = {esc(name): esc(value) for name, value in values.items()}
    st.table(
        {"": list(rows), " ": list(rows.values())}, border="horizontal", hide_header=True, hide_index=True, alt=alt
    )


def rows(
    found: Sequence[Mapping[str, Any]],
    *,
    alt: str,
    columns: Mapping[str, Any] | None = None,
    key: str | None = None,
    tallest: int = 15,
) -> None:
    """Show rows, each a mapping of column to value; all of them are sent, so page on the server.

    Args:
        found: At most a few hundred rows; text is cleaned here.
        alt: What the table is, for those who hear it.
        columns: `st.column_config` by column.
        key: The element's key.
        tallest: Rows seen at once before the table scrolls.
    """
    cleaned = [
        {name: _cell(value) if isinstance(value, str) else value for name, value in row.items()} for row in found
    ]
    st.dataframe(
        cleaned,
        hide_index=True,
        column_config=dict(columns or {}),
        height=_HEADER_PIXELS + ROW_HEIGHT_PIXELS * min(max(len(cleaned), 1), tallest),
        placeholder="–",
        alt=alt,
        key=key,
    )


def _cell(value: str) -> str:
    """Make text harmless, for spreadsheets too: whoever looks may download the table as CSV."""
    text = plain(value)
    return f"'{text}" if _FORMULA.match(text) else text


def pager(count: int, page_size: int, *, key: str = "page") -> tuple[int, DeltaGenerator]:
    """Let a page be chosen, below the place for its rows; the page stands in the URL.

    Args:
        count: Rows in all.
        page_size: Rows on a page.
        key: Of the widget, and its name in the URL.

    Returns:
        The page, the first is 1; and the place to put its rows.
    """
    above = st.container()
    pages = max(1, -(-count // page_size))
    return (st.pagination(pages, key=key, bind="query-params") if pages > 1 else 1), above
