"""What the page of one source says in its title and above its charts: the verdict first, and no more than is known."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from monitor_app.components.exposure_chart import exposure_figure
from monitor_app.components.series import exposure_finding, exposure_series
from monitor_app.components.source_view import (
    proven_segments,
    runs_sentence,
    segments_of,
    source_sentence,
    standing_facts,
)
from monitor_app.components.theme import LIGHT
from monitor_app.queries.source_history import Attempt, SourceHistory
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.exposure import PastTest, Segment
from shared.domain.health import evaluate
from shared.domain.objectives import SuccessRate, measure
from shared.domain.proof import Outcome
from shared.domain.source import Source
from shared.domain.source_facts import SourceFacts
from shared.operations.status import SourceReport
from tests.support.health_facts import NOW, good_facts, restore_point

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
RATE = (SuccessRate(ok=27), SuccessRate(ok=90))


def attempt(at: datetime) -> Attempt:
    return Attempt(
        id=f"b-{at:%d%H%M}",
        kind=BackupKind.DAILY,
        status=BackupStatus.COMPLETE,
        started_at=at,
        recovery_point_at=at,
        finished_at=at + timedelta(seconds=5),
        duration_seconds=5.0,
        dumped_bytes=1,
        stored_bytes=1,
        is_proven=False,
        damaged_at=None,
        gone_at=None,
        anomaly="",
        error_message="",
    )


def history(*began: datetime, tests: tuple[PastTest, ...] = ()) -> SourceHistory:
    return SourceHistory(
        begins_at=NOW - 90 * DAY,
        attempts=tuple(attempt(at) for at in began),
        tests=tests,
        evidence=(),
        growth=(),
        growth_since=None,
    )


def daily(days: int) -> tuple[datetime, ...]:
    return tuple(NOW - 4 * HOUR - age * DAY for age in range(days, -1, -1))


def report(**facts: Any) -> SourceReport:
    source, known = Source(name="shop"), good_facts(**facts)
    return SourceReport(
        source=source,
        health=evaluate(source, known, NOW),
        standing=measure(source, known, NOW, success=RATE),
        facts=known,
        phases={},
    )


def title(found: SourceHistory, of: SourceReport) -> str:
    return source_sentence(found, of, UTC, days=90, now=NOW)


def test_a_source_that_was_never_proven_is_not_praised_for_its_objective() -> None:
    unproven = report(proven=None, tests=(), last_test=None, last_decisive=None)
    said = title(history(*daily(120)), unproven)
    assert said.startswith(f"shop is not safe: {unproven.health.reasons[0].sentence}; ")
    assert said.endswith("; 4 h at risk now")


def test_a_safe_source_says_so_and_how_long_its_objective_was_kept() -> None:
    assert title(history(*daily(120)), report()) == "shop is safe: objective kept for 90 days; 4 h at risk now"


def test_of_a_young_source_only_its_own_life_counts() -> None:
    begun = NOW - 10 * MINUTE
    young = report(first_backup_at=begun, newest=restore_point(begun))
    said = title(history(begun), young)
    assert "objective kept since its first backup 9 min 55 s ago; 10 min at risk now" in said
    assert "90 days" not in said


def test_a_source_without_a_backup_is_not_safe() -> None:
    source, nothing = Source(name="shop"), SourceFacts(read_at=NOW)
    new = SourceReport(
        source=source,
        health=evaluate(source, nothing, NOW),
        standing=measure(source, nothing, NOW, success=RATE),
        facts=nothing,
        phases={},
    )
    assert title(history(), new) == "shop is not safe: never backed up, nothing is protected"


def test_time_before_the_first_possible_proof_is_no_miss() -> None:
    begun = NOW - 10 * DAY
    test = PastTest(backup_id=f"b-{begun:%d%H%M}", outcome=Outcome.PASSED, finished_at=begun + 10 * MINUTE)
    segments = proven_segments(history(begun, tests=(test,)), report(first_backup_at=begun), NOW)
    assert segments[0].recovery_point_at == begun
    series = exposure_series(segments, 36 * DAY, timedelta(0), UTC)
    assert not series.breaches


def test_a_proof_that_comes_after_its_objective_is_missed_from_then_on() -> None:
    begun = NOW - 60 * DAY
    found = history(begun)
    assert segments_of(found, proven=True, now=NOW)[0].begins_at < begun + DAY
    segments = proven_segments(found, report(first_backup_at=begun), NOW)
    assert [(item.begins_at, item.recovery_point_at) for item in segments] == [(begun + 36 * DAY, None)]


def test_a_proof_that_is_not_due_yet_draws_nothing() -> None:
    begun = NOW - DAY
    assert proven_segments(history(begun), report(first_backup_at=begun), NOW) == ()


def test_the_area_is_not_drawn_across_time_without_anything_to_restore() -> None:
    gap = Segment(begins_at=NOW - 2 * DAY, ends_at=NOW - DAY, recovery_point_at=None)
    before = Segment(begins_at=NOW - 3 * DAY, ends_at=gap.begins_at, recovery_point_at=NOW - 3 * DAY)
    after = Segment(begins_at=gap.ends_at, ends_at=NOW, recovery_point_at=gap.ends_at - HOUR)
    figure = exposure_figure(exposure_series([before, gap, after], DAY, 2 * HOUR, UTC), LIGHT)
    area = next(trace for trace in figure.data if trace.fill)
    inside = [y for x, y in zip(area.x, area.y, strict=True) if gap.begins_at <= x.replace(tzinfo=UTC) <= gap.ends_at]
    assert inside.count(0) >= 2
    assert None not in area.y
    corners = list(zip(area.x, area.y, strict=True))
    falls = [(x, y) for x, y in corners if x == gap.begins_at.replace(tzinfo=None)]
    assert falls == [(falls[0][0], 24.0), (falls[0][0], 0)]


def test_a_chart_with_little_in_it_spans_a_day() -> None:
    short = Segment(begins_at=NOW - 5 * MINUTE, ends_at=NOW, recovery_point_at=NOW - 5 * MINUTE)
    figure = exposure_figure(exposure_series([short], DAY, 2 * HOUR, UTC), LIGHT)
    first, last = figure.layout.xaxis.range
    assert last - first >= DAY
    assert first < short.begins_at.replace(tzinfo=None)
    assert last >= NOW.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (0, "None of the last 10 runs failed"),
        (3, "None of the last 10 runs failed; in 30 days 3 expected ones never came"),
    ],
)
def test_runs_that_never_came_are_told(missing: int, said: str) -> None:
    assert runs_sentence(history(*daily(20)).attempts, missing) == said


def test_one_run_is_told_as_one() -> None:
    assert runs_sentence(history(NOW - DAY).attempts, 0) == "The one run so far did not fail"


def test_rates_tell_what_never_came() -> None:
    shown = standing_facts(report(), UTC, NOW, missing=(3, 4))
    assert shown["Backups that succeeded"] == (
        "27 of 27 in 30 days (3 expected ones never came), 90 of 90 in 90 days (4 expected ones never came)"
    )


def test_missed_times_of_a_young_source_are_told_of_its_life() -> None:
    series = exposure_series(
        [Segment(begins_at=NOW - 3 * DAY, ends_at=NOW, recovery_point_at=NOW - 3 * DAY)], DAY, 2 * HOUR, UTC
    )
    assert exposure_finding(series, 3 * DAY, 90, begun=3 * DAY) == (
        "Objective missed once since its first backup 3 d ago; 3 d at risk now"
    )
