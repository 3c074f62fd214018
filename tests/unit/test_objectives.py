"""Numbers against promises, the rule of detection latency, and what `check` says of a schedule."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.domain.backup import BackupKind
from shared.domain.detection import check_detection, check_objective, detection_latency, longest_interval
from shared.domain.health import SourceFacts
from shared.domain.objectives import Standing, SuccessRate, measure
from shared.domain.proof import Outcome
from shared.domain.source import KeepRule, Objectives, Schedule, Source
from shared.units import format_alike
from tests.support.health_facts import APP, GB, NOW, good_facts, restore_point, restore_test

H, D = timedelta(hours=1), timedelta(days=1)
GOOD = SuccessRate(ok=1000, failed=1)
POOR = SuccessRate(ok=29, failed=1)


def stand(facts: SourceFacts | None, success: SuccessRate = GOOD) -> Standing:
    return measure(APP, facts, NOW, success=(success, success))


def test_all_is_met_and_counted() -> None:
    found = stand(good_facts())
    assert found.exposure == 4 * H
    assert found.proven_exposure == 22 * D + 4 * H
    assert found.backup_time == timedelta(minutes=5)
    assert found.lost_rows == 0
    assert found.predicted is not None
    met = (found.rpo_met, found.proven_met, found.rto_met, found.backup_time_met, found.restore_time_met)
    assert met == (True,) * 5
    assert found.success_met is True


def test_nothing_known_is_nothing_met() -> None:
    found = stand(None)
    assert (found.exposure, found.rpo_met, found.proven_met, found.rto_met, found.success_met) == (None,) * 5


def test_no_backup_misses_the_objective_rather_than_leaving_it_open() -> None:
    found = stand(SourceFacts(read_at=NOW), SuccessRate())
    assert (found.exposure, found.rpo_met, found.proven_met, found.rto_met, found.success_met) == (
        None,
        False,
        False,
        None,
        None,
    )


def test_a_recovery_point_in_the_future_has_no_age() -> None:
    found = stand(good_facts(newest=restore_point(NOW + 3 * H)))
    assert (found.exposure, found.rpo_met) == (None, None)


def test_what_is_missed_is_said() -> None:
    lost = restore_test(NOW - H, Outcome.FAILED, rows_dumped=1000, rows_proven=990)
    found = stand(
        good_facts(
            newest=restore_point(NOW - 27 * H, duration_seconds=1900.0, dumped_bytes=200 * GB), last_decisive=lost
        ),
        POOR,
    )
    met = (found.rpo_met, found.rto_met, found.backup_time_met, found.restore_time_met, found.success_met)
    assert met == (False,) * 5
    assert found.lost_rows == 10


def test_success_rate_needs_backups() -> None:
    assert SuccessRate().ratio is None
    assert POOR.ratio == 29 / 30


def with_schedule(source: Source = APP, **changes: object) -> Source:
    return replace(source, schedule=replace(source.schedule, **changes))  # type: ignore[arg-type]


def test_monthly_tests_are_up_to_five_weeks_apart() -> None:
    assert longest_interval("0 4 * * L5", "UTC", NOW) == 35 * D
    assert longest_interval("0 2 * * *", "Europe/Zurich", NOW) == 25 * H
    assert longest_interval("30 23 * * 1-5", "UTC", NOW) == 3 * D
    assert longest_interval("0 2 1 1 *", "UTC", NOW) >= 365 * D
    assert longest_interval("*/5 * * * *", "UTC", NOW) == timedelta(minutes=5)


def test_the_defaults_test_more_rarely_than_they_keep_and_check_says_so() -> None:
    latency = detection_latency(APP, NOW)
    assert (latency.test_interval, latency.retention, latency.is_met) == (35 * D, 28 * D, False)
    [finding] = check_detection(APP, NOW)
    assert "could stay unseen for 36.01 d (35 d between restore tests and 1.01 d until" in finding.message
    assert 'Raise retention.weekly of app to "37d"' in finding.hint


@pytest.mark.parametrize(
    "source",
    [
        replace(APP, retention={**APP.retention, BackupKind.WEEKLY: KeepRule(age=37 * D)}),
        replace(APP, retention={**APP.retention, BackupKind.WEEKLY: KeepRule(age=None, minimum_count=8)}),
        replace(APP, retention={**APP.retention, BackupKind.DAILY: KeepRule(age=7 * D, monthly=3)}),
        replace(APP, restore_test_after_backup=True),
        with_schedule(restore_test="0 4 * * 6"),
    ],
)
def test_changing_one_number_satisfies_the_rule(source: Source) -> None:
    assert list(check_detection(source, NOW)) == []


def test_following_the_advice_is_enough() -> None:
    [finding] = check_detection(APP, NOW)
    days = int(finding.hint.split('"')[1].removesuffix("d"))
    followed = replace(APP, retention={**APP.retention, BackupKind.WEEKLY: KeepRule(age=days * D)})
    assert list(check_detection(followed, NOW)) == []


def test_a_schedule_that_cannot_keep_the_objective_is_found() -> None:
    assert list(check_objective(APP, timedelta(minutes=5), NOW)) == []
    assert list(check_objective(APP, None, NOW)) == []
    [slow] = check_objective(APP, 3 * H, NOW)
    assert slow.message.endswith(
        "24 h apart and take 3 h, objectives.rpo is 24 h with 2 h of grace: it will be missed although all goes well"
    )
    [rare] = check_objective(replace(APP, objectives=Objectives(rpo=12 * H)), None, NOW)
    assert "up to 24 h apart" in rare.message
    workdays = replace(APP, schedule=Schedule(daily="0 2 * * 1-5"))
    assert [finding.check for finding in check_objective(workdays, None, NOW)] == ["objective"]


@pytest.mark.parametrize(
    ("seconds", "texts"),
    [
        ((98 * 3600, 38 * 3600), ("98 h", "38 h")),
        ((26 * 3600 + 400, 26 * 3600), ("26.1 h", "26.0 h")),
        ((24 * 3600 + 60, 24 * 3600), ("24 h 1 min", "24 h")),
        ((36 * 86400 + 180, 36 * 86400), ("36 d 3 min", "36 d")),
        ((40 * 86400, 36 * 86400), ("40 d", "36 d")),
        ((0, 86400), ("0 h", "24 h")),
        ((0.0, 0.0), ("0 s", "0 s")),
        ((1.02, 1.01), ("1.0 s", "1.0 s")),
        # Numbers of very different size have units of their own: never thousands of anything.
        ((45, 36 * 86400), ("45 s", "36 d")),
        ((12 * 60, 24 * 3600), ("12 min", "24 h")),
        ((100, 900), ("100 s", "15 min")),
        ((49 * 3600, 24 * 3600, 300), ("49 h", "24 h", "5 min")),
        ((0, 45, 86400), ("0 s", "45 s", "24 h")),
    ],
)
def test_durations_of_one_sentence_share_a_unit_that_suits_them(
    seconds: tuple[float, ...], texts: tuple[str, ...]
) -> None:
    assert format_alike(*seconds) == texts


@example([120, 35970])  # rounded to whole minutes, the second is 600
@given(st.lists(st.integers(0, 4000 * 86400), min_size=1, max_size=4))
def test_whole_seconds_that_differ_never_read_the_same(seconds: list[int]) -> None:
    texts = format_alike(*seconds)
    assert len(set(texts)) == len(set(seconds))
    assert all(float(text.split()[0]) < 600 for text in texts if not text.endswith("d"))
