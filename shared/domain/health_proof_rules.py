"""Health, second part: does what we have restore, as far as anybody has tried, and soon enough?"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.domain.health_backup_rules import Rule, expected_before, is_future
from shared.domain.health_reason import Colour, Reason, ReasonCode
from shared.domain.prediction import Prediction, predict_recovery
from shared.domain.proof import Outcome
from shared.domain.schedule import cron_expression
from shared.domain.source import Source
from shared.domain.source_facts import RestoreTestFact, SourceFacts
from shared.units import format_alike, format_bytes, format_minute

VERIFY_OVERDUE_AFTER = timedelta(days=15)
"""Verify runs weekly: two of its times, and a day of grace."""


def judge_proof(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A proven backup must be there, and younger than its own objective."""
    if facts.proven is None:
        yield from _judge_unproven(source, facts, now)
        return
    objective, begin = source.objectives.proven, facts.proven.recovery_point_at
    age = now - begin
    shown_age, shown_objective = _alike(max(age, timedelta(0)), objective)
    if age > objective:
        red_after = objective * source.health.red_factor
        yield Reason(
            code=ReasonCode.PROVEN_STALE,
            colour=Colour.RED if age > red_after else Colour.YELLOW,
            sentence=f"the newest proven backup is {shown_age} old, objective {shown_objective}",
            action=f"Prove the newest one: `goldcopy restore-test {source.name}`",
            since=begin + (red_after if age > red_after else objective),
        )
    elif not is_future(source, max(begin, facts.proven.tested_at), now):
        yield Reason(
            code=ReasonCode.PROVEN_FRESH,
            colour=Colour.GREEN,
            sentence=f"the newest proven backup is {shown_age} old, objective {shown_objective}; "
            f"it was restored and compared at {format_minute(facts.proven.tested_at)}",
            since=facts.proven.tested_at,
        )


def _judge_unproven(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """Never proven is yellow at best, and red once there was time to prove something several times over."""
    begin = facts.first_backup_at or (facts.newest.recovery_point_at if facts.newest else None)
    if begin is None:
        return  # without any backup there is nothing to prove, and that is red already
    red_after = source.objectives.proven * source.health.red_factor
    age = max(now - begin, timedelta(0))
    shown_age, shown_limit = _alike(age, source.objectives.proven)
    yield Reason(
        code=ReasonCode.NEVER_PROVEN,
        colour=Colour.RED if age > red_after else Colour.YELLOW,
        sentence=f"no backup that is still good has been proven to restore; the first backup was {shown_age} ago, "
        f"objective {shown_limit}",
        action=f"Prove the newest one: `goldcopy restore-test {source.name}`",
        since=begin + red_after if age > red_after else begin,
    )


def judge_tests(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """The last restore test must not have failed, and must have been one; nor may the newest backup fail its own."""
    del now
    failed = _failed_test(facts)
    if failed is not None:
        yield Reason(
            code=ReasonCode.TEST_FAILED,
            colour=Colour.RED,
            sentence=f"the restore test of {failed.backup_id} failed at {format_minute(failed.finished_at)}",
            action=f"Read what differs (`goldcopy show {failed.backup_id}`), take another backup, and test it: "
            f"`goldcopy restore-test {source.name}`",
            since=failed.finished_at,
        )
    last = facts.last_test
    if last is not None and last.outcome is Outcome.NOT_MEASURED:
        yield Reason(
            code=ReasonCode.TEST_NOT_MEASURED,
            colour=Colour.UNKNOWN,
            sentence=f"the last restore test, at {format_minute(last.finished_at)}, could not measure everything, "
            "so nobody knows whether that backup restores",
            action=f"See what was missing (`goldcopy show {last.backup_id}`), and test again: "
            f"`goldcopy restore-test {source.name}`",
            since=last.finished_at,
        )


def _failed_test(facts: SourceFacts) -> RestoreTestFact | None:
    """The newest failure that no later test took back: one of the same backup, or of one that is at least as new.

    That an older backup restores says nothing of what came after it.
    """
    known = [*facts.tests, *([facts.last_decisive] if facts.last_decisive else [])]
    decisive = [test for test in known if test.outcome is not Outcome.NOT_MEASURED]
    passed = [test for test in decisive if test.outcome is Outcome.PASSED]
    standing = [
        test
        for test in decisive
        if test.outcome is Outcome.FAILED
        and not any(item.finished_at > test.finished_at and _begun(item) >= _begun(test) for item in passed)
    ]
    return max(standing, key=lambda test: test.finished_at, default=None)


def _begun(test: RestoreTestFact) -> str:
    """When the tested backup began, as its name begins: `20261121T020000Z`."""
    return test.backup_id[:16]


def judge_test_schedule(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A restore test must have begun, grace after its time at the latest."""
    schedule = source.schedule
    cron = cron_expression(schedule.restore_test)
    expected = expected_before(cron, schedule.timezone, now - schedule.restore_test_grace)
    if facts.first_backup_at is None or facts.first_backup_at > expected:
        return
    begun = [run.started_at for run in facts.running if run.operation == "restore-test"]
    begun += [facts.last_test.started_at] if facts.last_test else []
    if any(at >= expected - source.health.clock_tolerance for at in begun):
        return
    last = f"the last one began at {format_minute(max(begun))}" if begun else "there never was one"
    yield Reason(
        code=ReasonCode.TEST_OVERDUE,
        colour=Colour.YELLOW,
        sentence=f"the restore test expected at {format_minute(expected)} has not begun; {last}",
        action=f"Look whether schedules fire (`goldcopy check`), and test now: `goldcopy restore-test {source.name}`",
        since=expected + schedule.restore_test_grace,
    )


def judge_verify(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """The last reading of the stored bytes must have found them whole."""
    del source, now
    at, outcome = facts.last_verified_at, facts.last_verified_outcome
    if at is None or outcome in {None, Outcome.PASSED}:
        return
    failed = outcome is Outcome.FAILED
    yield Reason(
        code=ReasonCode.VERIFY_FAILED if failed else ReasonCode.VERIFY_NOT_MEASURED,
        colour=Colour.YELLOW if failed else Colour.UNKNOWN,
        sentence=f"the last verify, at {format_minute(at)}, found stored bytes missing or changed"
        if failed
        else f"the last verify, at {format_minute(at)}, could not read everything",
        action="Read it again: `goldcopy verify --all`",
        since=at,
    )


def judge_verify_schedule(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """All stored bytes must have been read again, by a run that came to its end."""
    del source
    begin = facts.last_verified_whole_at or facts.first_backup_at
    if begin is None or (facts.newest is None and not facts.damaged) or now - begin <= VERIFY_OVERDUE_AFTER:
        return
    shown, limit = _alike(now - begin, VERIFY_OVERDUE_AFTER)
    yield Reason(
        code=ReasonCode.VERIFY_OVERDUE,
        colour=Colour.YELLOW,
        sentence=f"the last verify of all backups that came to its end was {shown} ago (limit {limit})"
        if facts.last_verified_whole_at
        else f"no verify of all backups has come to its end, and the first backup was {shown} ago (limit {limit})",
        action="Look whether the weekly verify runs and ends, and read everything now: `goldcopy verify --all`",
        since=begin + VERIFY_OVERDUE_AFTER,
    )


def judge_recovery(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A restore of today's size must be predicted to end within what was agreed."""
    del now
    predicted = predicted_recovery(facts)
    if predicted is None:
        return
    objectives = source.objectives
    limits = (
        (ReasonCode.RECOVERY_TOO_SLOW, "time to recover", objectives.rto, "objectives.rto"),
        (ReasonCode.RESTORE_TOO_SLOW, "time to restore", objectives.restore_time, "objectives.restore_time"),
    )
    size = format_bytes(predicted.dumped_bytes)
    for code, words, limit, key in sorted(limits, key=lambda item: item[2], reverse=True):
        if predicted.seconds > limit.total_seconds():
            shown, shown_limit = format_alike(predicted.seconds, limit.total_seconds())
            yield Reason(
                code=code,
                colour=Colour.YELLOW,
                sentence=f"restoring today's {size} would take about {shown}, objective for the {words} {shown_limit}",
                action=f"Restore with more jobs on a faster machine (scratch.jobs), or raise {key}",
                since=predicted.last_tested_at,
            )
            return
    shown, shown_limit = format_alike(predicted.seconds, objectives.restore_time.total_seconds())
    yield Reason(
        code=ReasonCode.RECOVERY_IN_TIME,
        colour=Colour.GREEN,
        sentence=f"restoring today's {size} would take about {shown}, objective {shown_limit}",
        since=predicted.last_tested_at,
    )


def predicted_recovery(facts: SourceFacts) -> Prediction | None:
    """Predict how long the newest backup would take to restore."""
    return predict_recovery(facts.tests, facts.newest.dumped_bytes) if facts.newest else None


def _alike(*durations: timedelta) -> tuple[str, ...]:
    return format_alike(*(duration.total_seconds() for duration in durations))


PROOF_RULES: tuple[Rule, ...] = (
    judge_tests,
    judge_proof,
    judge_test_schedule,
    judge_verify,
    judge_verify_schedule,
    judge_recovery,
)
