"""What charts, strip and calendar show: worked out, thinned, marked; figures as data."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor_app.components.calendar import calendar_html
from monitor_app.components.exposure_chart import exposure_figure
from monitor_app.components.recovery_chart import Lollipop, recovery_figure
from monitor_app.components.series import (
    MOST_POINTS,
    exposure_finding,
    exposure_series,
    local,
    most_extreme,
    size_series,
    thin,
)
from monitor_app.components.size_chart import size_figure
from monitor_app.components.strip import StripRow, strip_html
from monitor_app.components.theme import DARK, LIGHT
from shared.domain.exposure import Segment
from shared.domain.heartbeat import DayCount, DayState, day_states
from shared.domain.size_band import FEWEST, expected_band
from shared.domain.source import Schedule, Source

NOW = datetime(2026, 11, 21, 6, 0, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
MB = 10**6


def daily(days: int, *, missing: Sequence[int] = ()) -> list[Segment]:
    """Segments of a daily backup at two o'clock; `missing` counts days back."""
    points = [NOW - 4 * HOUR - age * DAY for age in range(days, -1, -1) if age not in missing]
    ends = [*points[1:], NOW]
    return [
        Segment(begins_at=point, ends_at=end, recovery_point_at=point) for point, end in zip(points, ends, strict=True)
    ]


def traces(figure: go.Figure) -> dict[str, go.Scatter]:
    return {trace.name: trace for trace in figure.data}


def test_daily_backups_keep_an_objective_with_grace_and_one_gap_is_one_miss() -> None:
    series = exposure_series(daily(90, missing=[10]), DAY, 2 * HOUR, UTC)
    assert series.unit == "h"
    assert series.limit == 26
    assert [peak for _, peak in series.peaks] == [48]
    assert exposure_finding(series, 4 * HOUR, 90) == "Objective missed once in 90 days; 4 h at risk now"
    kept = exposure_series(daily(90), DAY, 2 * HOUR, UTC)
    assert exposure_finding(kept, 4 * HOUR, 90) == "Objective kept for 90 days; 4 h at risk now"


def test_nothing_to_restore_is_a_gap_and_is_said() -> None:
    gap = Segment(begins_at=NOW - DAY, ends_at=NOW, recovery_point_at=None)
    series = exposure_series([*daily(3)[:2], gap], DAY, 2 * HOUR, UTC)
    assert [value for _, value in series.points][-2:] == [None, None]
    assert exposure_finding(series, None, 30).endswith("; nothing could be restored now")
    assert "nothing to restore" in traces(exposure_figure(series, LIGHT))


def test_proven_exposure_is_drawn_in_days() -> None:
    series = exposure_series(daily(3), timedelta(days=36), timedelta(0), UTC)
    assert (series.unit, series.limit, series.limit_label) == ("days", 36, "objective 36 days")


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_exposure_figure_has_its_limit_and_marks_what_is_above(colours: object) -> None:
    series = exposure_series(daily(90, missing=[10, 40]), DAY, 2 * HOUR, UTC)
    figure = exposure_figure(series, colours)  # type: ignore[arg-type]
    assert len(traces(figure)["missed"].x) == 2
    assert figure.layout.shapes[0].y0 == 26
    assert figure.layout.annotations[0].text == "objective 24 h + 2 h grace"
    assert figure.layout.yaxis.range[0] == 0
    assert figure.layout.yaxis.range[1] > 48


def test_years_of_hourly_backups_stay_drawable_and_no_peak_is_lost() -> None:
    series = exposure_series(daily(4000, missing=[1234]), DAY, 2 * HOUR, UTC)
    assert len(series.points) <= MOST_POINTS
    assert max(value for _, value in series.points if value is not None) == 48
    assert len(traces(exposure_figure(series, LIGHT))["at risk"].x) <= MOST_POINTS


@given(st.lists(st.one_of(st.none(), st.floats(0, 1000)), max_size=500), st.integers(9, 60))
def test_thinning_keeps_order_extremes_and_gaps(values: list[float | None], most: int) -> None:
    points = [(NOW + number * HOUR, value) for number, value in enumerate(values)]
    kept = thin(points, most)
    assert list(kept) == sorted(kept, key=lambda point: point[0])
    assert set(kept) <= set(points)
    if len(points) > most:
        assert len(kept) <= most
    known = [value for value in values if value is not None]
    if known:
        left = [value for _, value in kept if value is not None]
        assert (min(left), max(left)) == (min(known), max(known))
    assert (None in values) == any(value is None for _, value in kept)


def test_time_is_the_viewers() -> None:
    assert local(NOW, ZoneInfo("Europe/Berlin")) == datetime(2026, 11, 21, 7, 0)


def backups(sizes: Sequence[int]) -> list[tuple[datetime, str, int, str]]:
    return [(NOW - (len(sizes) - number) * DAY, f"b{number}", size, "") for number, size in enumerate(sizes)]


def test_a_size_outside_its_band_stands_out_and_never_judges_itself() -> None:
    sizes = [100 * MB + (number % 5) * MB // 10 for number in range(60)]
    sizes[50] = 180 * MB
    series = size_series(backups(sizes), UTC)
    assert [point.backup_id for point in series.unusual] == ["b50"]
    extreme = most_extreme(series.unusual)
    assert extreme is not None
    assert extreme.size == 180
    figure = size_figure(series, LIGHT)
    assert figure.layout.annotations[0].text.startswith("180 MB on ")
    assert list(traces(figure)["stands out"].customdata) == ["b50"]


def test_what_was_recorded_as_odd_is_marked_inside_the_band_too() -> None:
    series = size_series([(NOW, "b1", MB, "the size is odd")], UTC)
    assert [point.note for point in series.unusual] == ["the size is odd"]


def test_band_needs_some_backups_is_never_narrower_than_a_per_cent_and_learns_nothing_from_nothing() -> None:
    bands = expected_band([MB] * 20)
    assert bands[:FEWEST] == (None,) * FEWEST
    band = bands[-1]
    assert band is not None
    assert band.holds(round(MB * 1.009))
    assert not band.holds(round(MB * 1.02))
    assert expected_band([MB] * 20 + [0, MB])[-1] == band


@given(st.lists(st.integers(1, 10**12), min_size=1, max_size=60))
def test_band_of_a_backup_follows_from_those_before_it_only(sizes: list[int]) -> None:
    bands = expected_band(sizes)
    for number in range(len(sizes)):
        assert bands[: number + 1] == expected_band([*sizes[:number], 1])


def test_no_series_is_drawn_without_points() -> None:
    assert size_series([], UTC).points == ()
    assert len(size_figure(size_series([], UTC), LIGHT).data) == 4
    assert recovery_figure([], LIGHT).layout.height > 0


def test_lollipops_right_of_the_line_are_crossed() -> None:
    rows = [
        Lollipop(name="slow", ratio=4.0, label="4 h of 1 h", detail="x"),
        Lollipop(name="<b>fast</b>", ratio=0.1, label="6 min of 60 min", detail="x"),
    ]
    marks = traces(recovery_figure(rows, LIGHT))["predicted"]
    assert list(marks.marker.symbol) == ["x", "circle"]
    assert recovery_figure(rows, LIGHT).layout.yaxis.ticktext[0] == "slow<br>4 h of 1 h"


def test_what_is_drawn_beside_a_prediction_is_how_far_it_may_be_off_and_nothing_from_the_edge() -> None:
    sure = Lollipop(name="sure", ratio=0.5, label="2 h of 4 h", detail="x")
    unsure = Lollipop(name="unsure", ratio=1.5, label="6 h of 4 h", detail="x", low=1.2, high=3.0)
    figure = recovery_figure([sure, unsure], LIGHT)
    assert list(traces(figure)["likely"].x) == [1.2, 3.0, None]
    assert 10 ** figure.layout.xaxis.range[1] > 3.0


def test_day_is_what_came_of_it_and_silence_is_told() -> None:
    days = [date(2026, 11, day) for day in range(15, 22)]
    counts = {
        days[0]: DayCount(ok=2),
        days[1]: DayCount(ok=1, failed=1),
        days[2]: DayCount(failed=3),
        days[4]: DayCount(ok=1),
    }
    states = day_states(Source(name="app"), counts, days, first_backup_at=NOW - 30 * DAY, now=NOW)
    assert states == (
        DayState.OK,
        DayState.PARTLY,
        DayState.FAILED,
        DayState.MISSING,
        DayState.OK,
        DayState.MISSING,
        DayState.MISSING,
    )


def test_nothing_is_missing_before_the_first_backup_nor_before_it_is_late() -> None:
    days = [date(2026, 11, 20), date(2026, 11, 21)]
    soon = datetime(2026, 11, 21, 3, 59, tzinfo=UTC)
    source = Source(name="app")
    assert day_states(source, {}, days, first_backup_at=None, now=NOW) == (DayState.NOT_EXPECTED,) * 2
    begun = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
    assert day_states(source, {}, days, first_backup_at=begun, now=soon) == (DayState.NOT_EXPECTED,) * 2
    assert day_states(source, {}, days, first_backup_at=begun, now=NOW) == (DayState.NOT_EXPECTED, DayState.MISSING)


def test_days_on_which_nothing_is_scheduled_are_not_missing() -> None:
    weekdays = Source(name="app", schedule=Schedule(daily="0 2 * * mon-fri"))
    days = [date(2026, 11, day) for day in range(13, 17)]  # Friday to Monday
    states = day_states(weekdays, {}, days, first_backup_at=NOW - 90 * DAY, now=NOW)
    assert states == (DayState.MISSING, DayState.NOT_EXPECTED, DayState.NOT_EXPECTED, DayState.MISSING)


def test_strip_and_calendar_are_tables_that_are_read_aloud_and_hold_no_foreign_markup() -> None:
    days = [date(2026, 11, 1) + number * DAY for number in range(20)]
    states = (DayState.OK,) * 17 + (DayState.FAILED, DayState.MISSING, DayState.OK)
    name = "<img src=x onerror=alert(1)>"
    strip = strip_html([StripRow(name=name, days=states)], days, caption=name)
    calendar = calendar_html(days, states, caption=name)
    for html in (strip, calendar):
        assert "<img" not in html
        assert "<caption>" in html
        assert html.count("✕") == 1
        assert html.count("∅") == 1
    assert "2 bad of 20 days: 18 Nov failed, 19 Nov nothing arrived" in strip
    assert "20 days, 2 bad" in calendar
    assert calendar.count("<td ") == calendar.count("title=") + calendar.count('aria-hidden="true"></td>')
