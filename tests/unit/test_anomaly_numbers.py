"""The numeric rules: what is normal for a source by its own earlier backups, and what is not."""

import math
import random
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.anomaly import AnomalyPolicy, BackupPoint, Episode, History, Rule
from shared.domain.anomaly_rules import detect, unmeasured_rules
from shared.domain.backup import BackupKind
from shared.domain.proof import Severity
from tests.support.anomaly_histories import BEGIN, DAY, Shape, alarms, generate, point, subject

POLICY = AnomalyPolicy()


def found(points: list[BackupPoint], item: BackupPoint, *episodes: Episode, policy: AnomalyPolicy = POLICY) -> set[str]:
    history = History(points=tuple(points), episodes=episodes)
    return {anomaly.rule.value for anomaly in detect(history, subject(99, of=item), policy)}


def episode(day: int, expected: float, seen: float, *, closed: int | None = None, known: bool = False) -> Episode:
    return Episode(
        rule=Rule.DUMPED_SIZE,
        object="app",
        severity=Severity.WARNING,
        started_at=BEGIN + day * DAY,
        closed_at=None if closed is None else BEGIN + closed * DAY,
        acknowledged_at=BEGIN + day * DAY + timedelta(hours=8) if known else None,
        expected_value=expected,
        found_value=seen,
    )


@given(
    size=st.floats(1e3, 1e13),
    growth=st.floats(-0.02, 0.05),
    weekend=st.floats(0.3, 3.0),
    days=st.integers(1, 50),
)
@settings(max_examples=25, deadline=None)
def test_constant_linear_and_seasonal_series_raise_no_alarm(
    size: float, growth: float, weekend: float, days: int
) -> None:
    calm = [point(day, dumped_bytes=size) for day in range(days)]
    linear = [point(day, dumped_bytes=size * (1 + 0.01 * day)) for day in range(days)]
    exponential = [point(day, dumped_bytes=size * (1 + growth) ** day) for day in range(days)]
    seasonal = [
        point(day, dumped_bytes=size * (weekend if (BEGIN + day * DAY).weekday() >= 5 else 1)) for day in range(days)
    ]
    for series in (calm, linear, exponential, seasonal):
        assert [anomaly for anomaly in alarms(series) if anomaly.rule is not Rule.COMPRESSION] == []


@pytest.mark.parametrize("noise", [0.0, 0.005, 0.02])
@pytest.mark.parametrize("growth", [0.0, 0.003, 0.02])
@pytest.mark.parametrize("weekend", [1.0, 0.8])
def test_noisy_healthy_series_raise_no_alarm(noise: float, growth: float, weekend: float) -> None:
    shape = Shape(growth=growth, noise=noise, weekend=weekend, duration_noise=0.05)
    assert [anomaly.sentence for seed in range(5) for anomaly in alarms(generate(shape, 70, seed))] == []


@given(
    factor=st.floats(1e-2, 1e4),
    seed=st.integers(0, 10**6),
    change=st.sampled_from([0.2, 0.7, 1.0, 1.3, 4.0]),
)
@settings(max_examples=40, deadline=None)
def test_scaling_all_sizes_changes_nothing(factor: float, seed: int, change: float) -> None:
    points = generate(Shape(growth=0.002, noise=0.02), 30, seed)
    odd = replace(points[-1], dumped_bytes=round(points[-1].dumped_bytes * change))

    def scaled(item: BackupPoint) -> BackupPoint:
        return replace(
            item, dumped_bytes=round(item.dumped_bytes * factor), stored_bytes=round(item.stored_bytes * factor)
        )

    assert found(points[:-1], odd) == found([scaled(item) for item in points[:-1]], scaled(odd))


@pytest.mark.parametrize(
    ("change", "rules"),
    [
        ({"dumped_bytes": 5e9, "stored_bytes": 2.5e9}, {"dumped-size", "compression"}),
        ({"dumped_bytes": 20e9}, {"dumped-size", "stored-size"}),
        ({"stored_bytes": 1e9}, {"stored-size", "compression"}),
        ({"stored_bytes": 9.9e9}, {"stored-size", "compression"}),
        ({"seconds": 1800.0}, {"duration"}),
        ({"seconds": 60.0}, set()),
        ({"dumped_bytes": 10.5e9}, set()),
        ({"seconds": 650.0}, set()),
    ],
)
def test_each_rule_finds_its_incident_and_no_other(change: dict[str, Any], rules: set[str]) -> None:
    points = [point(day, dumped_bytes=10e9 * (1 + 0.002 * (day % 3))) for day in range(20)]
    assert found(points, point(20, **change)) == rules


def test_sentence_says_what_was_found_and_what_would_be_normal() -> None:
    anomalies = detect(
        History(points=tuple(point(day) for day in range(20))),
        subject(20, of=point(20, dumped_bytes=120e6, stored_bytes=2.5e9)),
    )
    by_rule = {anomaly.rule: anomaly for anomaly in anomalies}
    size = by_rule[Rule.DUMPED_SIZE]
    assert size.sentence == "the dump's size is 120.0 MB; 9.1 GB to 11.0 GB would be normal after 20 backups"
    assert (size.expected, size.found) == ("9.1 GB to 11.0 GB", "120.0 MB")
    assert size.expected_value == pytest.approx(10e9)
    assert "0.05 to 1" in by_rule[Rule.COMPRESSION].sentence


def test_quiet_until_there_are_enough_points_and_it_says_so() -> None:
    tiny = point(6, dumped_bytes=1000)
    six = [point(day) for day in range(6)]
    assert found(six, tiny) == set()
    gaps = unmeasured_rules(History(points=tuple(six)), subject(6, of=tiny))
    assert ("dumped-size", "6 of 7 backups to judge by") in {(gap.check, gap.reason) for gap in gaps}
    seven = [point(day) for day in range(7)]
    assert "dumped-size" in found(seven, point(7, dumped_bytes=1000))
    assert unmeasured_rules(History(points=tuple(seven)), subject(7)) != gaps


def test_a_point_never_judges_itself() -> None:
    points = [point(day) for day in range(10)]
    odd = point(10, dumped_bytes=1e9)
    assert found([*points, odd], odd) == found(points, odd) == {"dumped-size", "stored-size"}


def test_weekly_backups_are_judged_by_weekly_ones_once_there_are_enough() -> None:
    daily = [point(day) for day in range(70)]
    weekly = [point(day, dumped_bytes=30e9, kind=BackupKind.WEEKLY) for day in range(0, 70, 7)]
    usual = point(70, dumped_bytes=30e9, kind=BackupKind.WEEKLY)
    both = sorted([*daily, *weekly], key=lambda item: item.at)
    assert found(both, usual) == set()
    assert found(both, replace(usual, kind=BackupKind.MANUAL)) == {"dumped-size", "stored-size"}


def test_small_weekends_are_learned_and_a_small_weekday_is_not_excused() -> None:
    shape = Shape(noise=0.005, weekend=0.6, duration_noise=0.02)
    points = generate(shape, 47, seed=4)  # the next day is a Saturday
    assert found(points, point(47, dumped_bytes=6e9, seconds=330)) == set()
    assert found(points, point(47, dumped_bytes=10e9, seconds=330)) == {"dumped-size", "stored-size"}
    assert found(points[:-3], point(44, dumped_bytes=6e9)) == {"dumped-size", "stored-size"}


def test_anomaly_that_lasts_does_not_become_normal_by_itself() -> None:
    points = [point(day, dumped_bytes=10e9 if day < 15 else 2e9) for day in range(60)]
    lasting = episode(15, 10e9, 2e9)
    assert "dumped-size" in found(points, point(60, dumped_bytes=2e9), lasting)
    assert "dumped-size" not in found(points, point(60), lasting)


def test_acknowledged_level_is_the_new_normal_at_once_and_still_judged() -> None:
    chance = random.Random(3)
    points = [point(day, dumped_bytes=10e9 * math.exp(chance.gauss(0, 0.01))) for day in range(15)]
    points.append(point(15, dumped_bytes=2e9))
    known = episode(15, 10e9, 2e9, known=True)
    assert "dumped-size" not in found(points, point(16, dumped_bytes=2.02e9), known)
    assert "dumped-size" in found(points, point(16, dumped_bytes=0.4e9), known)
    points += [point(day, dumped_bytes=2e9) for day in range(16, 25)]
    assert "dumped-size" not in found(points, point(25, dumped_bytes=2e9), known)
    assert "dumped-size" in found(points, point(25, dumped_bytes=10e9), known)


def test_acknowledged_single_event_does_not_move_the_level() -> None:
    points = [point(day) for day in range(15)]
    points.append(point(15, dumped_bytes=40e9))
    known = episode(15, 10e9, 40e9, known=True)
    assert "dumped-size" not in found(points, point(16), known)
    points += [point(day) for day in range(16, 30)]
    assert "dumped-size" not in found(points, point(30), replace(known, closed_at=BEGIN + 16 * DAY))
    assert "dumped-size" in found(points, point(30, dumped_bytes=40e9), replace(known, closed_at=BEGIN + 16 * DAY))


def test_what_was_odd_and_is_over_does_not_widen_what_is_normal() -> None:
    points = [point(day, dumped_bytes=1e9 if 8 <= day < 20 else 10e9) for day in range(30)]
    over = episode(8, 10e9, 1e9, closed=20)
    assert "dumped-size" in found(points, point(30, dumped_bytes=1e9), over)
    assert "dumped-size" not in found(points, point(30), over)


def test_ignored_rule_is_silent() -> None:
    points = [point(day) for day in range(10)]
    odd = point(10, dumped_bytes=1e9)
    assert found(points, odd, policy=AnomalyPolicy(ignore=("dumped-size",))) == {"stored-size"}
    assert found(points, odd, policy=AnomalyPolicy(ignore=("*-size",))) == set()


def test_short_backups_may_take_a_minute_longer() -> None:
    points = [point(day, seconds=5) for day in range(10)]
    assert found(points, point(10, seconds=60)) == set()
    assert found(points, point(10, seconds=70)) == {"duration"}
