"""What is known of a source: plain values, read from the catalog by `operations.facts_reading`, judged by `health`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.backup import BackupKind
from shared.domain.proof import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePoint:
    """The newest complete backup that is not known to be damaged.

    Attributes:
        recovery_point_at: Instant of its snapshot: exposure counts from here.
        finished_at: When its manifest was durable.
        duration_seconds: Start to manifest.
    """

    backup_id: str
    recovery_point_at: datetime
    finished_at: datetime | None = None
    duration_seconds: float | None = None
    dumped_bytes: int = 0
    stored_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenPoint:
    """The newest complete, sound backup whose latest restore test passed; `tested_at` is when that test ended."""

    backup_id: str
    recovery_point_at: datetime
    tested_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedBackup:
    """A complete backup of which stored bytes are missing or differ."""

    backup_id: str
    recovery_point_at: datetime
    damaged_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestFact:
    """One restore test that ended.

    Attributes:
        recovery_time_seconds: Fetched to usable, without the proof; None where it did not come so far.
        dumped_bytes: Uncompressed size of the backup that was tested.
        rows_dumped: Rows that the dump held.
        rows_proven: Rows that were restored and found equal.
        phases: Seconds by phase.
    """

    id: str
    backup_id: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    recovery_time_seconds: float | None = None
    dumped_bytes: int = 0
    rows_dumped: int = 0
    rows_proven: int = 0
    phases: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedAttempt:
    """The last backup that failed; `code` is an error's stable number, where there was one."""

    backup_id: str
    at: datetime
    message: str
    code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRun:
    """A run that has begun and not ended, with its last sign of life."""

    operation: str
    started_at: datetime
    heartbeat_at: datetime
    host: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAnomaly:
    """Something odd that nobody has acknowledged yet; `sentence` says what, with numbers."""

    rule: str
    sentence: str
    found_at: datetime
    backup_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reachability:
    """Whether something outside could be reached when it was last asked.

    Attributes:
        is_reachable: None where the question itself could not be asked.
        asked_at: When.
        since: Since when the answer is the same, where that is known.
        message: What was found, scrubbed of secrets.
    """

    is_reachable: bool | None
    asked_at: datetime
    since: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceFacts:
    """All that `evaluate` needs to know of one source.

    Attributes:
        read_at: When the catalog was read; old facts are never judged as good.
        first_backup_at: When the first backup or attempt began, expired ones included; None where there never was one.
        newest: The newest complete, sound backup.
        proven: The newest proven one.
        damaged: Complete backups known to be damaged, newest first.
        last_started: When the newest attempt of each kind began, as far back as the schedule asks.
        last_completed_at: When the newest attempt ended that completed. That its backup was damaged or removed later
            changes nothing: it did reach the server and the repository.
        failures_since_complete: Failed attempts that began after that one.
        failing_since: When the first of these began.
        last_failure: The last failed attempt.
        running: Runs that have not ended.
        tests: Restore tests that ended within 400 days, newest first, whatever their outcome.
        last_test: The last of them, however old.
        last_decisive: The last that passed or failed, however old.
        last_verified_at, last_verified_outcome: The verify run that decides: the last of all backups, or one of a
            single backup that found more.
        last_verified_whole_at: The last of all backups, whatever it found.
        anomalies: Open ones.
        repository: The repository, where somebody asked.
        provider: The server behind the source, where somebody asked.
        unknown_backup_id: A backup that the repository holds and the catalog does not know. It is looked for only where
            the catalog knows none at all; empty where there is none, or where nobody looked.
        backup_count: Complete backups.
        stored_bytes: What they take in the repository.
    """

    read_at: datetime
    first_backup_at: datetime | None = None
    newest: RestorePoint | None = None
    proven: ProvenPoint | None = None
    damaged: tuple[DamagedBackup, ...] = ()
    last_started: Mapping[BackupKind, datetime] = field(default_factory=dict)
    last_completed_at: datetime | None = None
    failures_since_complete: int = 0
    failing_since: datetime | None = None
    last_failure: FailedAttempt | None = None
    running: tuple[RunningRun, ...] = ()
    tests: tuple[RestoreTestFact, ...] = ()
    last_test: RestoreTestFact | None = None
    last_decisive: RestoreTestFact | None = None
    last_verified_at: datetime | None = None
    last_verified_outcome: Outcome | None = None
    last_verified_whole_at: datetime | None = None
    anomalies: tuple[OpenAnomaly, ...] = ()
    repository: Reachability | None = None
    provider: Reachability | None = None
    unknown_backup_id: str = ""
    backup_count: int = 0
    stored_bytes: int = 0
