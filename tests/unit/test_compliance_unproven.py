"""Controls without evidence: never proven, never made, never looked at is never met."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain.compliance import judge_period
from shared.domain.compliance_facts import PastAction, PastVerification, PeriodFacts, SourceRecord, TrailFact
from shared.domain.compliance_sources import CONTROLS
from shared.domain.control import ControlResult, Status
from shared.domain.proof import Outcome
from shared.domain.source import Source
from tests.support.compliance_facts import OCTOBER, attempt, failure, quiet_month, quiet_source, restore_test

BEGIN = datetime(2026, 10, 31, 1, 30, tzinfo=UTC)
FIRST_DAY = attempt(datetime(2026, 10, 31, 2, tzinfo=UTC))
EMPTY_MONTH = replace(quiet_month(), sources=(), actions=(), trail=TrailFact())


def control(facts: PeriodFacts, name: str) -> ControlResult:
    return next(item for item in judge_period(facts).controls if item.control.id == name)


def evidence(result: ControlResult) -> dict[str, int]:
    return dict(result.evidence)


def young(**changes: Any) -> SourceRecord:
    """A source of the period's last day, with one backup and nothing else."""
    return replace(
        quiet_source(first_record_at=BEGIN, attempts=(FIRST_DAY,), tests=(), verifications=(), expiries=()), **changes
    )


def test_a_source_that_was_never_proven_is_not_within_its_proven_objective() -> None:
    result = control(quiet_month(young()), "proven-recovery-point")

    assert (result.status, result.met) == (Status.NOT_MEASURED, 0)
    assert evidence(result) == {
        "minutes within the objective": 0,
        "minutes judged": 0,
        "minutes before the first was due": 1350,
    }
    assert [item.sentence for item in result.deviations] == [
        "no proven recovery point yet; the first is due by 2026-12-06T01:30:00Z"
    ]


def test_a_proven_source_beside_one_that_never_was_is_one_of_two() -> None:
    result = control(
        quiet_month(quiet_source(), young(name="shop", policy=Source(name="shop"))), "proven-recovery-point"
    )

    assert result.summary == "Met for 1 of 2 sources, not measured for 1."


def test_the_time_before_the_first_proof_is_neither_good_nor_bad() -> None:
    tested = restore_test(datetime(2026, 10, 31, 13, 18, tzinfo=UTC), backup_id=FIRST_DAY.backup_id)

    result = control(quiet_month(young(tests=(tested,))), "proven-recovery-point")

    assert result.status is Status.MET
    assert evidence(result) == {
        "minutes within the objective": 630,
        "minutes judged": 630,
        "minutes before the first was due": 720,
    }


def test_the_summary_of_a_source_does_not_call_the_age_of_its_first_record_exposure() -> None:
    (summary,) = judge_period(quiet_month(young())).sources

    assert (summary.worst_proven, summary.is_proof_judged) == (None, False)
    assert (summary.worst_exposure, summary.is_exposure_judged) == (timedelta(hours=22) - timedelta(seconds=1), True)


def test_where_the_objective_passed_without_a_proof_it_is_broken() -> None:
    old = quiet_source(tests=(), attempts=tuple(replace(item, gone_at=None) for item in quiet_source().attempts))

    result = control(quiet_month(old), "proven-recovery-point")

    assert (result.status, evidence(result)["minutes within the objective"]) == (Status.NOT_MET, 0)


@pytest.mark.parametrize("name", [item.control.id for item in judge_period(EMPTY_MONTH).controls])
def test_no_control_is_met_without_anything_to_look_at(name: str) -> None:
    """Everything is set up: a watch, keys, a place for backups; but there is nothing yet."""
    unknown = SourceRecord(name="app", policy=Source(name="app"), first_record_at=OCTOBER.ends_at - timedelta(hours=1))

    for facts in (EMPTY_MONTH, replace(EMPTY_MONTH, sources=(unknown,))):
        result = control(facts, name)
        if name == "incidents" and facts.sources:
            continue  # a source was watched and nothing happened: that was looked at
        assert result.status is Status.NOT_MEASURED, result.summary
        assert "met" not in result.summary.lower().split() or result.met == 0


@pytest.mark.parametrize("control_id", [item.id for item, _ in CONTROLS])
def test_what_was_examined_stands_behind_every_pass_of_a_source(control_id: str) -> None:
    result = control(quiet_month(), control_id)

    assert result.status is Status.MET
    assert any(count for _, count in result.evidence)


def test_backups_that_only_began_are_no_sign_that_the_schedule_backs_up() -> None:
    failing = young(attempts=(failure(datetime(2026, 10, 31, 2, tzinfo=UTC)),))

    result = control(quiet_month(failing), "scheduled")

    assert result.status is Status.NOT_MET
    assert [item.sentence for item in result.deviations] == ["no scheduled backup was completed, 1 began and 1 was due"]


def test_a_restore_that_failed_met_no_recovery_time() -> None:
    failed = restore_test(datetime(2026, 10, 31, 13, tzinfo=UTC), Outcome.FAILED, backup_id=FIRST_DAY.backup_id)

    assert control(quiet_month(young(tests=(failed,))), "recovery-time").status is Status.NOT_MEASURED


def test_a_restore_test_that_measured_nothing_is_told_as_such() -> None:
    blind = restore_test(datetime(2026, 10, 31, 13, tzinfo=UTC), Outcome.NOT_MEASURED, backup_id=FIRST_DAY.backup_id)

    result = control(quiet_month(young(tests=(blind,))), "restore-tested")

    assert [item.sentence for item in result.deviations] == [
        "no restore test was due, and of 1 made none came to a result"
    ]


@pytest.mark.parametrize("objects", [0, 9])
def test_a_verify_run_that_read_nothing_of_a_source_says_nothing_of_it(objects: int) -> None:
    run = PastVerification(source="", outcome=Outcome.PASSED, finished_at=BEGIN, objects_checked=objects)

    assert control(quiet_month(young(verifications=(run,))), "verified").status is Status.NOT_MEASURED


def test_access_that_was_given_without_a_reason_is_counted() -> None:
    at = datetime(2026, 10, 4, 9, tzinfo=UTC)
    given = PastAction(seq=9, at=at, actor="bob", action="person.set", object="eve", reason="audit")
    bare = PastAction(seq=10, at=at, actor="bob", action="key.revoke", object="ci")

    result = control(quiet_month(actions=(given, bare)), "actions")

    assert evidence(result) == {"actions of people": 2, "with name and reason": 1}
    assert [(item.object, item.sentence) for item in result.deviations] == [
        ("ci", "bob: ended a key, and gave no reason")
    ]


def test_who_has_no_name_is_told_as_such() -> None:
    nameless = PastAction(seq=9, at=BEGIN, actor=" ", action="hold.place", object="b1", reason="case 7")

    result = control(quiet_month(actions=(nameless,)), "actions")

    assert [item.sentence for item in result.deviations] == ["somebody without a name: held a backup"]


def test_that_nothing_vanished_is_known_only_where_somebody_compared() -> None:
    result = control(quiet_month(young()), "removal")

    assert [item.sentence for item in result.deviations] == [
        "no verify run or cleanup compared the repository with the catalog in the period"
    ]
