"""Health, third part: what everything else stands on. Facts must be there and fresh, clocks right, places reachable."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.domain.anomaly import Rule as AnomalyRule
from shared.domain.health_backup_rules import Rule, is_future, judge_running
from shared.domain.health_reason import Colour, Reason, ReasonCode
from shared.domain.source import Source
from shared.domain.source_facts import Reachability, SourceFacts
from shared.errors import SourceUnreachable, StoreRefused, StoreUnreachable
from shared.units import format_alike, format_minute


def no_facts(source: Source) -> Reason:
    """Say that nothing is known of a source: the catalog could not be read."""
    return Reason(
        code=ReasonCode.NO_FACTS,
        colour=Colour.UNKNOWN,
        sentence=f"nothing is known of {source.name}: the catalog could not be read",
        action="See what is wrong with the catalog: `goldcopy check`",
    )


def judge_facts(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """What was read long ago says nothing about now."""
    age = now - facts.read_at
    if age > source.health.stale_after:
        shown, limit = format_alike(age.total_seconds(), source.health.stale_after.total_seconds())
        yield Reason(
            code=ReasonCode.CATALOG_STALE,
            colour=Colour.UNKNOWN,
            sentence=f"what is known was read {shown} ago (limit {limit}); it may have changed since",
            action="Read it again: `goldcopy status`",
            since=facts.read_at + source.health.stale_after,
        )


def judge_clock(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """What happened must not lie in the future: ages would be wrong, and too small."""
    happened = {
        "the catalog was read": facts.read_at,
        "the newest backup was taken": facts.newest.recovery_point_at if facts.newest else None,
        "the newest proven backup was taken": facts.proven.recovery_point_at if facts.proven else None,
        "the newest proof was made": facts.proven.tested_at if facts.proven else None,
        "the last restore test ended": facts.last_test.finished_at if facts.last_test else None,
    }
    ahead = {what: at for what, at in happened.items() if at is not None and is_future(source, at, now)}
    if ahead:
        what, at = max(ahead.items(), key=lambda item: item[1])
        yield Reason(
            code=ReasonCode.CLOCK_WRONG,
            colour=Colour.UNKNOWN,
            sentence=f"a clock is wrong: {what} at {format_minute(at)}, and now it is {format_minute(now)}",
            action="Set the clocks of this machine, of the workers and of the database server (NTP)",
        )


def judge_repository(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """The repository must be reachable; the last word counts, asked for or found out by a backup."""
    del now
    yield from _judge_reach(
        source,
        facts,
        facts.repository,
        _Place(
            name="the repository",
            codes=frozenset({StoreUnreachable.code, StoreRefused.code}),
            bad=ReasonCode.REPOSITORY_UNREACHABLE,
            unknown=ReasonCode.REPOSITORY_NOT_MEASURED,
            look="Check its address, network and credentials",
        ),
    )


def judge_provider(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """The server behind the source must be reachable: nothing new can be saved while it is not."""
    del now
    yield from _judge_reach(
        source,
        facts,
        facts.provider,
        _Place(
            name=f"the server of {source.name}",
            codes=frozenset({SourceUnreachable.code}),
            bad=ReasonCode.PROVIDER_OUTAGE,
            unknown=ReasonCode.PROVIDER_NOT_MEASURED,
            look="What is saved already can be restored elsewhere. Look at the provider's status page",
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Something outside: the errors of backups that could not reach it, and what is told of it."""

    name: str
    codes: frozenset[int]
    bad: ReasonCode
    unknown: ReasonCode
    look: str


def _judge_reach(source: Source, facts: SourceFacts, asked: Reachability | None, place: _Place) -> Iterator[Reason]:
    """Tell what was found out last: by who asked, or by a backup that failed or completed."""
    failed, completed_at = facts.last_failure, facts.last_completed_at
    has_failed = failed is not None and facts.failures_since_complete > 0 and failed.code in place.codes
    if failed is not None and has_failed and (asked is None or asked.asked_at < failed.at):
        when = format_minute(failed.at)
        yield Reason(
            code=place.bad,
            colour=Colour.RED,
            sentence=f"the last backup could not reach {place.name} ({when}){_why(failed.message)}",
            action=f"{place.look} (`goldcopy check {source.name}`), then `goldcopy backup {source.name}`: "
            "one that completes clears this",
            since=failed.at,
        )
        return
    if asked is None or asked.is_reachable or (completed_at is not None and completed_at > asked.asked_at):
        return
    since = asked.since or asked.asked_at
    known = (
        f"nobody could ask whether {place.name} is reachable, last tried at {format_minute(asked.asked_at)}"
        if asked.is_reachable is None
        else f"{place.name} has not been reachable since {format_minute(since)}"
    )
    yield Reason(
        code=place.unknown if asked.is_reachable is None else place.bad,
        colour=Colour.UNKNOWN if asked.is_reachable is None else Colour.RED,
        sentence=f"{known}{_why(asked.message)}",
        action=f"{place.look}: `goldcopy check {source.name}`",
        since=since,
    )


def _why(message: str) -> str:
    return f": {message}" if message else ""


def judge_anomalies(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """What is odd asks for a look until somebody has taken it, or until it is normal again.

    Silence is judged here by rules of its own; that it was recorded as an anomaly as well is no second reason.
    """
    is_silent = any(True for _ in judge_running(source, facts, now))
    told = {AnomalyRule.SCHEDULE_GAP} | ({AnomalyRule.RUN_STUCK} if is_silent else set())
    for anomaly in facts.anomalies:
        if anomaly.rule in told:
            continue
        look = f"show {anomaly.backup_id}" if anomaly.backup_id else f"backups {source.name}"
        yield Reason(
            code=ReasonCode.ANOMALY,
            colour=Colour.YELLOW,
            sentence=anomaly.sentence,
            action=f"Look at it (`goldcopy {look}`); if it is meant, say so: "
            f'`goldcopy ack {source.name} --reason "..."`',
            since=anomaly.found_at,
            subjects=(anomaly.sentence,),
        )


GROUND_RULES: tuple[Rule, ...] = (judge_facts, judge_clock, judge_repository, judge_provider)
ANOMALY_RULES: tuple[Rule, ...] = (judge_anomalies,)
