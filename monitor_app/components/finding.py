"""Titles that are findings, verdicts, badges, reasons, empty states: the words with which every page begins."""

from collections.abc import Iterable

import streamlit as st

from monitor_app.components.text import advice, esc, free
from monitor_app.components.theme import HEALTH, Mark
from shared.domain.health_reason import Colour, Reason
from shared.errors import GoldcopyError

SOURCE_PAGE = "app_pages/source.py"


def page_title(page: str, finding: str) -> None:
    """Begin a page: its name, small, and what it found as the title.

    Args:
        page: Name as in the menu.
        finding: One sentence in plain text, such as `12,408 recorded actions, chain intact`.
    """
    st.caption(esc(page))
    st.title(esc(finding), anchor=False)


def section(finding: str, note: str = "") -> None:
    """Begin a part of a page with what it found, and how to read it."""
    st.header(esc(finding), anchor=False)
    if note:
        st.caption(esc(note))


def verdict(colour: Colour, title: str, body: str = "") -> None:
    """Show the answer of a page, large and in the colour of its state; both texts are plain."""
    mark = HEALTH[colour.value]
    show = {Colour.RED: st.error, Colour.UNKNOWN: st.warning, Colour.YELLOW: st.warning, Colour.GREEN: st.success}[
        colour
    ]
    show(esc(body) or " ", title=esc(title), icon=mark.icon)


def badge(mark: Mark, word: str = "") -> None:
    """Show a state as a word in its colour."""
    st.badge(esc(word or mark.word), icon=mark.icon, color=mark.badge)


def source_link(name: str) -> None:
    """Link to the page of one source."""
    label = f"**{esc(name)}**"
    st.page_link(SOURCE_PAGE, label=label, icon=":material/database:", query_params={"source": name})


def reasons(found: Iterable[Reason]) -> None:
    """Show reasons, worst first as they come: what, and what to do about it."""
    for reason in found:
        mark = HEALTH[reason.colour.value]
        action = f"  \n{esc('Do:')} {advice(reason.action)}" if reason.action else ""
        sentence = f"{reason.sentence[:1].upper()}{reason.sentence[1:]}"
        st.markdown(f":{mark.badge}[**{mark.glyph}**] {esc(sentence)}{action}")


def nothing_here(title: str, next_step: str, command: str = "", *, is_bad: bool = False) -> None:
    """Show an empty state: what is missing, and what to do; bad where it means that nothing is protected."""
    shown = f"  \n{free(command)}" if command else ""
    show, icon = (st.warning, ":material/warning:") if is_bad else (st.info, ":material/inbox:")
    show(f"{esc(next_step)}{shown}", title=esc(title), icon=icon)


def problem(error: GoldcopyError) -> None:
    """Show an error of ours: what, and what to do next."""
    st.error(
        advice(error.hint) or " ", title=esc(f"{error.message[:1].upper()}{error.message[1:]}"), icon=":material/error:"
    )
