"""Sizes of backups in the band that was to be expected of them."""

import plotly.graph_objects as go

from monitor_app.components.charts import base, span_a_day
from monitor_app.components.series import Sizes, most_extreme
from monitor_app.components.theme import Palette


def size_figure(sizes: Sizes, colours: Palette, *, height: int = 250) -> go.Figure:
    """Draw sizes with their band; what stands out is marked, and the most extreme of it named."""
    figure = base(colours, height=height, unit=f" {sizes.unit}")
    x = [point.at for point in sizes.points]
    edge = {"mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
    figure.add_scatter(x=x, y=[point.low for point in sizes.points], name="lowest expected", **edge)
    figure.add_scatter(
        x=x,
        y=[point.high for point in sizes.points],
        name="highest expected",
        fill="tonexty",
        fillcolor=colours.band,
        **edge,
    )
    figure.add_scatter(
        x=x,
        y=[point.size for point in sizes.points],
        mode="lines" if len(x) > 1 else "markers",
        name="size",
        line={"color": colours.good, "width": 1.5},
        hovertemplate=f"%{{y:.2f}} {sizes.unit}<extra></extra>",
    )
    unusual = sizes.unusual
    figure.add_scatter(
        x=[point.at for point in unusual],
        y=[point.size for point in unusual],
        mode="markers",
        name="stands out",
        marker={"symbol": "diamond", "size": 10, "color": colours.warn, "line": {"color": colours.text, "width": 1}},
        customdata=[point.backup_id for point in unusual],
        hovertemplate=f"stands out: %{{y:.2f}} {sizes.unit}, %{{customdata}}<extra></extra>",
    )
    if extreme := most_extreme(unusual):
        figure.add_annotation(
            x=extreme.at,
            y=extreme.size,
            text=f"{extreme.size:.3g} {sizes.unit} on {extreme.at:%d %b}",
            showarrow=False,
            yshift=16,
            font={"size": 12, "color": colours.text},
        )
    highest = max((value for point in sizes.points for value in (point.size, point.high or 0.0)), default=1.0)
    figure.update_yaxes(range=[0, highest * 1.15 or 1])
    span_a_day(figure, x)
    return figure
