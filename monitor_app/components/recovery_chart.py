"""Predicted times to recover against their objectives, as how many times the objective each one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import plotly.graph_objects as go

from monitor_app.components.charts import base
from monitor_app.components.text import plain
from monitor_app.components.theme import Palette

_ROW_PIXELS = 27
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_NAME_LENGTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Lollipop:
    """One source.

    Attributes:
        ratio: Predicted time over objective, above 0.
        label: Beside the mark, such as `95 of 60 min`.
        detail: For whoever points at it.
    """

    name: str
    ratio: float
    label: str
    detail: str


def recovery_figure(rows: Sequence[Lollipop], colours: Palette) -> go.Figure:
    """Draw the rows from top to bottom on a log axis; right of the dashed line the objective is missed."""
    figure = base(colours, height=70 + _ROW_PIXELS * len(rows))
    least = min(0.5, *(row.ratio for row in rows)) if rows else 0.5
    most = max(2.0, *(row.ratio for row in rows)) if rows else 2.0
    _add_stems(figure, rows, least, colours)
    missed = [row.ratio > 1 for row in rows]
    figure.add_scatter(
        x=[row.ratio for row in rows],
        y=list(range(len(rows))),
        mode="markers+text",
        name="predicted",
        text=[plain(row.label) for row in rows],
        textposition="middle right",
        textfont={"color": colours.text, "size": 12},
        cliponaxis=False,
        marker={
            "size": 11,
            "symbol": ["x" if bad else "circle" for bad in missed],
            "color": [colours.bad if bad else colours.good for bad in missed],
        },
        customdata=[plain(row.detail) for row in rows],
        hovertemplate="%{customdata}<extra></extra>",
    )
    figure.add_vline(x=1, line={"color": colours.bad, "width": 1.5, "dash": "dash"})
    # On a logarithmic axis a note stands at the logarithm: that of 1.
    note = {"text": "objective", "font": {"color": colours.bad, "size": 12}, "showarrow": False}
    figure.add_annotation(x=0, y=1, yref="paper", yshift=12, **note)
    _lay_out_axes(figure, rows, least, most)
    figure.update_layout(hovermode="closest")
    return figure


def _add_stems(figure: go.Figure, rows: Sequence[Lollipop], least: float, colours: Palette) -> None:
    stem_x: list[float | None] = []
    stem_y: list[int | None] = []
    for number, row in enumerate(rows):
        stem_x += [least, row.ratio, None]
        stem_y += [number, number, None]
    figure.add_scatter(
        x=stem_x, y=stem_y, mode="lines", line={"color": colours.grid, "width": 3}, hoverinfo="skip", name="stems"
    )


def _lay_out_axes(figure: go.Figure, rows: Sequence[Lollipop], least: float, most: float) -> None:
    ticks = [tick for tick in _TICKS if least <= tick <= most * 1.01]
    # Room for the labels behind the marks: the axis is logarithmic.
    span = log10(most) - log10(least)
    figure.update_xaxes(
        type="log",
        range=[log10(least) - span * 0.02, log10(most) + span * 0.3],
        tickvals=ticks,
        ticktext=[f"{tick:g}x" for tick in ticks],
    )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[plain(row.name, longest=_NAME_LENGTH) for row in rows],
        range=[len(rows) - 0.4, -0.8],
        showgrid=False,
        rangemode="normal",
    )
