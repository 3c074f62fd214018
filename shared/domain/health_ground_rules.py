"""Health, third part: what everything else stands on. Facts must be there and fresh, clocks right, places reachable."""

from collections.abc import Iterator
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
        _last_word(facts, facts.repository, {StoreUnreachable.code, StoreRefused.code}),
        what="the repository",
        bad=ReasonCode.REPOSITORY_UNREACHABLE,
        unknown=ReasonCode.REPOSITORY_NOT_MEASURED,
        action=f"Check its address, network and credentials: `goldcopy check {source.name}`",
    )


def judge_provider(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """The server behind the source must be reachable: nothing new can be saved while it is not."""
    del now
    yield from _judge_reach(
        _last_word(facts, facts.provider, {SourceUnreachable.code}),
        what=f"the server of {source.name}",
        bad=ReasonCode.PROVIDER_OUTAGE,
        unknown=ReasonCode.PROVIDER_NOT_MEASURED,
        action=f"Look at the provider's status page, then `goldcopy check {source.name}`; what is saved already "
        "can be restored elsewhere",
    )


def _last_word(facts: SourceFacts, asked: Reachability | None, codes: set[int]) -> Reachability | None:
    """Of what was asked and what backups found out, return what was found last."""
    failed = facts.last_failure
    words = [asked] if asked is not None else []
    if failed is not None and facts.failures_since_complete > 0 and failed.code in codes:
        words.append(Reachability(is_reachable=False, asked_at=failed.at, message=failed.message))
    if facts.last_completed_at is not None:
        words.append(Reachability(is_reachable=True, asked_at=facts.last_completed_at))
    return max(words, key=lambda word: word.asked_at, default=None)


def _judge_reach(
    reach: Reachability | None, *, what: str, bad: ReasonCode, unknown: ReasonCode, action: str
) -> Iterator[Reason]:
    if reach is None or reach.is_reachable:
        return
    why = f": {reach.message}" if reach.message else ""
    since = reach.since or reach.asked_at
    if reach.is_reachable is None:
        sentence = f"nobody could ask whether {what} is reachable, last tried at {format_minute(reach.asked_at)}{why}"
        yield Reason(code=unknown, colour=Colour.UNKNOWN, sentence=sentence, action=action, since=since)
    else:
        sentence = f"{what} has not been reachable since {format_minute(since)}{why}"
        yield Reason(code=bad, colour=Colour.RED, sentence=sentence, action=action, since=since)


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
        )


GROUND_RULES: tuple[Rule, ...] = (judge_facts, judge_clock, judge_repository, judge_provider)
ANOMALY_RULES: tuple[Rule, ...] = (judge_anomalies,)
