"""What a compliance report is judged from: plain values that were recorded, none of them later than its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.backup import BackupKind
from shared.domain.exposure import PastBackup, PastTest
from shared.domain.period import Period, Stretch
from shared.domain.proof import Outcome
from shared.domain.source import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAttempt:
    """A backup, or an attempt that left none.

    Attributes:
        complete_at: When its manifest was durable; None for an attempt that failed or had not ended.
        failed_at: When it failed, if so.
        error: Why, scrubbed of secrets.
        gone_at: When it had expired or was known to be damaged, whichever came first.
    """

    backup_id: str
    kind: BackupKind
    started_at: datetime
    recovery_point_at: datetime | None = None
    complete_at: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""
    gone_at: datetime | None = None

    @property
    def exposure_fact(self) -> PastBackup | None:
        """The same as exposure over time knows it; None where there was nothing to restore."""
        if self.complete_at is None or self.recovery_point_at is None:
            return None
        return PastBackup(
            backup_id=self.backup_id,
            recovery_point_at=self.recovery_point_at,
            complete_at=self.complete_at,
            gone_at=self.gone_at,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRecord:
    """A restore test that ended, as evidence.

    Attributes:
        expected_rows: Rows that the dump held.
        findings: What was found, one sentence each, worst first.
        not_measured: How many things could not be checked.
        manifest_sha256: Of the backup that was tested.
    """

    __test__ = False  # pytest collects what is called Test...

    id: str
    source: str
    backup_id: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    recovery_time_seconds: float | None = None
    tables_expected: int = 0
    tables_proven: int = 0
    rows_expected: int = 0
    rows_proven: int = 0
    source_version: str = ""
    scratch_version: str = ""
    tool_version: str = ""
    manifest_sha256: str = ""
    findings: tuple[str, ...] = ()
    not_measured: int = 0

    @property
    def exposure_fact(self) -> PastTest:
        """The same as exposure over time knows it."""
        return PastTest(backup_id=self.backup_id, outcome=self.outcome, finished_at=self.finished_at)


@dataclass(frozen=True, slots=True, kw_only=True)
class PastVerification:
    """A verify run that ended; `source` is empty where it read several."""

    source: str
    outcome: Outcome
    finished_at: datetime
    objects_checked: int = 0
    findings: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PastExpiry:
    """A backup that retention let go."""

    backup_id: str
    kind: BackupKind
    recovery_point_at: datetime
    decided_at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastIncident:
    """An incident; `source` is empty where it was about the system. `worst` is a colour."""

    id: str
    source: str
    opened_at: datetime
    worst: str
    cause: str = ""
    acknowledged_at: datetime | None = None
    acknowledged_by: str = ""
    reason: str = ""
    closed_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PastAction:
    """What somebody did, from the audit trail."""

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailFact:
    """How the audit trail stood at the end of the period; `problem` says where the chain does not fit."""

    entry_count: int = 0
    head_hash: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFact:
    """Where backups are kept, as configured.

    Attributes:
        place: For people, without a secret.
        is_elsewhere: Whether it is on another machine than Goldcopy; None where that cannot be told.
        recipients: How many public keys every backup is encrypted to.
    """

    place: str = ""
    is_elsewhere: bool | None = None
    recipients: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRecord:
    """What was recorded of one source.

    Attributes:
        policy: What was agreed; None where the configuration does not have the source any more.
        first_record_at: When it was met for the first time; None where it never was.
        attempts: Those that bear on the period, earlier ones that could still be restored included.
        tests: Restore tests that ended before the end, earlier ones included as far as they bear on it.
        expiries: Within the period.
        removed: Backups that were gone although nothing had expired them, with the instant of noticing.
    """

    name: str
    policy: Source | None = None
    first_record_at: datetime | None = None
    attempts: tuple[PastAttempt, ...] = ()
    tests: tuple[TestRecord, ...] = ()
    verifications: tuple[PastVerification, ...] = ()
    expiries: tuple[PastExpiry, ...] = ()
    removed: Mapping[str, datetime] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodFacts:
    """Everything that a report is judged from.

    Attributes:
        organisation: Whose; may be empty.
        until: End of the period, or the instant of the report where the period is not over.
        sources: By name.
        watched_since: When the watch looked for the first time; None where it never did.
        unwatched: When nobody looked within the period, oldest first, what was before the first look included.
        incidents: Opened in the period, or open at its start, oldest first.
        actions: Of people in the period, oldest first.
    """

    organisation: str
    period: Period
    until: datetime
    sources: tuple[SourceRecord, ...]
    watched_since: datetime | None = None
    unwatched: tuple[Stretch, ...] = ()
    incidents: tuple[PastIncident, ...] = ()
    actions: tuple[PastAction, ...] = ()
    trail: TrailFact = TrailFact()
    repository: RepositoryFact = RepositoryFact()
