"""Figures: data in, `go.Figure` out, no Streamlit but for the one function that shows them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import plotly.graph_objects as go
import streamlit as st

from monitor_app.components.theme import Palette

# What a browser draws without delay; see docs/app.md.
MOST_POINTS = 2000
_LEAST_SPAN = timedelta(days=1)
FONT = '"Source Sans", "Source Sans Pro", sans-serif'


def show(figure: go.Figure, *, alt: str, key: str) -> None:
    """Put a figure on the page, with words for those who do not see it."""
    st.plotly_chart(figure, key=key, alt=alt, theme=None, config={"displayModeBar": False})


def base(colours: Palette, *, height: int = 260, unit: str = "") -> go.Figure:
    """Return an empty figure in our style: no legend, no tools, quiet lines.

    Args:
        colours: Of the viewer's theme.
        height: Pixels.
        unit: Printed behind the numbers of the y axis, with a space in front where it needs one.
    """
    figure = go.Figure()
    axis = {"color": colours.muted, "gridcolor": colours.grid, "zeroline": False, "fixedrange": True}
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 28, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": FONT, "size": 13, "color": colours.text},
        showlegend=False,
        hovermode="x unified",
        dragmode=False,
        hoverlabel={"bgcolor": colours.band, "font": {"color": colours.text}},
        xaxis={**axis, "showgrid": False, "automargin": True},
        yaxis={**axis, "ticksuffix": unit, "automargin": True, "rangemode": "tozero"},
    )
    return figure


def span_a_day(figure: go.Figure, x: Sequence[datetime]) -> None:
    """Give the time axis at least a day: of less its ticks would be fractions of a second."""
    if x and max(x) - min(x) < _LEAST_SPAN:
        # A little room on the right, so that a single mark is not cut.
        end = max(x) + _LEAST_SPAN / 24
        figure.update_xaxes(range=[end - _LEAST_SPAN * 25 / 24, end])


def line(figure: go.Figure, x: Sequence[datetime], y: Sequence[float | None], *, colour: str, name: str) -> None:
    """Add one line; of longer data only the newest points are drawn.

    Args:
        figure: To add to.
        x: Instants, oldest first.
        y: Values; None leaves a gap.
        colour: Of the line.
        name: Shown when pointed at.
    """
    figure.add_scatter(
        x=list(x)[-MOST_POINTS:], y=list(y)[-MOST_POINTS:], mode="lines", name=name, line={"color": colour, "width": 2}
    )


def limit_line(figure: go.Figure, value: float, label: str, colours: Palette) -> None:
    """Add an agreed limit as a dashed line with its name on it."""
    figure.add_hline(
        y=value,
        line={"color": colours.bad, "width": 1.5, "dash": "dash"},
        annotation={"text": label, "font": {"color": colours.bad, "size": 12}, "xshift": 6},
        annotation_position="top left",
    )
