"""What holds for every verdict, whatever the facts."""

from dataclasses import fields, replace
from datetime import datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.domain.backup import BackupKind
from shared.domain.health import Colour, ReasonCode, SourceFacts, evaluate
from shared.domain.health_reason import COLOURS
from shared.domain.proof import Outcome
from shared.domain.source import Objectives, Schedule, Source
from shared.domain.source_facts import (
    DamagedBackup,
    FailedAttempt,
    OpenAnomaly,
    ProvenPoint,
    Reachability,
    RestorePoint,
    RestoreTestFact,
    RunningRun,
)
from shared.errors import SourceUnreachable, StoreUnreachable
from tests.support.health_facts import GB, NOW, good_facts

# A busy machine is slow; that is no finding.
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
ORDER = list(Colour)
AGES = (st.integers(0, 180) | st.integers(0, 120 * 24 * 60)).map(lambda minutes: timedelta(minutes=minutes))
PAST = AGES.map(lambda age: NOW - age)
OUTCOMES = st.sampled_from(list(Outcome))
SOURCES = st.builds(
    Source,
    name=st.just("app"),
    schedule=st.builds(
        Schedule,
        daily=st.sampled_from(["0 2 * * *", "0 */6 * * *", "30 23 * * 1-5"]),
        timezone=st.sampled_from(["UTC", "Europe/Zurich", "Pacific/Auckland"]),
        grace=st.sampled_from([timedelta(0), timedelta(hours=2), timedelta(hours=60)]),
    ),
    objectives=st.builds(
        Objectives,
        rpo=st.sampled_from([timedelta(hours=1), timedelta(hours=24), timedelta(days=8)]),
        proven=st.sampled_from([timedelta(days=2), timedelta(days=36)]),
    ),
)


@st.composite
def restore_points(draw: st.DrawFn) -> RestorePoint:
    at = draw(PAST)
    return RestorePoint(
        backup_id="newest",
        recovery_point_at=at,
        finished_at=min(NOW, at + timedelta(minutes=5)),
        duration_seconds=draw(st.floats(0, 4000)),
        dumped_bytes=draw(st.integers(0, 100 * GB)),
    )


@st.composite
def restore_tests(draw: st.DrawFn, outcomes: st.SearchStrategy[Outcome] = OUTCOMES) -> RestoreTestFact:
    at = draw(PAST)
    return RestoreTestFact(
        id=f"t{draw(st.integers(0, 10**6))}",
        backup_id=draw(st.sampled_from(["newest", "older"])),
        outcome=draw(outcomes),
        started_at=at,
        finished_at=at,
        recovery_time_seconds=draw(st.none() | st.floats(1, 5000)),
        dumped_bytes=draw(st.integers(0, 10 * GB)),
    )


@st.composite
def nearly_good(draw: st.DrawFn) -> SourceFacts:
    """Facts in good order with a few values of others, so that green and nearly green are not rare."""
    good, other = good_facts(), draw(facts())
    changed = draw(st.lists(st.sampled_from([item.name for item in fields(SourceFacts)]), max_size=3))
    mixed = replace(good, **{name: getattr(other, name) for name in changed})
    points = [point.recovery_point_at for point in (mixed.newest, mixed.proven) if point is not None]
    known = [*points, *([mixed.first_backup_at] if mixed.first_backup_at else [])]
    return replace(mixed, first_backup_at=min(known, default=None))  # a backup without a first one cannot be


def reaches() -> st.SearchStrategy[Reachability | None]:
    return st.none() | st.builds(
        Reachability, is_reachable=st.sampled_from([True, False, None]), asked_at=PAST, message=st.just("why")
    )


@st.composite
def facts(draw: st.DrawFn) -> SourceFacts:
    newest, proven_at, first = draw(st.none() | restore_points()), draw(st.none() | PAST), draw(PAST)
    tests = sorted(draw(st.lists(restore_tests(), max_size=4)), key=lambda test: test.finished_at, reverse=True)
    decisive = [test for test in tests if test.outcome is not Outcome.NOT_MEASURED]
    known = [at for at in (first, newest.recovery_point_at if newest else None, proven_at) if at is not None]
    return SourceFacts(
        read_at=NOW - draw(st.sampled_from([timedelta(0), timedelta(hours=1)])),
        first_backup_at=min(known) if newest or proven_at else draw(st.none() | st.just(first)),
        newest=newest,
        proven=ProvenPoint(backup_id="p", recovery_point_at=proven_at, tested_at=proven_at) if proven_at else None,
        last_started=draw(st.dictionaries(st.sampled_from(list(BackupKind)), PAST)),
        last_completed_at=newest.finished_at if newest else None,
        failures_since_complete=draw(st.integers(0, 2)),
        tests=tuple(tests),
        last_test=tests[0] if tests else None,
        last_decisive=decisive[0] if decisive else None,
        running=tuple(draw(st.lists(running_runs(), max_size=2))),
        repository=draw(reaches()),
        provider=draw(reaches()),
        last_verified_at=NOW,
        last_verified_outcome=draw(st.none() | OUTCOMES),
    )


@st.composite
def running_runs(draw: st.DrawFn) -> RunningRun:
    began, beat = sorted([draw(PAST), draw(PAST)])
    return RunningRun(
        operation=draw(st.sampled_from(["backup", "restore-test", "verify"])), started_at=began, heartbeat_at=beat
    )


def colour(source: Source, known: SourceFacts, now: datetime = NOW) -> int:
    return ORDER.index(evaluate(source, known, now).colour)


@UNHURRIED
@given(SOURCES, facts() | nearly_good(), AGES)
def test_time_alone_never_makes_it_better(source: Source, known: SourceFacts, later: timedelta) -> None:
    assert colour(source, known, NOW + later) <= colour(source, known)


@UNHURRIED
@given(SOURCES, facts() | nearly_good(), st.data())
def test_a_bad_fact_never_makes_it_better(source: Source, known: SourceFacts, data: st.DataObject) -> None:
    failed_test = data.draw(restore_tests(st.just(Outcome.FAILED)))
    failed_test = replace(failed_test, started_at=NOW, finished_at=NOW)
    code = data.draw(st.sampled_from([None, 22, SourceUnreachable.code, StoreUnreachable.code]))
    changes: list[dict[str, object]] = [
        {"damaged": (DamagedBackup(backup_id="d", recovery_point_at=NOW, damaged_at=NOW),)},
        {"newest": None, "damaged": (DamagedBackup(backup_id="d", recovery_point_at=NOW, damaged_at=NOW),)},
        {"proven": None},
        {
            "failures_since_complete": known.failures_since_complete + 1,
            "last_failure": FailedAttempt(backup_id="f", at=NOW, message="why", code=code),
        },
        {"last_test": failed_test, "last_decisive": failed_test, "tests": (failed_test, *known.tests)},
        {"anomalies": (OpenAnomaly(rule="table-empty", sentence="public.orders is empty", found_at=NOW),)},
        {"repository": Reachability(is_reachable=False, asked_at=NOW)},
        {"provider": Reachability(is_reachable=False, asked_at=NOW)},
        {"last_verified_at": NOW, "last_verified_outcome": Outcome.FAILED},
        {"read_at": NOW - timedelta(days=1)},
        {"last_started": {}},
    ]
    change = data.draw(st.sampled_from(changes))
    worse = replace(known, **change)  # type: ignore[arg-type]
    if "last_verified_outcome" in change and known.last_verified_outcome is Outcome.NOT_MEASURED:
        return  # it says more than before: what was unknown is known to be bad, and an older copy's damage is yellow
    assert colour(source, worse) <= colour(source, known)


@UNHURRIED
@given(SOURCES, facts() | nearly_good())
def test_green_means_a_young_backup_and_a_young_proof(source: Source, known: SourceFacts) -> None:
    health = evaluate(source, known, NOW)
    if health.colour is Colour.GREEN:
        assert known.newest is not None
        assert known.proven is not None
        assert NOW - known.newest.recovery_point_at <= source.objectives.rpo + source.schedule.grace
        assert NOW - known.proven.recovery_point_at <= source.objectives.proven
        assert known.last_test is None or known.last_test.outcome is Outcome.PASSED


@UNHURRIED
@given(SOURCES, facts())
def test_a_backup_twice_as_old_as_agreed_is_red(source: Source, known: SourceFacts) -> None:
    limit = max(source.objectives.rpo * source.health.red_factor, source.objectives.rpo + source.schedule.grace)
    if known.newest is None or NOW - known.newest.recovery_point_at > limit:
        assert evaluate(source, known, NOW).colour is Colour.RED


@UNHURRIED
@given(SOURCES, st.none() | facts())
def test_every_reason_says_what_and_what_to_do(source: Source, known: SourceFacts | None) -> None:
    health = evaluate(source, known, NOW)
    assert health.reasons
    assert [ORDER.index(reason.colour) for reason in health.reasons] == sorted(
        ORDER.index(reason.colour) for reason in health.reasons
    )
    for reason in health.reasons:
        assert reason.sentence
        assert "\n" not in reason.sentence
        assert reason.colour is Colour.GREEN or reason.action
        assert reason.since is None or reason.since <= NOW
        assert reason.colour in COLOURS[ReasonCode(reason.code)]


@UNHURRIED
@given(SOURCES, facts(), st.sampled_from(["newest", "proven", "read_at"]))
def test_a_clock_in_the_future_is_never_green(source: Source, known: SourceFacts, what: str) -> None:
    ahead = NOW + timedelta(hours=3)
    point = RestorePoint(backup_id="newest", recovery_point_at=ahead)
    changed: dict[str, object] = {
        "newest": point,
        "proven": ProvenPoint(backup_id="p", recovery_point_at=ahead, tested_at=ahead),
        "read_at": ahead,
    }
    assert evaluate(source, replace(known, **{what: changed[what]}), NOW).colour in {  # type: ignore[arg-type]
        Colour.RED,
        Colour.UNKNOWN,
    }
