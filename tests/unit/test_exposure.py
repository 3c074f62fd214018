"""Exposure over time, recomputed from facts."""

from datetime import datetime, timedelta
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.exposure import (
    Breach,
    PastBackup,
    PastTest,
    Segment,
    Span,
    backup_spans,
    find_breaches,
    met_ratio,
    newest_over_time,
    proven_spans,
    sawtooth,
)
from shared.domain.proof import Outcome
from tests.support.health_facts import NOW

# A busy machine is slow; that is no finding.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
H, D = timedelta(hours=1), timedelta(days=1)
BEGIN = NOW - 10 * D


def at(hours: float) -> datetime:
    return BEGIN + hours * H


def backup(number: int, *, point: float, gone: float | None = None) -> PastBackup:
    return PastBackup(
        backup_id=str(number),
        recovery_point_at=at(point),
        complete_at=at(point + 1),
        gone_at=None if gone is None else at(gone),
    )


def shape(segments: tuple[Segment, ...]) -> list[tuple[float, float, float | None]]:
    """Segments in hours since the beginning."""
    return [
        (
            (item.begins_at - BEGIN) / H,
            (item.ends_at - BEGIN) / H,
            None if item.recovery_point_at is None else (item.recovery_point_at - BEGIN) / H,
        )
        for item in segments
    ]


def test_exposure_counts_from_the_snapshot_and_falls_when_the_backup_is_complete() -> None:
    segments = newest_over_time(backup_spans([backup(1, point=2), backup(2, point=26)]), at(0), at(48))
    assert shape(segments) == [(0, 3, None), (3, 27, 2), (27, 48, 26)]
    assert [exposure for _, exposure in sawtooth(segments)] == [None, None, H, 25 * H, H, 22 * H]


def test_a_copy_counts_until_it_expires_or_is_known_to_be_damaged() -> None:
    past = [backup(1, point=2), backup(2, point=26, gone=40), backup(3, point=30, gone=35)]
    assert shape(newest_over_time(backup_spans(past), at(0), at(48))) == [
        (0, 3, None),
        (3, 27, 2),
        (27, 31, 26),
        (31, 35, 30),
        (35, 40, 26),
        (40, 48, 2),
    ]


def test_what_was_there_before_the_period_counts_from_its_beginning() -> None:
    assert shape(newest_over_time(backup_spans([backup(1, point=-30)]), at(0), at(10))) == [(0, 10, -30)]


def test_a_failed_test_takes_the_proof_back_when_it_is_known() -> None:
    tests = [
        PastTest(backup_id="1", outcome=Outcome.PASSED, finished_at=at(5)),
        PastTest(backup_id="2", outcome=Outcome.NOT_MEASURED, finished_at=at(28)),
        PastTest(backup_id="2", outcome=Outcome.PASSED, finished_at=at(30)),
        PastTest(backup_id="2", outcome=Outcome.FAILED, finished_at=at(40)),
        PastTest(backup_id="2", outcome=Outcome.PASSED, finished_at=at(45)),
    ]
    spans = proven_spans([backup(1, point=2), backup(2, point=26)], tests)
    assert shape(newest_over_time(spans, at(0), at(48))) == [
        (0, 5, None),
        (5, 30, 2),
        (30, 40, 26),
        (40, 45, 2),
        (45, 48, 26),
    ]


def test_breaches_begin_when_the_objective_is_passed_and_end_with_the_next_copy() -> None:
    segments = newest_over_time(backup_spans([backup(1, point=2), backup(2, point=50)]), at(0), at(80))
    assert find_breaches(segments, 24 * H) == (
        Breach(begins_at=at(0), ends_at=at(3), worst=None),
        Breach(begins_at=at(26), ends_at=at(51), worst=49 * H),
        Breach(begins_at=at(74), ends_at=at(80), worst=30 * H),
    )
    assert met_ratio(segments, 24 * H) == 1 - (3 + 25 + 6) / 80


def test_a_breach_that_goes_on_is_one() -> None:
    spans = backup_spans([backup(1, point=0, gone=60), backup(2, point=2, gone=40)])
    segments = newest_over_time(spans, at(0), at(70))
    [*_, last] = find_breaches(segments, 24 * H)
    assert (last.begins_at, last.ends_at, last.worst) == (at(26), at(70), None)


def test_nothing_at_all_is_one_long_breach() -> None:
    segments = newest_over_time([], at(0), at(10))
    assert shape(segments) == [(0, 10, None)]
    assert met_ratio(segments, 24 * H) == 0


def test_an_empty_period_has_nothing_to_tell() -> None:
    assert newest_over_time(backup_spans([backup(1, point=2)]), at(5), at(5)) == ()
    assert met_ratio((), 24 * H) is None


@st.composite
def many_spans(draw: st.DrawFn) -> list[Span]:
    numbers = st.integers(-20, 60)
    return [
        Span(
            recovery_point_at=at(point),
            begins_at=at(point + draw(st.integers(0, 5))),
            ends_at=draw(st.none() | st.integers(1, 30).map(lambda hours, point=point: at(point + 5 + hours))),  # type: ignore[misc]
        )
        for point in draw(st.lists(numbers, max_size=8))
    ]


@UNHURRIED
@given(many_spans())
def test_every_instant_has_the_newest_point_that_could_be_had(spans: list[Span]) -> None:
    segments = newest_over_time(spans, at(0), at(48))
    assert segments[0].begins_at == at(0)
    assert segments[-1].ends_at == at(48)
    for before, after in pairwise(segments):
        assert before.ends_at == after.begins_at
        assert before.recovery_point_at != after.recovery_point_at
    for half_hours in range(96):
        instant = at(half_hours / 2)
        there = [
            span.recovery_point_at
            for span in spans
            if span.begins_at <= instant and (span.ends_at is None or instant < span.ends_at)
        ]
        [segment] = [item for item in segments if item.begins_at <= instant < item.ends_at]
        assert segment.recovery_point_at == max(there, default=None)


@UNHURRIED
@given(many_spans(), st.integers(1, 40))
def test_breaches_are_exactly_where_exposure_is_above_its_objective(spans: list[Span], limit_hours: int) -> None:
    segments = newest_over_time(spans, at(0), at(48))
    found = find_breaches(segments, limit_hours * H)
    for quarter in range(48 * 4):
        instant = at(quarter / 4 + 0.1)
        [segment] = [item for item in segments if item.begins_at <= instant < item.ends_at]
        point = segment.recovery_point_at
        broken = point is None or instant - point > limit_hours * H
        assert any(item.begins_at <= instant < item.ends_at for item in found) is broken
