"""What was stored, what will be, and where the limit lies."""

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

import plotly.graph_objects as go

from monitor_app.components.charts import base, limit_line, line
from monitor_app.components.text import scale_of
from monitor_app.components.theme import Palette
from shared.domain.forecast import DayVolume, ForecastPoint

_FEW_DAYS = 7
_A_DAY = timedelta(days=1)


def volume_figure(
    history: Sequence[DayVolume], points: Sequence[ForecastPoint], limit_bytes: int | None, colours: Palette
) -> go.Figure:
    """Draw the past as a line, the forecast as a dashed one with its interval, and the limit where one is near."""
    largest = max([item.stored_bytes for item in history] + [item.high_bytes for item in points], default=0)
    scale, unit = scale_of(largest)
    unit = f" {unit}"
    figure = base(colours, height=320, unit=unit)
    last = history[-1] if history else None
    if points and last:
        days = [_at(last.day), *(_at(item.day) for item in points)]
        low = [last.stored_bytes, *(item.low_bytes for item in points)]
        high = [last.stored_bytes, *(item.high_bytes for item in points)]
        figure.add_scatter(
            x=[*days, *reversed(days)],
            y=[value / scale for value in [*high, *reversed(low)]],
            fill="toself",
            fillcolor=colours.band,
            line={"width": 0},
            hoverinfo="skip",
            mode="lines",
            name="interval",
        )
        middle = [last.stored_bytes, *(item.stored_bytes for item in points)]
        figure.add_scatter(
            x=days,
            y=[value / scale for value in middle],
            mode="lines",
            name="forecast",
            line={"color": colours.good, "width": 2, "dash": "dot"},
        )
    stored = [item.stored_bytes / scale for item in history]
    days_stored = [_at(item.day) for item in history]
    line(figure, days_stored, stored, colour=colours.good, name="stored")
    if 0 < len(days_stored) <= _FEW_DAYS:
        figure.update_traces(mode="lines+markers", marker={"size": 8}, selector={"name": "stored"})
        # Without this, one day would be drawn as a moment, with ticks of milliseconds.
        figure.update_xaxes(range=[days_stored[0] - _A_DAY, days_stored[-1] + _A_DAY] if not points else None)
        figure.update_xaxes(dtick=24 * 3_600_000, tickformat="%b %-d")
    # A limit far above everything would press the data flat.
    if limit_bytes is not None and limit_bytes <= 3 * largest:
        limit_line(figure, limit_bytes / scale, "limit", colours)
    return figure


def _at(day: object) -> datetime:
    return datetime.combine(day, time(), UTC)  # type: ignore[arg-type]
