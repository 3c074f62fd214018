"""Growth and forecast: robust against odd weeks, honest about short and young pasts, calibrated."""

from collections.abc import Callable
from datetime import date, timedelta
from random import Random

import pytest

from shared.domain.forecast import DayVolume, Forecast, foretell, volume_history, when_reached

TODAY = date(2026, 11, 21)
GB = 10**9


def past(days: int, volume: Callable[[int], float]) -> list[DayVolume]:
    """A past of some days; `volume` takes the days that have passed."""
    return [DayVolume(TODAY - timedelta(days=days - 1 - day), int(volume(day))) for day in range(days)]


def test_history_follows_backwards_from_today() -> None:
    added = {TODAY - timedelta(days=3): 100, TODAY - timedelta(days=1): 50, TODAY: 10}
    freed = {TODAY: 30, TODAY - timedelta(days=2): 5}

    history = volume_history(125, added, freed, TODAY, TODAY - timedelta(days=90))

    assert [(TODAY - item.day).days for item in history] == [3, 2, 1, 0]
    assert [item.stored_bytes for item in history] == [100, 95, 145, 125]


def test_growth_is_that_of_the_line_and_not_of_one_huge_backup() -> None:
    def volume(day: int) -> float:
        return 100 * GB + day * GB + (900 * GB if 150 <= day < 160 else 0)

    growth = foretell(past(182, volume), settled_on=None).growth

    assert growth is not None
    assert growth.bytes_per_month == pytest.approx(30.4375 * GB, rel=0.02)
    assert growth.ratio_per_month == pytest.approx(30.4375 / 281, rel=0.02)


def test_a_shrinking_volume_never_falls_below_nothing() -> None:
    forecast = foretell(past(182, lambda day: 182 * GB - day * GB), settled_on=None)

    assert forecast.points[-1].stored_bytes == forecast.points[-1].low_bytes == 0


@pytest.mark.parametrize(("days", "has_growth"), [(0, False), (1, False), (10, False), (20, True), (50, True)])
def test_a_short_past_gives_no_forecast_and_says_why(days: int, has_growth: bool) -> None:
    forecast = foretell(past(days, lambda day: GB * day), settled_on=None)

    assert (forecast.growth is not None) is has_growth
    assert forecast.points == ()
    assert ("forecast" in forecast.reason) or forecast.reason == "Nothing is stored yet."


def test_a_repository_that_still_fills_up_is_not_carried_on() -> None:
    settled_on = TODAY + timedelta(days=10)

    forecast = foretell(past(60, lambda day: GB * day), settled_on=settled_on)

    assert forecast.points == ()
    assert forecast.growth is not None
    assert forecast.growth.is_filling
    assert "begin to expire on 2026-12-01" in forecast.reason


def test_after_filling_up_only_the_settled_part_counts() -> None:
    settled_on = TODAY - timedelta(days=70)

    def volume(day: int) -> float:
        return min(day, 130) * GB

    forecast = foretell(past(201, volume), settled_on=settled_on)

    assert forecast.growth is not None
    assert forecast.growth.bytes_per_month == 0
    assert not forecast.growth.is_filling
    assert forecast.points[0].stored_bytes == 130 * GB


def test_the_month_of_a_limit_is_found_between_the_points() -> None:
    forecast = foretell(past(182, lambda day: 100 * GB + day * GB), settled_on=None)

    reached = when_reached(forecast, 281 * GB, 345 * GB, TODAY)

    assert reached.month == date(2027, 1, 1)  # 64 days from 21 November: 24 January
    assert reached.earliest is not None
    assert reached.earliest <= reached.month


def test_a_limit_that_is_passed_or_never_reached_says_so() -> None:
    flat = foretell(past(182, lambda _: 100 * GB), settled_on=None)

    assert when_reached(flat, 100 * GB, 100 * GB, TODAY).is_reached
    assert when_reached(flat, 100 * GB, 400 * GB, TODAY).month is None
    assert when_reached(Forecast(growth=None), 1, 2, TODAY).month is None


@pytest.mark.parametrize("kind", ["noise", "wandering", "changing slope"])
def test_the_interval_holds_the_future_as_often_as_it_says(kind: str) -> None:
    rng = Random(7)
    futures = [_holds(rng, kind) for _ in range(100)]

    for months in (1, 3, 6, 12):
        # 80 % is promised; fewer than 70 of 100 would come by chance in one of a hundred.
        assert sum(held[months] for held in futures) >= 70


def _holds(rng: Random, kind: str) -> dict[int, bool]:
    """Make up a past and its future, and say for which months ahead the interval held it."""
    slope = usual = rng.uniform(-0.02, 0.3) * GB
    volume, volumes = 50.0 * GB, []
    for day in range(182 + 366):
        if kind == "changing slope" and day % 60 == 0:
            slope = usual * rng.uniform(0.5, 1.5)
        volume += slope + (rng.gauss(0, GB) if kind == "wandering" else 0)
        volumes.append(volume + (rng.gauss(0, 0.4 * GB) if kind != "wandering" else 0))
    begin = TODAY - timedelta(days=181)
    days = [DayVolume(begin + timedelta(days=day), max(int(value), 0)) for day, value in enumerate(volumes)]
    actual = {item.day: item.stored_bytes for item in days}
    points = foretell(days[:182], settled_on=None).points
    return {
        month: point.low_bytes <= actual[point.day] <= point.high_bytes for month, point in enumerate(points, start=1)
    }
