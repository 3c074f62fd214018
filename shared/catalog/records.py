"""What leaves the catalog, and what is handed to it: frozen rows, never ORM objects.

A `...Row` is one row as it was read. A `...Result` is what an operation hands over to be recorded.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.manifest import Exclusion
from shared.domain.proof import Finding, NotMeasured, Outcome


class RunState(StrEnum):
    """How a run stands; `lost` means that its process died without a word."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    LOST = "lost"


class CleanupState(StrEnum):
    """How far the expiry of a backup has come; anything but done and dropped is taken up again."""

    PLANNED = "planned"
    MARKED = "marked"
    MANIFEST_REMOVED = "manifest_removed"
    OBJECTS_REMOVED = "objects_removed"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRow:
    """One backup, or one attempt that failed.

    Attributes:
        id: Its backup id.
        recovery_point_at: Instant of its snapshot; None until it is complete.
        duration_seconds: Start to manifest, or to the failure.
        new_bytes: Bytes stored that no earlier backup had.
        proven_at: When its latest decisive restore test passed; None when that test failed.
        test_outcome: Outcome of its latest decisive restore test (passed or failed), or None.
        damaged_at: Since when its manifest, or an object that it names, is known to be missing or damaged.
        held: Whether a hold is in force.
        anomaly: What was odd about it, or empty.
        durations: Seconds by phase.
    """

    id: str
    source: str
    kind: BackupKind
    status: BackupStatus
    reason: str
    run_id: int | None
    started_at: datetime
    recovery_point_at: datetime | None
    finished_at: datetime | None
    duration_seconds: float | None
    dumped_bytes: int
    stored_bytes: int
    new_bytes: int
    table_count: int
    row_count: int
    object_count: int
    large_object_count: int
    server_version: str
    client_version: str
    tool_version: str
    snapshot_id: str
    lsn: str
    manifest_sha256: str
    warnings: tuple[str, ...]
    excluded: tuple[Exclusion, ...]
    durations: dict[str, float]
    proven_at: datetime | None
    test_outcome: Outcome | None
    damaged_at: datetime | None
    held: bool
    anomaly: str
    error_code: int | None
    error_message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One table's rows in a backup; `partition_root` is the outermost partitioned parent's name, else empty."""

    schema: str
    name: str
    rows: int
    plain_bytes: int
    fingerprint: str
    partition_root: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRow:
    """One stored object as the catalog knows it."""

    key: str
    stored_bytes: int
    sha256: str
    damaged_at: datetime | None = None
    damage: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRow:
    """One execution of an operation.

    Attributes:
        source: Source it works on; empty for all.
        backup_id: The backup that it reads, where it reads one; such a backup is in use.
        exclusive: Whether it holds the source against other exclusive runs.
        heartbeat_at: Last sign of life.
        process_started: Boot, process name space and start of the process, so that a reused pid is not mistaken for it.
        run_reference: The orchestrator's id of it, or empty.
        run_url: The orchestrator's page of it, or empty.
    """

    id: int
    operation: str
    source: str
    backup_id: str
    exclusive: bool
    state: RunState
    started_at: datetime
    finished_at: datetime | None
    heartbeat_at: datetime
    host: str
    pid: int
    process_started: str
    run_reference: str
    run_url: str
    error_code: int | None
    error_message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestRow:
    """One restore test; `outcome` and `finished_at` are None while it runs."""

    id: str
    backup_id: str
    source: str
    run_id: int | None
    picked: str
    outcome: Outcome | None
    started_at: datetime
    finished_at: datetime | None
    findings: tuple[Finding, ...]
    not_measured: tuple[NotMeasured, ...]
    phases: dict[str, float]
    recovery_time_seconds: float | None
    tables_proven: int
    rows_proven: int
    source_version: str
    scratch_version: str
    tool_version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationResult:
    """What a verify run found; `source` and `backup_id` are empty where it read several."""

    source: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    backup_id: str = ""
    objects_checked: int = 0
    bytes_checked: int = 0
    findings: tuple[Finding, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRow(VerificationResult):
    """One recorded verify run."""

    id: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRow:
    """A block on expiry; in force while `released_at` is None."""

    id: int
    backup_id: str
    owner: str
    reason: str
    placed_at: datetime
    released_at: datetime | None
    released_by: str
    release_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupActionRow:
    """How far the expiry of one backup has come."""

    id: int
    run_id: int | None
    backup_id: str
    source: str
    reason: str
    state: CleanupState
    freed_bytes: int
    planned_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One entry of the audit chain.

    Attributes:
        seq: 1, 2, 3, ... without a gap.
        object: What was acted on, such as a backup id.
        details: Plain JSON values.
        previous_hash: Hash of the entry before; empty for the first.
        hash: SHA-256 over everything else here, hex.
    """

    seq: int
    at: datetime
    actor: str
    action: str
    object: str
    reason: str
    details: dict[str, Any]
    previous_hash: str
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRow:
    """A source that the catalog has met."""

    name: str
    kind: str
    registered_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceStatusRow:
    """Where a source stands; `_at` of the newest backups is their recovery point, damaged ones do not count."""

    source: str
    newest_complete_id: str = ""
    newest_complete_at: datetime | None = None
    newest_complete_finished_at: datetime | None = None
    newest_complete_seconds: float | None = None
    newest_complete_dumped_bytes: int = 0
    newest_complete_stored_bytes: int = 0
    newest_proven_id: str = ""
    newest_proven_at: datetime | None = None
    newest_proven_tested_at: datetime | None = None
    running_id: str = ""
    running_since: datetime | None = None
    last_failure_id: str = ""
    last_failure_at: datetime | None = None
    last_failure_code: int | None = None
    last_failure_message: str = ""
    failures_since_complete: int = 0
    last_test_id: str = ""
    last_test_at: datetime | None = None
    last_test_outcome: Outcome | None = None
    last_passed_test_id: str = ""
    last_passed_test_at: datetime | None = None
    last_passed_test_dumped_bytes: int = 0
    recovery_time_seconds: float | None = None
    last_verified_at: datetime | None = None
    last_verified_outcome: Outcome | None = None
    last_verified_whole_at: datetime | None = None
    backup_count: int = 0
    held_count: int = 0
    damaged_count: int = 0
    stored_bytes: int = 0
    updated_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRow:
    """What the backups that began on one UTC day came to; `source` is empty for the whole fleet."""

    day: date
    source: str = ""
    ok: int = 0
    failed: int = 0
    bytes_ok: int = 0
    new_bytes: int = 0
    anomaly: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """What both the catalog and the repository know of one complete backup, to be compared."""

    row: dict[str, Any]
    tables: tuple[TableRow, ...]
    objects: tuple[ObjectRow, ...]
