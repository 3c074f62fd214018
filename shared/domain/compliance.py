"""The compliance report of a period: every control with its answer, its evidence and its exceptions.

Judged from recorded facts alone, none of them later than the period's end, so the same facts always make the same
report. What was not recorded is not measured: it is neither good nor bad, and the report says so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.compliance_facts import PastAction, PastIncident, PeriodFacts, SourceRecord, TestRecord, TrailFact
from shared.domain.compliance_sources import (
    CONTROLS,
    JudgeSource,
    exposure_limit,
    exposure_over,
)
from shared.domain.compliance_whole import judge_whole
from shared.domain.control import ControlResult, Judgement, Status, over_sources, plural, unmeasured
from shared.domain.exposure import Segment, find_breaches
from shared.domain.period import Period, format_second
from shared.domain.proof import Outcome
from shared.domain.source import Source

DISCLAIMER = (
    "This report lists evidence that supports an audit of the requirements named beside each control. It is no "
    "certificate, and no requirement is fulfilled by it alone."
)
_GAPS_SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSummary:
    """How one source stood over the period.

    Attributes:
        judged_from: From when on it was judged; None where nothing was recorded of it before the end.
        rpo, proven, rto: What was agreed; None where it is not configured any more.
        completed, failed: Backups in the judged time.
        worst_exposure, worst_proven: The oldest that the newest recovery point ever was; None where there was none.
        is_exposure_judged, is_proof_judged: Whether there was one, or the first was due.
        breaches, proven_breaches: Times past the objective.
        tests_passed, tests_failed, tests_not_measured: Restore tests that ended in the judged time.
        slowest_recovery_seconds: Of these tests.
    """

    name: str
    judged_from: datetime | None
    rpo: timedelta | None = None
    proven: timedelta | None = None
    rto: timedelta | None = None
    completed: int = 0
    failed: int = 0
    worst_exposure: timedelta | None = None
    worst_proven: timedelta | None = None
    is_exposure_judged: bool = False
    is_proof_judged: bool = False
    breaches: int = 0
    proven_breaches: int = 0
    tests_passed: int = 0
    tests_failed: int = 0
    tests_not_measured: int = 0
    slowest_recovery_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ComplianceReport:
    """A report, ready to be printed.

    Attributes:
        until: Up to when was judged; the end of the period unless that had not come.
        notes: What a reader must know before relying on it: gaps in the records, sources left out.
        policies: What was agreed for each source that was judged, as configured.
    """

    organisation: str
    period: Period
    until: datetime
    notes: tuple[str, ...]
    controls: tuple[ControlResult, ...]
    sources: tuple[SourceSummary, ...]
    policies: tuple[Source, ...]
    tests: tuple[TestRecord, ...]
    incidents: tuple[PastIncident, ...]
    actions: tuple[PastAction, ...]
    trail: TrailFact

    def count(self, status: Status) -> int:
        """Return how many controls have this answer."""
        return sum(1 for item in self.controls if item.status is status)

    @property
    def finding(self) -> str:
        """The whole in one sentence: `October 2026: 11 of 13 controls met, 1 not met, 1 not measured`."""
        parts = [f"{self.count(Status.MET)} of {plural(len(self.controls), 'control')} met"]
        counts = [(status, self.count(status)) for status in (Status.NOT_MET, Status.NOT_MEASURED)]
        parts += [f"{count} {status}" for status, count in counts if count]
        return f"{self.period.title}: {', '.join(parts)}"


def judge_period(facts: PeriodFacts) -> ComplianceReport:
    """Make the report of a period."""
    known = [item for item in facts.sources if item.policy is not None and not _came_later(item, facts)]
    controls = [
        over_sources(control, [_judge(judge, record, facts) for record in known]) for control, judge in CONTROLS
    ]
    begins_at, until = facts.period.begins_at, facts.until
    return ComplianceReport(
        organisation=facts.organisation,
        period=facts.period,
        until=until,
        notes=tuple(_notes(facts)),
        controls=(*controls, *judge_whole(facts)),
        sources=tuple(
            _summarise(record, facts)
            for record in sorted(facts.sources, key=lambda item: item.name)
            if not _came_later(record, facts)
        ),
        policies=tuple(sorted((item.policy for item in known if item.policy), key=lambda policy: policy.name)),
        tests=tuple(
            sorted(
                (test for record in facts.sources for test in record.tests if begins_at <= test.finished_at < until),
                key=lambda test: (test.finished_at, test.id),
            )
        ),
        incidents=facts.incidents,
        actions=facts.actions,
        trail=facts.trail,
    )


def judged_from(record: SourceRecord, facts: PeriodFacts) -> datetime | None:
    """Return from when on a source is judged, or None where nothing was recorded of it before the end."""
    if record.first_record_at is None or record.first_record_at >= facts.until:
        return None
    return max(record.first_record_at, facts.period.begins_at)


def _came_later(record: SourceRecord, facts: PeriodFacts) -> bool:
    """Say whether a source was met only after the period: what is added later must not change earlier reports."""
    return record.first_record_at is not None and record.first_record_at >= facts.until


def _judge(judge: JudgeSource, record: SourceRecord, facts: PeriodFacts) -> Judgement:
    begins_at = judged_from(record, facts)
    if begins_at is None or record.policy is None:
        return unmeasured(record.name, "nothing was ever recorded of this source")
    return judge(record, record.policy, begins_at, facts.until)


def _notes(facts: PeriodFacts) -> Iterator[str]:
    period = facts.period
    if facts.until < period.ends_at:
        yield f"The period is not over: judged until {format_second(facts.until)}."
    gaps = [gap for record in sorted(facts.sources, key=lambda item: item.name) if (gap := _gap(record, facts))]
    yield from gaps[:_GAPS_SHOWN]
    if len(gaps) > _GAPS_SHOWN:
        yield f"So it is with {plural(len(gaps) - _GAPS_SHOWN, 'more source')}; the list of sources has them all."
    unknown = sorted(item.name for item in facts.sources if item.policy is None)
    if unknown:
        yield f"Recorded, but not in the configuration any more, and so not judged: {', '.join(unknown)}."
    if facts.watched_since and period.begins_at < facts.watched_since < facts.until:
        yield f"Incidents are recorded from {format_second(facts.watched_since)} on, when the watch began."


def _gap(record: SourceRecord, facts: PeriodFacts) -> str:
    """Say from when on a source was judged, where that is not the whole period."""
    begins_at = judged_from(record, facts)
    if record.policy is None or begins_at == facts.period.begins_at:
        return ""
    if begins_at is None and record.first_record_at is not None:
        return f"{record.name}: its first record is of {format_second(record.first_record_at)}; it is left out."
    if begins_at is None:
        return f"{record.name}: nothing was ever recorded of it; it is not measured."
    return f"{record.name}: judged from {format_second(begins_at)}, its first record; before that nothing is known."


def _summarise(record: SourceRecord, facts: PeriodFacts) -> SourceSummary:
    begins_at, policy = judged_from(record, facts), record.policy
    if begins_at is None:
        return SourceSummary(name=record.name, judged_from=None)
    until = facts.until
    tests = [item for item in record.tests if begins_at <= item.finished_at < until]
    outcomes = [item.outcome for item in tests]
    plain = exposure_over(record, policy, begins_at, until, proven=False) if policy else ()
    proven = exposure_over(record, policy, begins_at, until, proven=True) if policy else ()
    recoveries = [item.recovery_time_seconds for item in tests if item.recovery_time_seconds is not None]
    return SourceSummary(
        name=record.name,
        judged_from=begins_at,
        rpo=exposure_limit(policy, proven=False) if policy else None,
        proven=exposure_limit(policy, proven=True) if policy else None,
        rto=policy.objectives.rto if policy else None,
        completed=sum(1 for item in record.attempts if item.complete_at and begins_at <= item.complete_at < until),
        failed=sum(1 for item in record.attempts if item.failed_at and begins_at <= item.failed_at < until),
        worst_exposure=_worst(plain),
        worst_proven=_worst(proven),
        is_exposure_judged=bool(plain),
        is_proof_judged=bool(proven),
        breaches=len(find_breaches(plain, exposure_limit(policy, proven=False))) if policy else 0,
        proven_breaches=len(find_breaches(proven, exposure_limit(policy, proven=True))) if policy else 0,
        tests_passed=outcomes.count(Outcome.PASSED),
        tests_failed=outcomes.count(Outcome.FAILED),
        tests_not_measured=outcomes.count(Outcome.NOT_MEASURED),
        slowest_recovery_seconds=max(recoveries, default=None),
    )


def _worst(segments: Sequence[Segment]) -> timedelta | None:
    """Return the greatest exposure; None where at some time there was nothing to restore."""
    ages = [None if item.recovery_point_at is None else item.ends_at - item.recovery_point_at for item in segments]
    return None if None in ages or not ages else max(age for age in ages if age is not None)
