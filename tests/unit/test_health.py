"""The verdict, rule by rule, and what must hold whatever the facts are."""

import re
import shlex
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import click
import pytest

from shared.cli.main import cli
from shared.domain.backup import BackupKind
from shared.domain.health import Colour, SourceFacts, evaluate
from shared.domain.health_reason import COLOURS, Reason, worst
from shared.domain.proof import Outcome
from shared.domain.source import HealthRules, Objectives, Schedule
from shared.domain.source_facts import (
    DamagedBackup,
    FailedAttempt,
    OpenAnomaly,
    ProvenPoint,
    Reachability,
    RunningRun,
)
from tests.support.health_facts import APP, GB, LAST_NIGHT, NOW, good_facts, restore_point, restore_test

H, D = timedelta(hours=1), timedelta(days=1)


def codes(facts: SourceFacts | None, now: datetime = NOW) -> dict[str, Colour]:
    """Every reason that is not green."""
    return {
        reason.code: reason.colour for reason in evaluate(APP, facts, now).reasons if reason.colour is not Colour.GREEN
    }


def aged(age: timedelta) -> SourceFacts:
    at = NOW - age
    return good_facts(newest=restore_point(at), last_started=good_facts().last_started)


def failed(code: int | None, *, at: datetime = NOW - H) -> FailedAttempt:
    return FailedAttempt(backup_id="b", at=at, message="the server does not answer", code=code)


def damaged(at: datetime) -> DamagedBackup:
    return DamagedBackup(backup_id="bad", recovery_point_at=at, damaged_at=NOW - H)


A_BEFORE = "20260901T020000Z-app-0001"
FAILED_BETWEEN = restore_test(NOW - 2 * H, Outcome.FAILED, backup_id="20261001T020000Z-app-0002")
OLD_TEST = restore_test(NOW - 200 * D)

CASES: list[tuple[SourceFacts | None, dict[str, Colour]]] = [
    (good_facts(), {}),
    (None, {"no-facts": Colour.UNKNOWN}),
    (aged(25 * H), {}),  # within grace
    (aged(27 * H), {"backup-overdue": Colour.YELLOW}),
    (aged(49 * H), {"backup-stale": Colour.RED}),
    (SourceFacts(read_at=NOW), {"no-backup": Colour.RED}),
    (SourceFacts(read_at=NOW, unknown_backup_id="b"), {"catalog-lost": Colour.RED}),
    (
        good_facts(newest=None, damaged=(damaged(LAST_NIGHT),)),
        {"no-backup": Colour.RED, "backup-damaged": Colour.RED},
    ),
    (
        good_facts(newest=restore_point(NOW - 27 * H), damaged=(damaged(LAST_NIGHT),)),
        {"backup-damaged": Colour.RED, "backup-overdue": Colour.YELLOW},
    ),
    (good_facts(damaged=(damaged(NOW - 5 * D),)), {"backup-damaged": Colour.YELLOW}),
    (
        good_facts(failures_since_complete=1, last_failure=failed(22)),
        {"last-run-failed": Colour.YELLOW},
    ),
    (
        good_facts(failures_since_complete=2, last_failure=failed(21)),
        {"provider-outage": Colour.RED, "last-run-failed": Colour.YELLOW},
    ),
    (
        good_facts(failures_since_complete=1, last_failure=failed(41)),
        {"repository-unreachable": Colour.RED, "last-run-failed": Colour.YELLOW},
    ),
    (good_facts(failures_since_complete=0, last_failure=failed(41, at=NOW - 3 * D)), {}),
    (
        good_facts(repository=Reachability(is_reachable=False, asked_at=NOW, since=NOW - H)),
        {"repository-unreachable": Colour.RED},
    ),
    # A backup that came through afterwards says more than an older refusal.
    (good_facts(repository=Reachability(is_reachable=False, asked_at=LAST_NIGHT - H)), {}),
    (good_facts(repository=Reachability(is_reachable=True, asked_at=NOW)), {}),
    (
        good_facts(repository=Reachability(is_reachable=None, asked_at=NOW)),
        {"repository-not-measured": Colour.UNKNOWN},
    ),
    (good_facts(provider=Reachability(is_reachable=False, asked_at=NOW)), {"provider-outage": Colour.RED}),
    (good_facts(provider=Reachability(is_reachable=None, asked_at=NOW)), {"provider-not-measured": Colour.UNKNOWN}),
    (
        good_facts(last_started={BackupKind.DAILY: NOW - 28 * H, BackupKind.WEEKLY: LAST_NIGHT - 6 * D}),
        {"schedule-gap": Colour.YELLOW},
    ),
    # Any backup does for the daily one; the weekly one is kept longer and must come by itself, where there are any.
    (good_facts(last_started={BackupKind.MANUAL: NOW - H, BackupKind.WEEKLY: LAST_NIGHT - 6 * D}), {}),
    (good_facts(last_started={BackupKind.MANUAL: NOW - H}), {}),
    (good_facts(last_started={BackupKind.DAILY: LAST_NIGHT}), {"schedule-gap": Colour.YELLOW}),
    (good_facts(last_started={}), {"schedule-gap": Colour.YELLOW}),
    (
        good_facts(running=(RunningRun(operation="backup", started_at=NOW - 12 * H / 60, heartbeat_at=NOW - H / 5),)),
        {"run-lost": Colour.YELLOW},
    ),
    (
        good_facts(running=(RunningRun(operation="backup", started_at=NOW - H, heartbeat_at=NOW),)),
        {"backup-slow": Colour.YELLOW},
    ),
    (good_facts(newest=restore_point(duration_seconds=1801.0)), {"backup-slow": Colour.YELLOW}),
    (good_facts(proven=None, first_backup_at=NOW - 71 * D), {"never-proven": Colour.YELLOW}),
    (good_facts(proven=None, first_backup_at=NOW - 73 * D), {"never-proven": Colour.RED}),
    (good_facts(proven=ProvenPoint(backup_id="p", recovery_point_at=NOW - 36 * D, tested_at=NOW - H)), {}),
    (
        good_facts(proven=ProvenPoint(backup_id="p", recovery_point_at=NOW - 37 * D, tested_at=NOW - H)),
        {"proven-stale": Colour.YELLOW},
    ),
    (
        good_facts(proven=ProvenPoint(backup_id="p", recovery_point_at=NOW - 73 * D, tested_at=NOW - H)),
        {"proven-stale": Colour.RED},
    ),
    (
        good_facts(last_decisive=restore_test(outcome=Outcome.FAILED), last_test=restore_test(outcome=Outcome.FAILED)),
        {"test-failed": Colour.RED},
    ),
    # The newest backup failed; that an older one passed later does not mend it.
    (
        good_facts(
            tests=(
                restore_test(NOW - H, backup_id="20200101T020000Z-app-0001"),
                restore_test(NOW - 2 * H, Outcome.FAILED, backup_id=restore_point().backup_id),
            )
        ),
        {"test-failed": Colour.RED},
    ),
    # The same for one in between; one that is newer takes the failure back.
    (good_facts(tests=(restore_test(NOW - H, backup_id=A_BEFORE), FAILED_BETWEEN)), {"test-failed": Colour.RED}),
    (good_facts(tests=(restore_test(NOW - H, backup_id=FAILED_BETWEEN.backup_id), FAILED_BETWEEN)), {}),
    (good_facts(tests=(restore_test(NOW - H, backup_id="20261120T020000Z-app-0003"), FAILED_BETWEEN)), {}),
    (
        good_facts(last_test=restore_test(NOW - H, Outcome.NOT_MEASURED)),
        {"test-not-measured": Colour.UNKNOWN},
    ),
    (good_facts(last_test=OLD_TEST, last_decisive=OLD_TEST), {"test-overdue": Colour.YELLOW}),
    (
        good_facts(
            last_test=OLD_TEST,
            running=(RunningRun(operation="restore-test", started_at=NOW - H, heartbeat_at=NOW),),
        ),
        {},
    ),
    (
        good_facts(last_verified_at=NOW - D, last_verified_outcome=Outcome.FAILED),
        {"verify-failed": Colour.YELLOW},
    ),
    (
        good_facts(last_verified_at=NOW - D, last_verified_outcome=Outcome.NOT_MEASURED),
        {"verify-not-measured": Colour.UNKNOWN},
    ),
    (good_facts(last_verified_at=NOW - D, last_verified_outcome=Outcome.PASSED), {}),
    (good_facts(last_verified_whole_at=NOW - 15 * D), {}),
    (good_facts(last_verified_whole_at=NOW - 15 * D - H), {"verify-overdue": Colour.YELLOW}),
    (good_facts(last_verified_whole_at=None), {"verify-overdue": Colour.YELLOW}),
    (good_facts(last_verified_whole_at=None, first_backup_at=NOW - 14 * D), {}),
    (good_facts(newest=restore_point(dumped_bytes=10 * GB)), {"restore-too-slow": Colour.YELLOW}),
    (good_facts(newest=restore_point(dumped_bytes=200 * GB)), {"recovery-too-slow": Colour.YELLOW}),
    (
        good_facts(anomalies=(OpenAnomaly(rule="table-empty", sentence="public.orders is empty", found_at=NOW - H),)),
        {"anomaly": Colour.YELLOW},
    ),
    # Recorded silence is no second reason beside the rule that finds it.
    (good_facts(anomalies=(OpenAnomaly(rule="schedule-gap", sentence="none since Monday", found_at=NOW - D),)), {}),
    (
        good_facts(
            anomalies=(OpenAnomaly(rule="run-stuck", sentence="the run has been silent", found_at=NOW - H),),
            running=(RunningRun(operation="backup", started_at=NOW - H / 3, heartbeat_at=NOW - H / 3),),
        ),
        {"run-lost": Colour.YELLOW},
    ),
    (good_facts(read_at=NOW - H), {"catalog-stale": Colour.UNKNOWN}),
    (good_facts(newest=restore_point(NOW + H)), {"clock-wrong": Colour.UNKNOWN}),
    (good_facts(read_at=NOW + H), {"clock-wrong": Colour.UNKNOWN}),
]


@pytest.mark.parametrize(("facts", "expected"), CASES)
def test_reasons_follow_from_the_facts(facts: SourceFacts | None, expected: dict[str, Colour]) -> None:
    assert codes(facts) == expected
    assert evaluate(APP, facts, NOW).colour is worst([*expected.values(), Colour.GREEN])


def test_every_reason_has_a_case_in_each_of_its_colours() -> None:
    seen = {(reason.code, reason.colour) for facts, _ in CASES for reason in evaluate(APP, facts, NOW).reasons}
    assert seen == {(code, colour) for code, colours in COLOURS.items() for colour in colours}


def test_what_to_do_names_commands_that_exist() -> None:
    actions = {reason.action for facts, _ in CASES for reason in evaluate(APP, facts, NOW).reasons if reason.action}
    found = {command for action in actions for command in re.findall("`goldcopy ([^`]+)`", action)}
    assert len(found) > 8
    assert [action for action in actions if action.count("goldcopy ") != action.count("`goldcopy ")] == []
    for command in sorted(found):
        name, *arguments = shlex.split(command)
        loaded = cli.get_command(click.Context(cli), name)
        assert loaded is not None, command
        loaded.make_context(name, arguments)  # raises where it does not parse


def test_worst_reason_comes_first_and_nothing_is_lost() -> None:
    health = evaluate(APP, good_facts(proven=None, newest=restore_point(NOW - 60 * H), read_at=NOW - H), NOW)
    assert [reason.code for reason in health.reasons if reason.colour is not Colour.GREEN] == [
        "backup-stale",
        "never-proven",
        "catalog-stale",
    ]
    assert health.colour is Colour.RED


def test_what_is_known_of_nothing_is_unknown() -> None:
    assert worst([]) is Colour.UNKNOWN


def told(facts: SourceFacts, code: str) -> Reason:
    [reason] = [reason for reason in evaluate(APP, facts, NOW).reasons if reason.code == code]
    return reason


def test_what_a_backup_could_not_reach_is_told_as_that_and_a_backup_clears_it() -> None:
    seen = told(good_facts(failures_since_complete=1, last_failure=failed(21)), "provider-outage")
    assert seen.sentence == (
        "the last backup could not reach the server of app (2026-11-21 05:00 UTC): the server does not answer"
    )
    assert "`goldcopy backup app`" in seen.action
    seen = told(good_facts(failures_since_complete=1, last_failure=failed(41)), "repository-unreachable")
    assert seen.sentence.startswith("the last backup could not reach the repository (2026-11-21 05:00 UTC): ")
    assert "`goldcopy backup app`" in seen.action
    # What was asked later says more.
    asked = Reachability(is_reachable=False, asked_at=NOW, since=NOW - H, message="no answer")
    seen = told(good_facts(failures_since_complete=1, last_failure=failed(41), repository=asked), seen.code)
    assert seen.sentence == "the repository has not been reachable since 2026-11-21 05:00 UTC: no answer"
    back = Reachability(is_reachable=True, asked_at=NOW)
    assert codes(good_facts(failures_since_complete=1, last_failure=failed(41), repository=back)) == {
        "last-run-failed": Colour.YELLOW
    }


def test_failures_are_counted_and_dated() -> None:
    one = told(good_facts(failures_since_complete=1, last_failure=failed(22), failing_since=NOW - H), "last-run-failed")
    assert one.sentence == "the last backup failed (2026-11-21 05:00 UTC): the server does not answer"
    assert one.since == NOW - H
    two = good_facts(failures_since_complete=2, last_failure=failed(22), failing_since=NOW - 3 * H)
    assert told(two, "last-run-failed").sentence == (
        "the last 2 backups failed, the newest at 2026-11-21 05:00 UTC: the server does not answer"
    )
    assert told(two, "last-run-failed").since == NOW - 3 * H


def test_what_the_schedule_says_is_no_promise() -> None:
    all_bad = good_facts(newest=None, damaged=(damaged(LAST_NIGHT),))
    assert told(all_bad, "no-backup").sentence == (
        "no backup could be restored: nothing is protected; the schedule's next is 2026-11-22 02:00 UTC"
    )


def test_a_catalog_without_any_backup_claims_no_more_than_it_knows() -> None:
    nothing = told(SourceFacts(read_at=NOW), "no-backup")
    assert nothing.sentence.startswith("no backup is known: ")
    assert "`goldcopy backup app`" in nothing.action
    assert "`goldcopy rebuild-catalog`" in nothing.action
    lost = SourceFacts(read_at=NOW, unknown_backup_id="20261120T020000Z-app-7f3a")
    assert codes(lost) == {"catalog-lost": Colour.RED}
    assert "20261120T020000Z-app-7f3a" in told(lost, "catalog-lost").sentence
    assert "`goldcopy rebuild-catalog`" in told(lost, "catalog-lost").action


def test_numbers_of_a_sentence_have_one_unit() -> None:
    [reason] = [item for item in evaluate(APP, aged(98 * H), NOW).reasons if item.code == "backup-stale"]
    assert reason.sentence == "the newest backup is 98 h old, objective 24 h"
    assert reason.since == NOW - 50 * H


@pytest.mark.parametrize("minutes", [0, 8, 119])
def test_a_daily_job_that_starts_late_within_grace_is_no_breach(minutes: int) -> None:
    now = LAST_NIGHT + timedelta(minutes=minutes)
    yesterday = good_facts(
        read_at=now, newest=restore_point(LAST_NIGHT - D), last_started={k: v - D for k, v in DAILY.items()}
    )
    assert evaluate(APP, yesterday, now).colour is Colour.GREEN


DAILY = {BackupKind.DAILY: LAST_NIGHT, BackupKind.WEEKLY: LAST_NIGHT - 5 * D}


@pytest.mark.parametrize(
    ("now", "colour"),
    [
        # Zurich sets its clocks back on 25 October 2026: the daily backup comes 25 hours after the last one.
        (datetime(2026, 10, 25, 1, 30, tzinfo=UTC), Colour.GREEN),
        (datetime(2026, 10, 25, 3, 1, tzinfo=UTC), Colour.YELLOW),
    ],
)
def test_grace_counts_from_the_wall_clock_of_the_schedule(now: datetime, colour: Colour) -> None:
    source = replace(APP, schedule=Schedule(daily="0 2 * * *", weekly="0 2 1 1 *", timezone="Europe/Zurich"))
    before = datetime(2026, 10, 24, 0, 0, tzinfo=UTC)  # 02:00 in summer; the next 02:00 is 01:00 UTC, in winter
    facts = good_facts(
        read_at=now,
        newest=restore_point(before),
        last_started={BackupKind.DAILY: before, BackupKind.WEEKLY: before},
        proven=ProvenPoint(backup_id="p", recovery_point_at=before, tested_at=before + H),
        last_test=restore_test(before),
        last_decisive=restore_test(before),
        tests=(),
        first_backup_at=before,
    )
    assert evaluate(source, facts, now).colour is colour


def test_thresholds_come_from_the_source() -> None:
    strict = replace(
        APP,
        objectives=Objectives(rpo=3 * H, proven=D),
        schedule=Schedule(daily="0 */3 * * *", grace=H),
        health=HealthRules(red_factor=1.5),
    )
    health = evaluate(strict, good_facts(newest=restore_point(NOW - 5 * H)), NOW)
    assert {"backup-stale": Colour.RED, "proven-stale": Colour.RED}.items() <= {
        reason.code: reason.colour for reason in health.reasons
    }.items()


def test_a_new_source_is_not_late_before_its_first_night() -> None:
    health = evaluate(APP, good_facts(first_backup_at=NOW - H, last_started={BackupKind.MANUAL: NOW - H}), NOW)
    assert {reason.code for reason in health.reasons}.isdisjoint({"schedule-gap", "test-overdue"})
