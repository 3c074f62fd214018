"""The controls that are asked of every source: schedule, frequency, retention, exposure, restore tests, verify runs.

A source is judged from its first record on, and never beyond the end of the period or the instant of the report. What
was agreed is the configuration of the day of the report.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, pairwise

from shared.domain.backup import BackupKind
from shared.domain.compliance_facts import PastAttempt, SourceRecord, TestRecord
from shared.domain.control import (
    ISO_BACKUP,
    SOC_BACKUP,
    SOC_RECOVERY,
    Control,
    Deviation,
    Judgement,
    judged,
    plural,
)
from shared.domain.exposure import (
    Segment,
    backup_spans,
    find_breaches,
    newest_over_time,
    proven_spans,
)
from shared.domain.period import format_second
from shared.domain.proof import Outcome
from shared.domain.schedule import Cron, cron_expression
from shared.domain.source import Source
from shared.units import format_alike, format_duration

_ALL = (ISO_BACKUP, SOC_BACKUP)
_TESTED = (ISO_BACKUP, SOC_RECOVERY)
_SCHEDULED_KINDS = (BackupKind.DAILY, BackupKind.WEEKLY)

JudgeSource = Callable[[SourceRecord, Source, datetime, datetime], Judgement]


def judge_scheduled(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether the schedule made backups."""
    started = [item for item in _inside(record.attempts, begins_at, until) if item.kind in _SCHEDULED_KINDS]
    completed = [item for item in started if item.complete_at and item.complete_at <= until]
    evidence = (("scheduled backups begun", len(started)), ("scheduled backups completed", len(completed)))
    due = _firings(policy.schedule.daily, policy, begins_at, until - policy.schedule.grace)
    found = []
    if due and not completed:
        was_due = plural(len(due), "was", "were")
        message = f"no scheduled backup began, {was_due} due"
        if started:
            message = f"no scheduled backup was completed, {len(started):,} began and {was_due} due"
        found.append(Deviation(source=record.name, at=due[0], sentence=message))
    nothing = "no scheduled backup was due in the time that was judged"
    return judged(evidence, found, examined=len(completed), nothing=nothing, source=record.name)


def judge_frequency(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether every expected backup came: one that succeeded before the next was expected."""
    expression, grace = policy.schedule.daily, policy.schedule.grace
    due = _firings(expression, policy, begins_at, until - grace)
    succeeded = sorted(item.started_at for item in record.attempts if item.complete_at and item.complete_at <= until)
    failed = [item for item in record.attempts if item.failed_at and begins_at <= item.failed_at < until]
    missing = [at for at, next_at in pairwise([*due, until]) if not any(at <= start < next_at for start in succeeded)]
    evidence = (
        ("backups expected", len(due)),
        ("backups that came", len(due) - len(missing)),
        ("failed attempts", len(failed)),
    )
    came = len(due) - len(missing)
    is_met = came >= policy.objectives.success_rate * len(due)
    found = [] if is_met else list(_missing(record.name, due, missing, failed))
    nothing = "no backup was due in the time that was judged" if not due else "no backup came"
    return judged(evidence, found, examined=came, nothing=nothing, source=record.name)


def judge_retention(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether retention let a backup go before the agreed age."""
    early = []
    expiries = [item for item in record.expiries if begins_at <= item.decided_at < until]
    for item in expiries:
        agreed = policy.retention[item.kind].age
        age = item.decided_at - item.recovery_point_at
        if agreed is not None and age < agreed:
            shown_age, shown_agreed = format_alike(age.total_seconds(), agreed.total_seconds())
            sentence = f"expired {shown_age} old, {shown_agreed} are agreed for {item.kind} backups"
            early.append(Deviation(source=record.name, object=item.backup_id, at=item.decided_at, sentence=sentence))
    kept = sum(1 for item in record.attempts if item.complete_at and (item.gone_at is None or item.gone_at > until))
    evidence = (("backups expired", len(expiries)), ("backups kept at the end", kept))
    nothing = "there was no backup to be kept"
    return judged(evidence, early, examined=kept + len(expiries), nothing=nothing, source=record.name)


def judge_removal(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether a backup vanished although retention had not let it go; nobody knows where nothing was compared."""
    del policy
    gone = [
        Deviation(source=record.name, object=backup_id, at=at, sentence="was missing although nothing had expired it")
        for backup_id, at in record.removed.items()
        if begins_at <= at < until
    ]
    complete = sum(1 for item in record.attempts if item.complete_at)
    evidence = (("backups known", complete), ("backups that vanished", len(gone)))
    looked = [item.finished_at for item in record.verifications] + [item.decided_at for item in record.expiries]
    compared = sum(1 for at in looked if begins_at <= at < until)
    nothing = "no verify run or cleanup compared the repository with the catalog in the period"
    if not complete:
        nothing = "there was no backup that could have been removed"
    return judged(evidence, gone, examined=min(complete, compared), nothing=nothing, source=record.name)


def judge_exposure(
    record: SourceRecord, policy: Source, begins_at: datetime, until: datetime, *, proven: bool
) -> Judgement:
    """Ask whether the newest recovery point was young enough at every instant.

    A new source has as long as its objective for its first one. That time is no pass: nothing was there yet.
    """
    segments = exposure_over(record, policy, begins_at, until, proven=proven)
    limit, word = exposure_limit(policy, proven=proven), "proven recovery point" if proven else "recovery point"
    breaches = find_breaches(segments, limit)
    whole = (until - begins_at).total_seconds()
    looked = sum((item.ends_at - item.begins_at).total_seconds() for item in segments)
    broken = sum(item.duration.total_seconds() for item in breaches)
    evidence = (
        ("minutes within the objective", round((looked - broken) / 60)),
        ("minutes judged", round(looked / 60)),
        ("minutes before the first was due", round((whole - looked) / 60)),
    )
    found = []
    for item in breaches:
        if item.worst is None:
            sentence = f"for {format_duration(item.duration.total_seconds())} there was no {word} at all"
        else:
            worst, agreed = format_alike(item.worst.total_seconds(), limit.total_seconds())
            sentence = (
                f"for {format_duration(item.duration.total_seconds())} the newest {word} was older than {agreed}, "
                f"at worst {worst}"
            )
        found.append(Deviation(source=record.name, at=item.begins_at, sentence=sentence))
    nothing = f"no {word} yet; the first is due by {format_second(_first_due_at(record, begins_at, limit))}"
    return judged(evidence, found, examined=len(segments), nothing=nothing, source=record.name)


def judge_recovery_time(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether restore tests brought the database back within the objective."""
    tests = [item for item in _tests(record, begins_at, until) if item.outcome is Outcome.PASSED]
    timed = [item for item in tests if item.recovery_time_seconds is not None]
    evidence = (("restore tests timed", len(timed)),)
    slow = []
    for item in timed:
        seconds, limit = item.recovery_time_seconds or 0.0, policy.objectives.rto.total_seconds()
        if seconds > limit:
            took, agreed = format_alike(seconds, limit)
            sentence = f"the restore test needed {took}, {agreed} are agreed"
            slow.append(Deviation(source=record.name, object=item.id, at=item.finished_at, sentence=sentence))
    nothing = "no restore test that passed in the period measured how long recovery takes"
    return judged(evidence, slow, examined=len(timed), nothing=nothing, source=record.name)


def judge_tested(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether every restore test that was due passed, and whether none failed."""
    schedule = policy.schedule
    tests = _tests(record, begins_at, until)
    counts = {outcome: sum(1 for item in tests if item.outcome is outcome) for outcome in Outcome}
    due = _firings(cron_expression(schedule.restore_test), policy, begins_at, until - schedule.restore_test_grace)
    evidence = (
        ("restore tests due", len(due)),
        ("restore tests passed", counts[Outcome.PASSED]),
        ("restore tests failed", counts[Outcome.FAILED]),
        ("restore tests not measured", counts[Outcome.NOT_MEASURED]),
    )
    found = [
        Deviation(source=record.name, object=item.id, at=item.finished_at, sentence=_failure(item))
        for item in tests
        if item.outcome is Outcome.FAILED
    ]
    passed = [item.started_at for item in tests if item.outcome is Outcome.PASSED]
    for at, next_at in pairwise([*due, until]):
        if not any(at <= start < next_at for start in passed):
            sentence = f"the restore test due at {format_second(at)} did not pass before the next one was due"
            found.append(Deviation(source=record.name, at=at, sentence=sentence))
    nothing = "no restore test was due and none was made"
    if tests:
        nothing = f"no restore test was due, and of {len(tests):,} made none came to a result"
    return judged(evidence, found, examined=len(passed), nothing=nothing, source=record.name)


def judge_verified(record: SourceRecord, policy: Source, begins_at: datetime, until: datetime) -> Judgement:
    """Ask whether stored bytes were read again and found unchanged."""
    del policy
    since = min((item.complete_at for item in record.attempts if item.complete_at), default=None)
    runs = [item for item in record.verifications if since and max(since, begins_at) <= item.finished_at < until]
    failed = [item for item in runs if item.outcome is Outcome.FAILED]
    passed = sum(1 for item in runs if item.outcome is Outcome.PASSED)
    evidence = (
        ("verify runs passed", passed),
        ("verify runs failed", len(failed)),
        ("objects read again", sum(item.objects_checked for item in runs)),
    )
    sentences = [
        Deviation(
            source=record.name, at=item.finished_at, sentence=f"a verify run found {plural(item.findings, 'problem')}"
        )
        for item in failed
    ]
    examined = sum(item.objects_checked for item in runs if item.outcome is Outcome.PASSED)
    nothing = "no verify run read stored bytes of it in the period" if since else "there was no backup to be read"
    return judged(evidence, sentences, examined=examined, nothing=nothing, source=record.name)


def exposure_limit(policy: Source, *, proven: bool) -> timedelta:
    """Return how old the newest recovery point may be: the objective, and for plain ones the schedule's grace."""
    return policy.objectives.proven if proven else policy.objectives.rpo + policy.schedule.grace


def exposure_over(
    record: SourceRecord, policy: Source, begins_at: datetime, until: datetime, *, proven: bool
) -> tuple[Segment, ...]:
    """Return the newest recovery point at every instant judged; as long as the first is not due, nothing is."""
    backups = [fact for item in record.attempts if (fact := item.exposure_fact)]
    tests = [item.exposure_fact for item in record.tests]
    spans = proven_spans(backups, tests) if proven else backup_spans(backups)
    due_at = _first_due_at(record, begins_at, exposure_limit(policy, proven=proven))
    return tuple(_from_due(newest_over_time(spans, begins_at, until), due_at))


def _first_due_at(record: SourceRecord, begins_at: datetime, limit: timedelta) -> datetime:
    return (record.first_record_at or begins_at) + limit


def _from_due(segments: Sequence[Segment], due_at: datetime) -> Iterator[Segment]:
    """Leave out the time in which there was nothing because nothing was due yet."""
    for item in segments:
        if item.recovery_point_at is not None or item.begins_at >= due_at:
            yield item
        elif item.ends_at > due_at:
            yield replace(item, begins_at=due_at)


def _inside(attempts: Sequence[PastAttempt], begins_at: datetime, until: datetime) -> list[PastAttempt]:
    return [item for item in attempts if begins_at <= item.started_at < until]


def _tests(record: SourceRecord, begins_at: datetime, until: datetime) -> list[TestRecord]:
    return [item for item in record.tests if begins_at <= item.finished_at < until]


def _firings(expression: str, policy: Source, begins_at: datetime, until: datetime) -> list[datetime]:
    """Return when a schedule was expected, `begins_at` included, `until` not."""
    cron, found = Cron(expression, policy.schedule.timezone), []
    at = cron.next_after(begins_at - timedelta(seconds=1))
    while at < until:
        found.append(at)
        at = cron.next_after(at)
    return found


def _missing(
    source: str, due: Sequence[datetime], missing: Sequence[datetime], failed: Sequence[PastAttempt]
) -> Iterator[Deviation]:
    """Say which expected backups did not come; neighbours are one exception."""
    gone = set(missing)
    for is_gone, group in groupby(due, key=gone.__contains__):
        row = list(group)
        if not is_gone:
            continue
        until = row[-1] + timedelta(days=1)
        error = next((item.error for item in reversed(failed) if row[0] <= item.started_at < until and item.error), "")
        when = f"due at {format_second(row[0])}"
        if len(row) > 1:
            when = f"due from {format_second(row[0])} to {format_second(row[-1])}"
        sentence = f"{plural(len(row), 'backup')} {when} did not come"
        yield Deviation(source=source, at=row[0], sentence=f"{sentence}; last error: {error}" if error else sentence)


def _failure(test: TestRecord) -> str:
    first = f": {test.findings[0]}" if test.findings else ""
    return f"the restore test of {test.backup_id} failed{first}"


CONTROLS: tuple[tuple[Control, JudgeSource], ...] = (
    (Control(id="scheduled", title="Every source is backed up by a schedule", supports=_ALL), judge_scheduled),
    (
        Control(
            id="frequency",
            title="Backups came as often as agreed",
            supports=_ALL,
            limits="A backup counts for the time it was expected in, also where it came late within it.",
        ),
        judge_frequency,
    ),
    (
        Control(
            id="retention",
            title="Backups were kept for as long as agreed",
            supports=_ALL,
            limits="Judged by the retention policy that was configured when this report was made.",
        ),
        judge_retention,
    ),
    (
        Control(
            id="removal",
            title="Backups were removed only by retention",
            supports=_ALL,
            limits="A removal shows when the repository is compared with the catalog (audit, verify, cleanup).",
        ),
        judge_removal,
    ),
    (
        Control(
            id="recovery-point",
            title="The newest recovery point was within its objective",
            supports=_ALL,
            limits="The agreed grace of the schedule is added to the objective.",
        ),
        partial(judge_exposure, proven=False),
    ),
    (
        Control(
            id="proven-recovery-point",
            title="The newest proven recovery point was within its objective",
            supports=_TESTED,
        ),
        partial(judge_exposure, proven=True),
    ),
    (
        Control(
            id="restore-tested",
            title="Restores were tested as often as agreed, and passed",
            supports=_TESTED,
            limits="Tests restore to a scratch server and compare content; no people or applications take part.",
        ),
        judge_tested,
    ),
    (
        Control(
            id="recovery-time",
            title="Restore tests met the recovery time objective",
            supports=(SOC_RECOVERY,),
            limits="Measured on the scratch server, from the first byte fetched to a usable database.",
        ),
        judge_recovery_time,
    ),
    (
        Control(id="verified", title="Stored bytes were read again and were unchanged", supports=_ALL),
        judge_verified,
    ),
)
