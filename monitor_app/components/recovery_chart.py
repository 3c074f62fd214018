"""Predicted times to recover against their objectives, as how many times the objective each one is."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10

import plotly.graph_objects as go

from monitor_app.components.charts import base
from monitor_app.components.text import plain
from monitor_app.components.theme import Palette

_ROW_PIXELS = 40
_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_NAME_LENGTH = 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Lollipop:
    """One source.

    Attributes:
        ratio: Predicted time over objective, above 0.
        low, high: How far it may likely be off, over objective too; None where that is not known.
        label: Below the name, such as `1 h 35 min of 4 h`.
        detail: For whoever points at it.
    """

    name: str
    ratio: float
    label: str
    detail: str
    low: float | None = None
    high: float | None = None


def recovery_figure(rows: Sequence[Lollipop], colours: Palette) -> go.Figure:
    """Draw the rows from top to bottom on a log axis; right of the dashed line the objective is missed."""
    figure = base(colours, height=70 + _ROW_PIXELS * len(rows))
    reached = [value for row in rows for value in (row.low, row.ratio, row.high) if value]
    least, most = min([0.5, *reached]), max([2.0, *reached])
    _add_intervals(figure, rows, colours)
    missed = [row.ratio > 1 for row in rows]
    figure.add_scatter(
        x=[row.ratio for row in rows],
        y=list(range(len(rows))),
        mode="markers",
        name="predicted",
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


def _add_intervals(figure: go.Figure, rows: Sequence[Lollipop], colours: Palette) -> None:
    """Draw where the time will likely be; a line from the edge would have no meaning on a logarithmic axis."""
    line_x: list[float | None] = []
    line_y: list[int | None] = []
    for number, row in enumerate(rows):
        if row.low and row.high:
            line_x += [row.low, row.high, None]
            line_y += [number, number, None]
    figure.add_scatter(
        x=line_x, y=line_y, mode="lines", line={"color": colours.muted, "width": 3}, hoverinfo="skip", name="likely"
    )


def _lay_out_axes(figure: go.Figure, rows: Sequence[Lollipop], least: float, most: float) -> None:
    ticks = [tick for tick in _TICKS if least <= tick <= most * 1.01]
    span = log10(most) - log10(least)
    figure.update_xaxes(
        type="log",
        range=[log10(least) - span * 0.02, log10(most) + span * 0.04],
        tickvals=ticks,
        ticktext=[f"{tick:g}x" for tick in ticks],
    )
    figure.update_yaxes(
        tickvals=list(range(len(rows))),
        ticktext=[f"{plain(row.name, longest=_NAME_LENGTH)}<br>{plain(row.label)}" for row in rows],
        range=[len(rows) - 0.4, -0.8],
        showgrid=False,
        rangemode="normal",
    )
