"""How long a restore would take, and how sure that is."""

import random
from datetime import timedelta

import pytest

from shared.domain.prediction import COVERAGE, calibrate, predict_recovery
from shared.domain.proof import Outcome
from shared.domain.source_facts import RestoreTestFact
from tests.support.health_facts import GB, NOW, restore_test


def history(*points: tuple[float, float]) -> list[RestoreTestFact]:
    """Tests a month apart, each of a size in GB and a time in seconds, the newest last."""
    return [
        restore_test(
            NOW - timedelta(days=30 * (len(points) - number)),
            dumped_bytes=int(size * GB),
            recovery_time_seconds=seconds,
        )
        for number, (size, seconds) in enumerate(points)
    ]


def test_without_a_test_nobody_can_tell() -> None:
    assert predict_recovery([], GB) is None
    assert predict_recovery([restore_test(outcome=Outcome.FAILED)], GB) is None
    assert predict_recovery([restore_test(recovery_time_seconds=None)], GB) is None
    assert predict_recovery([restore_test()], 0) is None


def test_one_test_gives_a_number_in_proportion_and_no_interval() -> None:
    predicted = predict_recovery(history((1, 100)), 3 * GB)
    assert predicted is not None
    assert (predicted.seconds, predicted.low_seconds, predicted.high_seconds) == (300, None, None)
    assert predicted.likely_seconds == (300, 300)


def test_three_tests_give_a_line_and_an_interval() -> None:
    predicted = predict_recovery(history((1, 30), (2, 50), (3, 70)), 4 * GB)
    assert predicted is not None
    assert predicted.seconds == pytest.approx(90)
    low, high = predicted.likely_seconds
    assert low < 90 < high
    assert predicted.tests == 3


def test_sizes_that_are_alike_show_no_slope() -> None:
    predicted = predict_recovery(history((1.0, 100), (1.01, 80), (1.02, 104)), 2 * GB)
    assert predicted is not None
    assert predicted.seconds == pytest.approx(187, rel=0.02)


def test_a_line_that_would_make_large_restores_free_is_not_believed() -> None:
    predicted = predict_recovery(history((1, 100), (2, 90), (3, 80)), 30 * GB)
    assert predicted is not None
    assert predicted.seconds > 1000


def test_far_from_what_was_tested_the_interval_is_wide() -> None:
    tests = history((1, 31), (2, 48), (3, 72), (4, 89))
    near, far = predict_recovery(tests, 3 * GB), predict_recovery(tests, 40 * GB)
    assert near is not None
    assert far is not None
    assert near.high_seconds is not None
    assert far.high_seconds is not None
    assert (far.high_seconds - far.seconds) / far.seconds > (near.high_seconds - near.seconds) / near.seconds


@pytest.mark.parametrize("tests_each", [4, 6, 12])
def test_intervals_hold_about_as_often_as_they_promise(tests_each: int) -> None:
    chance = random.Random(20261121)
    inside = predicted = 0
    for _ in range(300):
        begin, per_gb, growth = chance.uniform(1, 20), chance.uniform(10, 80), chance.uniform(1.0, 1.3)
        sizes = [growth**month for month in range(tests_each)]
        found = calibrate(history(*((size, (begin + per_gb * size) * chance.lognormvariate(0, 0.1)) for size in sizes)))
        inside, predicted = inside + found.inside, predicted + found.predicted
    assert predicted == 300 * tests_each
    assert COVERAGE - 0.05 < inside / predicted <= 1


def test_calibration_needs_enough_tests() -> None:
    assert calibrate(history((1, 30), (2, 50), (3, 70))).ratio is None
    assert calibrate(history((1, 30), (2, 50), (3, 70), (4, 90))).ratio == 1
    assert calibrate(history((1, 30), (2, 50), (3, 70), (4, 900))).ratio != 1
