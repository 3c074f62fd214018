"""The sawtooth of exposure: what would have been lost at every moment, beside what was agreed."""

from collections.abc import Sequence
from datetime import datetime

import plotly.graph_objects as go

from monitor_app.components.charts import base, limit_line, span_a_day
from monitor_app.components.series import Exposure, Point
from monitor_app.components.theme import Palette

_PEAKS_SHOWN = 200


def exposure_figure(series: Exposure, colours: Palette, *, height: int = 250) -> go.Figure:
    """Draw exposure over time; whatever is above the limit is marked."""
    figure = base(colours, height=height, unit=f" {series.unit}")
    area = _area(series.points)
    figure.add_scatter(
        x=[at for at, _ in area],
        y=[value for _, value in area],
        mode="lines",
        name="area",
        line={"width": 0},
        fill="tozeroy",
        fillcolor=colours.band,
        hoverinfo="skip",
    )
    figure.add_scatter(
        x=[at for at, _ in series.points],
        y=[value for _, value in series.points],
        mode="lines",
        name="at risk",
        line={"color": colours.good, "width": 1.5},
        hovertemplate=f"%{{y:.1f}} {series.unit} at risk<extra></extra>",
    )
    worst = sorted(series.peaks, key=lambda peak: peak[1])[-_PEAKS_SHOWN:]
    if worst:
        figure.add_scatter(
            x=[at for at, _ in worst],
            y=[value for _, value in worst],
            mode="markers",
            name="missed",
            marker={"symbol": "x", "size": 9, "color": colours.bad},
            hovertemplate=f"objective missed: %{{y:.1f}} {series.unit}<extra></extra>",
        )
    limit_line(figure, series.limit, series.limit_label, colours)
    _nothing_there(figure, series, colours)
    highest = max((value for _, value in series.points if value is not None), default=0.0)
    figure.update_yaxes(range=[0, max(highest, series.limit) * 1.18])
    span_a_day(figure, [at for at, _ in series.points])
    return figure


def _area(points: Sequence[Point]) -> list[tuple[datetime, float]]:
    """Return the outline of the area, which lies flat where there was nothing to restore: it is never drawn across."""
    outline: list[tuple[datetime, float]] = []
    was_known = True
    for at, value in points:
        if value is not None and not was_known:
            outline.append((at, 0))
        outline.append((at, 0 if value is None else value))
        was_known = value is not None
    return outline


def _nothing_there(figure: go.Figure, series: Exposure, colours: Palette) -> None:
    """Mark the times in which nothing could be restored, at the foot of the chart."""
    x = []
    for (begin, before), (end, after) in zip(series.points, series.points[1:], strict=False):
        if before is None and after is None:
            x += [begin, end, None]
    if x:
        figure.add_scatter(
            x=x,
            y=[None if at is None else 0 for at in x],
            mode="lines",
            name="nothing to restore",
            line={"color": colours.bad, "width": 8},
            hovertemplate="nothing could be restored<extra></extra>",
        )
