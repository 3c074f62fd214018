"""Colours, glyphs and words of every state. A state is never shown by its colour alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import streamlit as st

Badge = Literal["red", "orange", "blue", "gray"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How one state looks.

    Attributes:
        word: What it is called.
        glyph: One sign that stands for it in tables and cells.
        badge: Streamlit's name of its colour; config.toml says which colour that is.
        icon: Its Material symbol.
    """

    word: str
    glyph: str
    badge: Badge
    icon: str


# By the values of `shared.domain.health_reason.Colour`.
HEALTH: Mapping[str, Mark] = {
    "red": Mark(word="Not safe", glyph="✕", badge="red", icon=":material/gpp_bad:"),
    "unknown": Mark(word="Unknown", glyph="?", badge="gray", icon=":material/help:"),
    "yellow": Mark(word="Look soon", glyph="!", badge="orange", icon=":material/warning:"),
    "green": Mark(word="Safe", glyph="✓", badge="blue", icon=":material/verified_user:"),
}
# By the values of `shared.domain.proof.Outcome`.
OUTCOME: Mapping[str, Mark] = {
    "passed": Mark(word="passed", glyph="✓", badge="blue", icon=":material/check_circle:"),
    "failed": Mark(word="failed", glyph="✕", badge="red", icon=":material/cancel:"),
    "not_measured": Mark(word="not measured", glyph="?", badge="gray", icon=":material/help:"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Palette:
    """Colours of charts in one theme; told apart by every kind of sight, trouble darkest (or brightest on dark).

    Attributes:
        text: Labels.
        muted: Axes, and lines that matter less.
        grid: Lines behind the data.
        good, warn, bad: Marks of the three states; `good` is blue on purpose.
        band: What is expected, as a filled area.
    """

    text: str
    muted: str
    grid: str
    good: str
    warn: str
    bad: str
    band: str


LIGHT = Palette(
    text="#0B1422", muted="#5B6675", grid="#E3E7EC", good="#3B78B0", warn="#D97706", bad="#7F1D1D", band="#DCE8F4"
)
DARK = Palette(
    text="#E8EDF4", muted="#9AA7B8", grid="#2A364A", good="#4F8FC7", warn="#FFC857", bad="#E5484D", band="#1D3450"
)


def palette() -> Palette:
    """Return the colours for the theme that the viewer sees now."""
    return DARK if st.context.theme.type == "dark" else LIGHT
