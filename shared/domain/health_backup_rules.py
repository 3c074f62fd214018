"""Health, first part: are there backups, how old is the newest, and did what should have run run?"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import lru_cache

from shared.domain.backup import BackupKind
from shared.domain.health_reason import Colour, Reason, ReasonCode
from shared.domain.schedule import Cron
from shared.domain.source import Source
from shared.domain.source_facts import SourceFacts
from shared.units import format_alike, format_minute

Rule = Callable[[Source, SourceFacts, datetime], Iterator[Reason]]


def judge_age(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A complete, sound backup must be there, and younger than its objective."""
    newest, rpo, grace = facts.newest, source.objectives.rpo, source.schedule.grace
    if newest is None:
        yield _no_backup(source, facts, now)
        return
    age, red_after = now - newest.recovery_point_at, source.health.red_factor * rpo
    late_after = rpo + grace
    if age > max(red_after, late_after):
        shown_age, shown_rpo = _alike(age, rpo)
        yield Reason(
            code=ReasonCode.BACKUP_STALE,
            colour=Colour.RED,
            sentence=f"the newest backup is {shown_age} old, objective {shown_rpo}",
            action=f"Find out why none came (`goldcopy backups {source.name}`), then `goldcopy backup {source.name}`",
            since=newest.recovery_point_at + max(red_after, late_after),
        )
    elif age > late_after:
        shown_age, shown_rpo, shown_grace = _alike(age, rpo, grace)
        yield Reason(
            code=ReasonCode.BACKUP_OVERDUE,
            colour=Colour.YELLOW,
            sentence=f"the newest backup is {shown_age} old, objective {shown_rpo} and {shown_grace} of grace",
            action=f"Find out why none came (`goldcopy backups {source.name}`), then `goldcopy backup {source.name}`",
            since=newest.recovery_point_at + late_after,
        )
    elif not is_future(source, newest.recovery_point_at, now):
        shown_age, shown_rpo = _alike(max(age, timedelta(0)), rpo)
        yield Reason(
            code=ReasonCode.BACKUP_FRESH,
            colour=Colour.GREEN,
            sentence=f"the newest backup is {shown_age} old, objective {shown_rpo}",
            since=newest.finished_at or newest.recovery_point_at,
        )


def _no_backup(source: Source, facts: SourceFacts, now: datetime) -> Reason:
    """A catalog that knows no backup at all may be a new one in the place of one that was lost."""
    if facts.unknown_backup_id:
        return Reason(
            code=ReasonCode.CATALOG_LOST,
            colour=Colour.RED,
            sentence="the catalog was lost or replaced: it knows no backup, but the repository holds some, "
            f"{facts.unknown_backup_id} among them",
            action="Read the backups that are there into the catalog: `goldcopy rebuild-catalog`",
            since=facts.first_backup_at,
        )
    never = facts.last_completed_at is None
    what = "no backup is known" if never else "no backup could be restored"
    lost = "; if there were backups before, the catalog was lost: `goldcopy rebuild-catalog`" if never else ""
    expected = _next(source.schedule.daily, source.schedule.timezone, now)
    return Reason(
        code=ReasonCode.NO_BACKUP,
        colour=Colour.RED,
        sentence=f"{what}: nothing is protected; the schedule's next is {expected}",
        action=f"Take one now: `goldcopy backup {source.name}`{lost}",
        since=facts.first_backup_at,
    )


def judge_damage(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A damaged backup counts as none; it is red while no sound one is newer."""
    del now
    if not facts.damaged:
        return
    newest = facts.damaged[0]
    nothing_newer = facts.newest is None or facts.newest.recovery_point_at < newest.recovery_point_at
    many = f"{len(facts.damaged)} backups are damaged, " if len(facts.damaged) > 1 else ""
    yield Reason(
        code=ReasonCode.BACKUP_DAMAGED,
        colour=Colour.RED if nothing_newer else Colour.YELLOW,
        sentence=f"{many}the newest backup {newest.backup_id} is damaged and counts as none"
        if nothing_newer
        else f"{many or 'an older backup is damaged, '}{newest.backup_id} among them; newer ones are sound",
        action=f"Take a sound one: `goldcopy backup {source.name}`; see what is damaged: `goldcopy verify`",
        since=newest.damaged_at,
        subjects=tuple(item.backup_id for item in facts.damaged),
    )


def judge_failures(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """The last attempts must not have failed."""
    del now
    failed = facts.last_failure
    if facts.failures_since_complete <= 0:
        return
    count = facts.failures_since_complete
    what = "the last backup failed" if count == 1 else f"the last {count} backups failed"
    at = format_minute(failed.at) if failed else ""
    when = at and (f" ({at})" if count == 1 else f", the newest at {at}")
    why = f": {failed.message}" if failed and failed.message else ""
    yield Reason(
        code=ReasonCode.LAST_RUN_FAILED,
        colour=Colour.YELLOW,
        sentence=f"{what}{when}{why}",
        action=f"Mend the cause (`goldcopy check {source.name}`), then `goldcopy backup {source.name}`",
        since=facts.failing_since or (failed.at if failed else None),
    )


def judge_duration(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A backup must not take longer than was agreed; one that still runs is judged too."""
    limit = source.objectives.backup_time
    action = f"Look at the phases (`goldcopy backups {source.name}`), or raise objectives.backup_time"
    running = [run for run in facts.running if run.operation == "backup" and now - run.started_at > limit]
    if running:
        took, shown_limit = _alike(now - running[0].started_at, limit)
        yield Reason(
            code=ReasonCode.BACKUP_SLOW,
            colour=Colour.YELLOW,
            sentence=f"a backup has been running for {took}, objective {shown_limit}",
            action=action,
            since=running[0].started_at + limit,
        )
    elif facts.newest is not None and is_backup_slow(source, facts.newest.duration_seconds):
        took, shown_limit = format_alike(facts.newest.duration_seconds or 0.0, limit.total_seconds())
        yield Reason(
            code=ReasonCode.BACKUP_SLOW,
            colour=Colour.YELLOW,
            sentence=f"the newest backup took {took}, objective {shown_limit}",
            action=action,
            since=facts.newest.finished_at,
        )


def is_backup_slow(source: Source, duration_seconds: float | None) -> bool:
    """Say whether a backup took longer than was agreed, which is worth a failure notice although it succeeded."""
    return duration_seconds is not None and duration_seconds > source.objectives.backup_time.total_seconds()


def judge_running(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """A run that has begun must give signs of life."""
    for run in facts.running:
        silent = now - run.heartbeat_at
        if silent > source.health.silent_after:
            shown_silent, shown_limit = _alike(silent, source.health.silent_after)
            where = f" on {run.host}" if run.host else ""
            yield Reason(
                code=ReasonCode.RUN_LOST,
                colour=Colour.YELLOW,
                sentence=f"a {run.operation}{where} has given no sign of life for {shown_silent} (limit {shown_limit})",
                action="See which runs are dead: `goldcopy watch` closes them; then look at that machine",
                since=run.heartbeat_at + source.health.silent_after,
            )


def judge_schedule(source: Source, facts: SourceFacts, now: datetime) -> Iterator[Reason]:
    """What the schedule expects must have begun, grace after its time at the latest; silence is told aloud.

    Any backup does for the daily one. The weekly one is kept longer, so it must come by itself; but whoever takes
    backups by hand only has no weekly ones to miss.
    """
    started = facts.last_started
    last = {BackupKind.DAILY: max(started.values(), default=None)}
    if BackupKind.DAILY in started or BackupKind.WEEKLY in started:
        last[BackupKind.WEEKLY] = started.get(BackupKind.WEEKLY)
    for kind, began in last.items():
        expression = source.schedule.daily if kind is BackupKind.DAILY else source.schedule.weekly
        expected = expected_before(expression, source.schedule.timezone, now - source.schedule.grace)
        if facts.first_backup_at is None or facts.first_backup_at > expected:
            continue  # nobody expected anything of a source that was not protected yet
        if began is not None and began >= expected - source.health.clock_tolerance:
            continue
        known = f"the last one began at {format_minute(began)}" if began else "no earlier one is known"
        yield Reason(
            code=ReasonCode.SCHEDULE_GAP,
            colour=Colour.YELLOW,
            sentence=f"the {kind.value} backup expected at {format_minute(expected)} has not begun; {known}",
            action="Look whether schedules fire and a worker runs (`goldcopy check`), and take it now: "
            f"`goldcopy backup {source.name} --kind {kind.value}`",
            since=expected + source.schedule.grace,
        )


def is_future(source: Source, at: datetime, now: datetime) -> bool:
    """Say whether an instant of the past lies in the future, so that some clock must be wrong."""
    return at > now + source.health.clock_tolerance


@lru_cache(maxsize=4096)
def expected_before(expression: str, timezone: str, at: datetime) -> datetime:
    """Return when a schedule was last expected, at `at` or before; remembered, because many sources share one."""
    return _cron(expression, timezone).previous_before(at)


@lru_cache(maxsize=4096)
def _next(expression: str, timezone: str, now: datetime) -> str:
    return format_minute(_cron(expression, timezone).next_after(now))


@lru_cache(maxsize=1024)
def _cron(expression: str, timezone: str) -> Cron:
    return Cron(expression, timezone)


def _alike(*durations: timedelta) -> tuple[str, ...]:
    return format_alike(*(duration.total_seconds() for duration in durations))


BACKUP_RULES: tuple[Rule, ...] = (
    judge_age,
    judge_damage,
    judge_failures,
    judge_schedule,
    judge_running,
    judge_duration,
)
