"""Controls: met only by facts, not met with every exception, not measured where nobody knows."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.backup import BackupKind
from shared.domain.compliance import ComplianceReport, judge_period
from shared.domain.compliance_facts import (
    PastAction,
    PastExpiry,
    PastVerification,
    PeriodFacts,
    RepositoryFact,
    SourceRecord,
    TrailFact,
)
from shared.domain.control import ControlResult, Status
from shared.domain.period import Stretch
from shared.domain.proof import Outcome
from shared.domain.source import Objectives, Source
from tests.support.compliance_facts import (
    LAST_FRIDAY,
    OCTOBER,
    attempt,
    failure,
    incident,
    quiet_month,
    quiet_source,
    restore_test,
    without,
)


def at(day: int, hour: int = 2, minute: int = 0) -> datetime:
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


def control(facts: PeriodFacts, name: str) -> ControlResult:
    return next(item for item in judge_period(facts).controls if item.control.id == name)


def sentences(result: ControlResult) -> list[str]:
    return [item.sentence for item in result.deviations]


def of_source(record: SourceRecord, name: str) -> ControlResult:
    return control(quiet_month(record), name)


def test_a_quiet_month_meets_everything_that_can_be_measured() -> None:
    report = judge_period(quiet_month(incidents=(incident(1, at(3), closed_at=at(3, 4)),)))

    assert {item.control.id for item in report.controls if item.status is not Status.MET} == {
        "store-protected",
        "access-reviewed",
    }
    assert report.finding == "October 2026: 14 of 16 controls met, 2 not measured"
    assert report.notes == ()


def test_every_control_names_what_it_supports_and_none_claims_to_fulfil_it() -> None:
    for item in judge_period(quiet_month()).controls:
        assert item.control.supports
        text = f"{item.control.title} {item.control.limits} {item.summary}".lower()
        assert not {"complies", "compliant", "certified", "guarantee"} & set(text.split())


def test_missing_backups_are_exceptions_with_their_error_and_neighbours_are_one() -> None:
    record = without(quiet_source(), at(5), at(6), at(7), at(20))
    record = replace(record, attempts=(*record.attempts, failure(at(6)), failure(at(7), "the disk is full")))

    result = of_source(record, "frequency")

    assert result.status is Status.NOT_MET
    assert dict(result.evidence) == {"backups expected": 31, "backups that came": 27, "failed attempts": 2}
    assert sentences(result) == [
        "3 backups due from 2026-10-05T02:00:00Z to 2026-10-07T02:00:00Z did not come; last error: the disk is full",
        "1 backup due at 2026-10-20T02:00:00Z did not come",
    ]


def test_a_late_backup_counts_and_the_agreed_success_rate_decides() -> None:
    late = without(quiet_source(), at(5))
    late = replace(late, attempts=(*late.attempts, failure(at(5)), attempt(at(5, 9))))
    relaxed = replace(
        without(quiet_source(), at(5)), policy=Source(name="app", objectives=Objectives(success_rate=0.95))
    )

    assert of_source(late, "frequency").status is Status.MET
    assert of_source(relaxed, "frequency").status is Status.MET


def test_exposure_past_its_objective_is_told_with_how_long_and_how_bad() -> None:
    result = of_source(without(quiet_source(), at(5), at(6)), "recovery-point")

    assert result.status is Status.NOT_MET
    assert [item.at for item in result.deviations] == [at(5, 4) + timedelta(seconds=1)]
    assert sentences(result) == ["for 46 h 1 min the newest recovery point was older than 26 h, at worst 72 h"]
    measured = dict(result.evidence)
    assert measured["minutes judged"] - measured["minutes within the objective"] == 46 * 60 + 2


def test_proven_exposure_counts_only_what_had_passed_by_then() -> None:
    tested_late = quiet_source(tests=(restore_test(datetime(2026, 9, 4, 4, tzinfo=UTC)), restore_test(LAST_FRIDAY)))

    result = of_source(tested_late, "proven-recovery-point")

    assert of_source(quiet_source(), "proven-recovery-point").status is Status.MET
    assert result.status is Status.NOT_MET
    assert result.deviations[0].at == OCTOBER.begins_at, "nothing of the backup that was tested is known"


def test_a_failed_restore_test_is_an_exception_even_when_another_passed() -> None:
    failed = restore_test(at(30, 3), Outcome.FAILED, findings=("public.orders: 1000 rows are missing",))
    record = quiet_source()

    result = of_source(replace(record, tests=(*record.tests, failed)), "restore-tested")

    assert result.status is Status.NOT_MET
    assert sentences(result) == [
        "the restore test of 20261030T020000Z-app-7f3a failed: public.orders: 1000 rows are missing"
    ]


def test_a_restore_test_that_was_due_and_did_not_pass_is_an_exception_not_a_gap() -> None:
    record = quiet_source(tests=(restore_test(LAST_FRIDAY, Outcome.NOT_MEASURED),))

    result = of_source(record, "restore-tested")

    # The last Friday lies more than a day before the end, so the test was due.
    assert result.status is Status.NOT_MET
    assert sentences(result) == [
        "the restore test due at 2026-10-30T04:00:00Z did not pass before the next one was due"
    ]


def test_where_no_restore_test_was_due_nothing_is_measured() -> None:
    facts = quiet_month(quiet_source(tests=()), until=at(20))

    assert control(facts, "restore-tested").status is Status.NOT_MEASURED
    assert control(facts, "recovery-time").status is Status.NOT_MEASURED


def test_a_slow_restore_misses_the_recovery_time_objective() -> None:
    result = of_source(
        quiet_source(tests=(restore_test(LAST_FRIDAY, recovery_time_seconds=5 * 3600.0),)), "recovery-time"
    )

    assert result.status is Status.NOT_MET
    assert sentences(result) == ["the restore test needed 5 h, 4 h are agreed"]


def test_a_backup_that_retention_let_go_too_early_is_an_exception() -> None:
    early = PastExpiry(
        backup_id="x", kind=BackupKind.WEEKLY, recovery_point_at=at(1), decided_at=at(9), reason="weekly, 8 d old"
    )

    result = of_source(quiet_source(expiries=(early,)), "retention")

    assert sentences(result) == ["expired 8 d old, 28 d are agreed for weekly backups"]


def test_a_backup_that_vanished_is_an_exception() -> None:
    result = of_source(quiet_source(removed={"x": at(9)}), "removal")

    assert (result.status, [item.object for item in result.deviations]) == (Status.NOT_MET, ["x"])


def test_a_verify_run_that_found_damage_is_an_exception_and_none_is_no_answer() -> None:
    bad = PastVerification(source="app", outcome=Outcome.FAILED, finished_at=at(10), objects_checked=4, findings=2)
    outside = replace(bad, finished_at=OCTOBER.ends_at)

    assert sentences(of_source(quiet_source(verifications=(bad,)), "verified")) == ["a verify run found 2 problems"]
    assert of_source(quiet_source(verifications=(outside,)), "verified").status is Status.NOT_MEASURED


def test_a_red_incident_that_nobody_took_up_and_that_did_not_end_is_an_exception() -> None:
    open_one = incident(1, at(30, 0))
    known = incident(2, at(30, 0), acknowledged_at=at(30, 1), acknowledged_by="ada")
    later = incident(3, at(30, 0), closed_at=OCTOBER.ends_at + timedelta(hours=1))
    yellow = incident(4, at(30, 0), worst="yellow")

    result = control(quiet_month(incidents=(open_one, known, later, yellow)), "incidents")

    assert [item.object for item in result.deviations] == ["app#1", "app#3"]
    assert dict(result.evidence) == {
        "sources watched": 1,
        "incidents": 4,
        "taken up by a person": 1,
        "ended": 0,
        "hours not watched": 0,
    }


def test_without_a_watch_no_incident_is_not_a_good_sign() -> None:
    assert control(quiet_month(watched_since=None), "incidents").status is Status.NOT_MEASURED
    assert control(quiet_month(), "incidents").status is Status.MET


def test_while_nobody_watched_no_incident_is_no_good_sign_either() -> None:
    short = (Stretch(at(3), at(3) + timedelta(hours=23)),)
    long = (*short, Stretch(at(20), at(20) + timedelta(hours=2)))

    result = control(quiet_month(unwatched=long), "incidents")
    assert result.status is Status.NOT_MEASURED
    assert "nobody watched from 2026-10-03T02:00:00Z to 2026-10-04T01:00:00Z" in result.summary
    assert dict(result.evidence)["hours not watched"] == 25

    result = control(quiet_month(unwatched=short), "incidents")
    assert (result.status, dict(result.evidence)["hours not watched"]) == (Status.MET, 23)


def test_nobody_has_to_watch_before_there_is_a_source() -> None:
    before = (Stretch(OCTOBER.begins_at, at(20)),)
    source = quiet_source(first_record_at=at(20))
    assert dict(control(quiet_month(source, unwatched=before), "incidents").evidence)["hours not watched"] == 0


def test_what_is_open_is_not_met_whether_or_not_somebody_watched_all_the_time() -> None:
    open_one = incident(1, opened_at=at(4))
    result = control(quiet_month(incidents=(open_one,), unwatched=(Stretch(at(5), at(9)),)), "incidents")
    assert result.status is Status.NOT_MET
    assert [item.is_measured for item in result.deviations] == [True, False]


def test_what_people_did_needs_a_reason() -> None:
    bare = PastAction(seq=9, at=at(4), actor="bob", action="restore.passed", object="b1")
    access = PastAction(seq=10, at=at(5), actor="bob", action="person.set", object="eve")

    result = control(quiet_month(actions=(bare, access)), "actions")

    assert sentences(result) == [
        "bob: restored, and it was proven, and gave no reason",
        "bob: gave a person access, and gave no reason",
    ]
    assert control(quiet_month(actions=()), "actions").status is Status.NOT_MEASURED
    assert dict(control(quiet_month(actions=(access,)), "access-reviewed").evidence)["changes of access"] == 1


def test_a_broken_audit_trail_is_not_met() -> None:
    broken = TrailFact(entry_count=812, problem="entry 17 does not fit its hash")

    assert sentences(control(quiet_month(trail=broken), "audit-trail")) == ["entry 17 does not fit its hash"]


def test_where_the_place_of_the_repository_is_not_known_it_is_not_guessed() -> None:
    facts = quiet_month(repository=RepositoryFact(place="file:///srv/backups", is_elsewhere=None, recipients=1))

    assert control(facts, "elsewhere").status is Status.NOT_MEASURED


def test_a_source_is_judged_from_its_first_record_and_the_report_says_so() -> None:
    begin = at(20, 1)
    young = quiet_source(
        first_record_at=begin,
        attempts=tuple(attempt(at(day)) for day in range(20, 32)),
        tests=(restore_test(LAST_FRIDAY),),
    )

    report = judge_period(quiet_month(young))

    assert report.notes == ("app: judged from 2026-10-20T01:00:00Z, its first record; before that nothing is known.",)
    assert {item.control.id for item in report.controls if item.status is Status.NOT_MET} == set()
    frequency = next(item for item in report.controls if item.control.id == "frequency")
    assert dict(frequency.evidence)["backups expected"] == 12


def test_a_source_that_never_backed_up_is_not_green() -> None:
    empty = SourceRecord(name="app", policy=Source(name="app"), first_record_at=at(2))
    unmet = {item.control.id: item.status for item in judge_period(quiet_month(empty)).controls}

    assert unmet["scheduled"] is unmet["frequency"] is unmet["recovery-point"] is Status.NOT_MET
    assert unmet["verified"] is unmet["recovery-time"] is unmet["retention"] is Status.NOT_MEASURED


def test_a_source_without_any_record_is_not_measured_and_named() -> None:
    strangers = (SourceRecord(name="new", policy=Source(name="new")), quiet_source("old", policy=None))

    report = judge_period(quiet_month(quiet_source(), *strangers))

    assert report.notes == (
        "new: nothing was ever recorded of it; it is not measured.",
        "Recorded, but not in the configuration any more, and so not judged: old.",
    )
    frequency = next(item for item in report.controls if item.control.id == "frequency")
    assert (frequency.status, frequency.met, frequency.not_measured) == (Status.NOT_MEASURED, 1, 1)
    assert frequency.summary == "Met for 1 of 2 sources, not measured for 1."


def test_a_source_that_was_added_later_does_not_change_the_report_of_earlier_months() -> None:
    later = quiet_source("later", first_record_at=OCTOBER.ends_at + timedelta(days=2), attempts=(), tests=())

    report = judge_period(quiet_month(quiet_source(), later))

    assert report.notes == ("later: its first record is of 2026-11-03T00:00:00Z; it is left out.",)
    assert replace(report, notes=()) == judge_period(quiet_month())


def test_a_period_that_is_not_over_is_judged_until_now() -> None:
    report = judge_period(quiet_month(until=at(20, 12)))

    assert report.notes[0] == "The period is not over: judged until 2026-10-20T12:00:00Z."
    frequency = next(item for item in report.controls if item.control.id == "frequency")
    assert dict(frequency.evidence)["backups expected"] == 20


@pytest.mark.parametrize("change", ["attempt", "test", "incident"])
def test_what_came_after_the_end_changes_nothing(change: str) -> None:
    late = OCTOBER.ends_at + timedelta(hours=3)
    record = quiet_source()
    changed = quiet_month(record)
    if change == "attempt":
        changed = quiet_month(replace(record, attempts=(*record.attempts, failure(late))))
    elif change == "test":
        changed = quiet_month(replace(record, tests=(*record.tests, restore_test(late, Outcome.FAILED))))
    else:
        opened = incident(1, at(30))
        taken_up = replace(opened, acknowledged_at=late, acknowledged_by="ada")
        assert _statuses(judge_period(quiet_month(incidents=(opened,)))) == _statuses(
            judge_period(quiet_month(incidents=(taken_up,)))
        )
    assert judge_period(changed) == judge_period(quiet_month())


def _statuses(report: ComplianceReport) -> list[tuple[str, Status, str]]:
    return [(item.control.id, item.status, item.summary) for item in report.controls]
