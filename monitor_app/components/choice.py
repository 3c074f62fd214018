"""Choices that stand in the address: a name there that is none of them is said aloud, never taken for another one."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from monitor_app.components import finding
from monitor_app.components.text import plain
from shared.errors import UsageProblem


@dataclass(frozen=True, slots=True)
class Choice:
    """What is chosen: its name, empty for none, and whether there is such a thing."""

    name: str
    exists: bool


def choose(
    label: str,
    options: Sequence[str],
    *,
    what: str,
    key: str,
    index: int | None = 0,
    placeholder: str | None = None,
    problems: DeltaGenerator | None = None,
) -> Choice:
    """Let one of some names be chosen; one in the address that does not exist stays chosen, and an error box says so.

    Args:
        label: Above the box.
        options: What there is.
        what: What a name stands for, such as `source`.
        key: Of the widget, and its name in the address.
        index: Which is chosen at first; None for none.
        placeholder: Shown while none is chosen.
        problems: Where the error box goes; below the choice unless given.
    """
    linked = str(st.query_params.get(key, ""))
    is_wrong = bool(linked) and linked not in options
    offered = [*options, linked] if is_wrong else list(options)
    chosen = st.selectbox(label, offered, index=index, key=key, bind="query-params", placeholder=placeholder)
    # What no box can hold is not taken for the first choice either.
    first = None if index is None else options[index]
    name = linked if is_wrong and chosen == first else str(chosen or "")
    exists = not name or name in options
    if not exists:
        error = UsageProblem(f"there is no {what} {plain(name, longest=100)}", hint=f"Choose another {what}.")
        with problems if problems is not None else st.container():
            finding.problem(error)
    return Choice(name, exists)
