"""How a source stands against what was promised, in numbers; `None` is what nobody knows, and never counts as met."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.health import SourceFacts, predicted_recovery
from shared.domain.health_backup_rules import is_future
from shared.domain.prediction import Calibration, Prediction, calibrate
from shared.domain.proof import Outcome
from shared.domain.source import Source
from shared.domain.source_facts import RestoreTestFact

_NOTHING_PREDICTED = Calibration(inside=0, predicted=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuccessRate:
    """How many backups of a time succeeded and failed."""

    ok: int = 0
    failed: int = 0

    @property
    def ratio(self) -> float | None:
        """Share that succeeded, or None where there was none."""
        return self.ok / (self.ok + self.failed) if self.ok + self.failed else None

    def meets(self, target: float) -> bool | None:
        """Say whether the target is reached; None where there was no backup."""
        return None if self.ratio is None else self.ratio >= target


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a source stands against its objectives.

    Attributes:
        exposure: Now minus the newest complete recovery point: what would be lost.
        proven_exposure: The same for the newest proven one.
        backup_time: How long the newest backup took.
        last_passed: The last restore test that passed, with the time to recover by phase.
        predicted: What restoring the newest backup would take.
        calibration: How often such predictions held for the tests that there were.
        lost_rows: Rows dumped less rows proven, in the last test that came to a decision.
        success_30, success_90: Backups of the last 30 and 90 days.
        rpo_met: Within objective and grace: a daily job that starts eight minutes late is no breach.
        proven_met, rto_met, backup_time_met, restore_time_met, success_met: Within the objective.
    """

    exposure: timedelta | None = None
    proven_exposure: timedelta | None = None
    backup_time: timedelta | None = None
    last_passed: RestoreTestFact | None = None
    predicted: Prediction | None = None
    calibration: Calibration = _NOTHING_PREDICTED
    lost_rows: int | None = None
    success_30: SuccessRate = SuccessRate()
    success_90: SuccessRate = SuccessRate()
    rpo_met: bool | None = None
    proven_met: bool | None = None
    rto_met: bool | None = None
    backup_time_met: bool | None = None
    restore_time_met: bool | None = None
    success_met: bool | None = None


def measure(
    source: Source, facts: SourceFacts | None, now: datetime, *, success: tuple[SuccessRate, SuccessRate]
) -> Standing:
    """Compare what is known of a source with what was promised.

    Args:
        source: With its objectives.
        facts: None where nothing is known.
        now: Aware instant.
        success: Backups of the last 30 and of the last 90 days.
    """
    if facts is None:
        return Standing()
    objectives = source.objectives
    exposure = _age(source, facts.newest.recovery_point_at if facts.newest else None, now)
    proven_exposure = _age(source, facts.proven.recovery_point_at if facts.proven else None, now)
    seconds = facts.newest.duration_seconds if facts.newest else None
    backup_time = None if seconds is None else timedelta(seconds=seconds)
    predicted = predicted_recovery(facts)
    recovery = timedelta(seconds=predicted.seconds) if predicted else None
    passed = next((test for test in facts.tests if test.outcome is Outcome.PASSED), None)
    return Standing(
        exposure=exposure,
        proven_exposure=proven_exposure,
        backup_time=backup_time,
        last_passed=passed,
        predicted=predicted,
        calibration=calibrate(facts.tests),
        lost_rows=_lost_rows(facts.last_decisive),
        success_30=success[0],
        success_90=success[1],
        # Without any backup the objective is missed, not unknown.
        rpo_met=False if facts.newest is None else _within(exposure, objectives.rpo + source.schedule.grace),
        proven_met=False if facts.proven is None else _within(proven_exposure, objectives.proven),
        rto_met=_within(recovery, objectives.rto),
        backup_time_met=_within(backup_time, objectives.backup_time),
        restore_time_met=_within(recovery, objectives.restore_time),
        success_met=success[0].meets(objectives.success_rate),
    )


def _age(source: Source, at: datetime | None, now: datetime) -> timedelta | None:
    """Return an age; none where the instant lies in the future, for then some clock is wrong."""
    return None if at is None or is_future(source, at, now) else max(now - at, timedelta(0))


def _within(value: timedelta | None, limit: timedelta) -> bool | None:
    return None if value is None else value <= limit


def _lost_rows(test: RestoreTestFact | None) -> int | None:
    return None if test is None else max(0, test.rows_dumped - test.rows_proven)
