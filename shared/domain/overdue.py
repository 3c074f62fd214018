"""What the clock finds missing: expected backups that never began, and runs that never ended."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median

from shared.domain.anomaly import Anomaly, Rule
from shared.domain.backup import BackupKind
from shared.domain.proof import Severity
from shared.domain.schedule import Cron
from shared.domain.source import Source
from shared.units import format_duration, format_minute

# A run may take this much longer than usual, and always this long.
_LONGER = 4
_ALWAYS = timedelta(hours=1)
# With no earlier run to go by.
_LONGEST = timedelta(hours=24)
_RUNS_TO_JUDGE_BY = 5
_MISSED_COUNTED = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInProgress:
    """A run that has begun and not ended.

    Attributes:
        number: Its number in the catalog.
        operation: What it does, such as `backup`.
        heartbeat_at: Its last sign of life.
        usual_seconds: How long the source's last runs of the operation took that ended well.
    """

    number: int
    operation: str
    started_at: datetime
    heartbeat_at: datetime
    usual_seconds: tuple[float, ...] = ()


def detect_overdue(
    source: Source,
    *,
    known_since: datetime,
    attempts: Mapping[BackupKind, datetime],
    running: Sequence[RunInProgress],
    now: datetime,
) -> tuple[Anomaly, ...]:
    """Say what is missing of a source now.

    Args:
        source: With the schedule that is expected, its grace, and what nobody wants to hear of.
        known_since: When the catalog met it; nothing is missing from before.
        attempts: When the newest backup of each kind began, whatever became of it.
        running: Its runs that have not ended.
        now: Aware instant.
    """
    gaps = [
        _gap(source, kind, missed, now)
        for kind, last in _last_begun(attempts, known_since).items()
        if (missed := missed_runs(_cron(source, kind), last, now - source.schedule.grace))
    ]
    stuck = [anomaly for run in running if (anomaly := _stuck(source, run, now))]
    return tuple(anomaly for anomaly in (*gaps, *stuck) if not source.anomalies.ignores(anomaly.rule, anomaly.object))


def missed_runs(cron: Cron, last: datetime, until: datetime) -> tuple[datetime, ...]:
    """Return the instants after `last` and up to `until` at which a run was expected; wall clocks that jump are minded.

    Args:
        cron: The schedule.
        last: When the newest run began, or since when any is expected.
        until: Now, less the grace.
    """
    missed: list[datetime] = []
    at = last
    while len(missed) < _MISSED_COUNTED and (at := cron.next_after(at)) <= until:
        missed.append(at)
    return tuple(missed)


def _last_begun(attempts: Mapping[BackupKind, datetime], known_since: datetime) -> dict[BackupKind, datetime]:
    """Any backup does for the daily one. The weekly one is kept longer, so it must come by itself.

    Whoever takes backups by hand only has no weekly ones to miss.
    """
    last = {BackupKind.DAILY: max(attempts.values(), default=known_since)}
    if BackupKind.DAILY in attempts or BackupKind.WEEKLY in attempts:
        last[BackupKind.WEEKLY] = attempts.get(BackupKind.WEEKLY, known_since)
    return last


def _cron(source: Source, kind: BackupKind) -> Cron:
    expression = source.schedule.daily if kind is BackupKind.DAILY else source.schedule.weekly
    return Cron(expression, source.schedule.timezone)


def _gap(source: Source, kind: BackupKind, missed: Sequence[datetime], now: datetime) -> Anomaly:
    first = missed[0]
    more = f", and {len(missed) - 1} more since" if len(missed) > 1 else ""
    late = format_duration((now - first).total_seconds())
    return Anomaly(
        rule=Rule.SCHEDULE_GAP,
        source=source.name,
        backup_id="",
        object=f"{kind} backup",
        severity=Severity.WARNING,
        sentence=f"the {kind} backup of {format_minute(first)} never began{more}; that is {late} ago",
        expected=f"a {kind} backup at {format_minute(first)}",
        found="neither a backup nor an attempt",
        started_at=first,
        found_value=float(len(missed)),
    )


def _stuck(source: Source, run: RunInProgress, now: datetime) -> Anomaly | None:
    name = f"{run.operation} (run {run.number})"
    silent = now - run.heartbeat_at
    if silent > source.health.silent_after:
        words = format_duration(silent.total_seconds())
        sentence = f"the {name} that began at {format_minute(run.started_at)} has been silent for {words}"
        return _stuck_anomaly(source, run, sentence, "a sign of life every 30 s", f"none for {words}", None)
    took = now - run.started_at
    limit, usual = _limit(run)
    if took <= limit:
        return None
    words = format_duration(took.total_seconds())
    normal = f"usually it takes {format_duration(usual)}" if usual is not None else "that is longer than any should"
    expected = f"at most {format_duration(limit.total_seconds())}"
    return _stuck_anomaly(source, run, f"the {name} has been running for {words}; {normal}", expected, words, usual)


def _limit(run: RunInProgress) -> tuple[timedelta, float | None]:
    if len(run.usual_seconds) < _RUNS_TO_JUDGE_BY:
        return _LONGEST, None
    usual = median(run.usual_seconds)
    longest = max(run.usual_seconds)
    return max(timedelta(seconds=max(_LONGER * usual, longest)), timedelta(seconds=usual) + _ALWAYS), usual


def _stuck_anomaly(
    source: Source, run: RunInProgress, sentence: str, expected: str, found: str, usual: float | None
) -> Anomaly:
    return Anomaly(
        rule=Rule.RUN_STUCK,
        source=source.name,
        backup_id="",
        object=f"run {run.number}",
        severity=Severity.WARNING,
        sentence=sentence,
        expected=expected,
        found=found,
        started_at=run.started_at,
        expected_value=usual,
    )
