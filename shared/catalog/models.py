"""The tables of the catalog. Read docs/catalog.md for what each one means.

These classes are only the schema: rows are written by `writer` and its neighbours, read by `reader`, and leave this
package as the frozen dataclasses of `records`. The migrations build the same schema; a test compares the two.
"""

from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Column, Date, ForeignKey, Index, MetaData, Table, false, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.catalog.columns import Text
from shared.catalog.fields import (
    bytes_field,
    code_field,
    count_field,
    instant_field,
    json_field,
    number_key,
    ordinal_key,
    run_number_field,
    seconds_field,
    text_field,
)

METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class CatalogTable(SQLModel, registry=registry(metadata=METADATA)):
    """Base of all tables; its own registry, so no other SQLModel in the process gets mixed in."""

    metadata = METADATA


class Source(CatalogTable, table=True):
    """One database we protect; its row is what writers about this source lock first."""

    name: str = text_field(key=True)
    kind: str = text_field()
    registered_at: datetime = instant_field(optional=False)


class Backup(CatalogTable, table=True):
    """One backup, or one attempt that failed."""

    __table_args__ = (
        Index("ix_backup_source_started", "source", "started_at"),
        Index("ix_backup_source_recovery_point", "source", "status", "recovery_point_at"),
        Index("ix_backup_started", "started_at", "id"),
        Index("ix_backup_status_source", "status", "source", "started_at"),
    )

    id: str = text_field(key=True)
    source: str = text_field(references="source.name")
    kind: str = text_field()
    status: str = text_field()
    reason: str = text_field()
    run_id: int | None = run_number_field()
    started_at: datetime = instant_field(optional=False)
    recovery_point_at: datetime | None = instant_field()
    finished_at: datetime | None = instant_field()
    duration_seconds: float | None = seconds_field()
    dumped_bytes: int = bytes_field()
    stored_bytes: int = bytes_field()
    new_bytes: int = bytes_field()
    table_count: int = count_field()
    row_count: int = bytes_field()
    object_count: int = count_field()
    large_object_count: int = bytes_field()
    server_version: str = text_field()
    client_version: str = text_field()
    tool_version: str = text_field()
    snapshot_id: str = text_field()
    lsn: str = text_field()
    manifest_sha256: str = text_field()
    warnings: list[str] = json_field(list)
    excluded: list[dict[str, str]] = json_field(list)
    durations: dict[str, float] = json_field(dict)
    proven_at: datetime | None = instant_field()
    test_outcome: str = text_field()
    damaged_at: datetime | None = instant_field()
    manifest_damaged_at: datetime | None = instant_field()
    anomaly: str = text_field()
    error_code: int | None = code_field()
    error_message: str = text_field()


class BackupTable(CatalogTable, table=True):
    """One table's rows in a backup; removed when the backup expires."""

    __tablename__ = "backup_table"

    backup_id: str = text_field(key=True, references="backup.id")
    ordinal: int = ordinal_key()
    schema_name: str = text_field()
    table_name: str = text_field()
    rows: int = bytes_field()
    plain_bytes: int = bytes_field()
    fingerprint: str = text_field()
    partition_root: str = Field(sa_column=Column(Text(), default="", server_default=text("''"), nullable=False))


class StoredObject(CatalogTable, table=True):
    """One object of the repository."""

    __tablename__ = "stored_object"
    __table_args__ = (Index("ix_stored_object_source_bytes", "source", "stored_bytes"),)

    id: int | None = number_key()
    key: str = Field(sa_column=Column(Text(), unique=True, nullable=False))
    source: str = text_field(references="source.name")
    stored_bytes: int = bytes_field()
    sha256: str = text_field()
    first_backup_id: str = text_field()
    damaged_at: datetime | None = instant_field()
    damage: str = text_field()


class BackupObject(CatalogTable, table=True):
    """Which backup needs which object; objects are shared between backups."""

    __tablename__ = "backup_object"
    __table_args__ = (
        Index("ix_backup_object_object", "object_id", "backup_id"),
        {"sqlite_with_rowid": False},
    )

    backup_id: str = text_field(key=True, references="backup.id")
    object_id: int = Field(
        sa_column=Column(BigInteger(), ForeignKey("stored_object.id"), primary_key=True, autoincrement=False)
    )


class RestoreTest(CatalogTable, table=True):
    """One restore test; `outcome` stays empty while it runs."""

    __tablename__ = "restore_test"
    __table_args__ = (Index("ix_restore_test_source_started", "source", "started_at"),)

    id: str = text_field(key=True)
    backup_id: str = text_field(references="backup.id", index=True)
    source: str = text_field(references="source.name")
    run_id: int | None = run_number_field()
    picked: str = text_field()
    outcome: str = text_field()
    started_at: datetime = instant_field(optional=False)
    finished_at: datetime | None = instant_field()
    phases: dict[str, float] = json_field(dict)
    recovery_time_seconds: float | None = seconds_field()
    tables_proven: int = count_field()
    rows_proven: int = bytes_field()
    source_version: str = text_field()
    scratch_version: str = text_field()
    tool_version: str = text_field()


class RestoreTestFinding(CatalogTable, table=True):
    """One finding of a restore test, or (severity `not_measured`) one thing that could not be checked."""

    __tablename__ = "restore_test_finding"

    restore_test_id: str = text_field(key=True, references="restore_test.id")
    ordinal: int = ordinal_key()
    check_name: str = text_field()
    severity: str = text_field()
    object_name: str = text_field()
    message: str = text_field()
    hint: str = text_field()


class Verification(CatalogTable, table=True):
    """What a run of verify found in all backups of a source, or in the one of `backup_id` where it read named ones."""

    id: int | None = number_key()
    source: str = text_field(index=True)
    backup_id: str = text_field()
    outcome: str = text_field()
    started_at: datetime = instant_field(optional=False)
    finished_at: datetime = instant_field(optional=False)
    objects_checked: int = count_field()
    bytes_checked: int = bytes_field()
    findings: list[dict[str, str]] = json_field(list)
    not_measured: list[dict[str, str]] = json_field(list)


class Hold(CatalogTable, table=True):
    """A block on expiry, with owner and reason; in force until it is released."""

    __table_args__ = (
        Index(
            "uq_hold_in_force",
            "backup_id",
            "owner",
            unique=True,
            sqlite_where=text("released_at IS NULL"),
            postgresql_where=text("released_at IS NULL"),
        ),
    )

    id: int | None = number_key()
    backup_id: str = text_field(references="backup.id")
    owner: str = text_field()
    reason: str = text_field()
    placed_at: datetime = instant_field(optional=False)
    released_at: datetime | None = instant_field()
    released_by: str = text_field()
    release_reason: str = text_field()


class CleanupAction(CatalogTable, table=True):
    """How far the expiry of one backup has come."""

    __tablename__ = "cleanup_action"
    __table_args__ = (Index("ix_cleanup_action_updated_covering", "updated_at", "source", "freed_bytes"),)

    id: int | None = number_key()
    run_id: int | None = run_number_field()
    backup_id: str = text_field(references="backup.id", index=True)
    source: str = text_field(references="source.name")
    reason: str = text_field()
    state: str = text_field(index=True)
    freed_bytes: int = bytes_field()
    planned_at: datetime = instant_field(optional=False)
    updated_at: datetime = instant_field(optional=False)


class Run(CatalogTable, table=True):
    """One execution of an operation; a running exclusive one is the lock on its source."""

    __table_args__ = (
        Index(
            "uq_run_exclusive",
            "source",
            unique=True,
            sqlite_where=text("state = 'running' AND exclusive"),
            postgresql_where=text("state = 'running' AND exclusive"),
        ),
        Index("ix_run_state", "state", "started_at"),
        Index("ix_run_started", "started_at", "id"),
    )

    id: int | None = number_key()
    operation: str = text_field()
    source: str = text_field()
    backup_id: str = text_field()
    exclusive: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    state: str = text_field()
    started_at: datetime = instant_field(optional=False)
    finished_at: datetime | None = instant_field()
    heartbeat_at: datetime = instant_field(optional=False)
    host: str = text_field()
    pid: int = count_field()
    process_started: str = text_field()
    run_reference: str = text_field()
    run_url: str = Field(sa_column=Column(Text(), default="", server_default=text("''"), nullable=False))
    error_code: int | None = code_field()
    error_message: str = text_field()


class AuditEntry(CatalogTable, table=True):
    """Who did what, when and why; append-only (triggers refuse changes) and hash-chained."""

    __tablename__ = "audit_entry"

    seq: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    at: datetime = instant_field(optional=False)
    actor: str = text_field()
    action: str = text_field()
    object: str = text_field()
    reason: str = text_field()
    details: dict[str, Any] = json_field(dict)
    previous_hash: str = text_field()
    hash: str = text_field()


class SourceStatus(CatalogTable, table=True):
    """Where a source stands now: one row per source, kept in the transaction that changes it."""

    __tablename__ = "source_status"

    source: str = text_field(key=True, references="source.name")
    newest_complete_id: str = text_field()
    newest_complete_at: datetime | None = instant_field()
    newest_complete_finished_at: datetime | None = instant_field()
    newest_complete_seconds: float | None = seconds_field()
    newest_complete_dumped_bytes: int = bytes_field()
    newest_complete_stored_bytes: int = bytes_field()
    newest_proven_id: str = text_field()
    newest_proven_at: datetime | None = instant_field()
    newest_proven_tested_at: datetime | None = instant_field()
    running_id: str = text_field()
    running_since: datetime | None = instant_field()
    last_failure_id: str = text_field()
    last_failure_at: datetime | None = instant_field()
    last_failure_code: int | None = code_field()
    last_failure_message: str = text_field()
    failures_since_complete: int = count_field()
    last_test_id: str = text_field()
    last_test_at: datetime | None = instant_field()
    last_test_outcome: str = text_field()
    last_passed_test_id: str = text_field()
    last_passed_test_at: datetime | None = instant_field()
    last_passed_test_dumped_bytes: int = bytes_field()
    recovery_time_seconds: float | None = seconds_field()
    last_verified_at: datetime | None = instant_field()
    last_verified_outcome: str = text_field()
    last_verified_whole_at: datetime | None = instant_field()
    backup_count: int = count_field()
    held_count: int = count_field()
    damaged_count: int = count_field()
    stored_bytes: int = bytes_field()
    updated_at: datetime = instant_field(optional=False)


class BackupDay(CatalogTable, table=True):
    """What the backups that began on one UTC day came to, per source; expired ones stay counted."""

    __tablename__ = "backup_day"
    __table_args__ = (Index("ix_backup_day_covering", "day", "source", "ok", "failed", "bytes_ok", "anomaly"),)

    source: str = text_field(key=True, references="source.name")
    day: date = Field(sa_column=Column(Date(), primary_key=True))
    ok: int = count_field()
    failed: int = count_field()
    bytes_ok: int = bytes_field()
    new_bytes: int = bytes_field()
    anomaly: int = count_field()


class FleetDay(CatalogTable, table=True):
    """The sum of `backup_day` over all sources."""

    __tablename__ = "fleet_day"

    day: date = Field(sa_column=Column(Date(), primary_key=True))
    ok: int = count_field()
    failed: int = count_field()
    bytes_ok: int = bytes_field()
    new_bytes: int = bytes_field()
    anomaly: int = count_field()


def table_of(model: type[CatalogTable]) -> Table:
    """Return the Table behind a model, for statements that write and read rows without ORM objects."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]


SOURCE = table_of(Source)
BACKUP = table_of(Backup)
BACKUP_TABLE = table_of(BackupTable)
STORED_OBJECT = table_of(StoredObject)
BACKUP_OBJECT = table_of(BackupObject)
RESTORE_TEST = table_of(RestoreTest)
RESTORE_TEST_FINDING = table_of(RestoreTestFinding)
VERIFICATION = table_of(Verification)
HOLD = table_of(Hold)
CLEANUP_ACTION = table_of(CleanupAction)
RUN = table_of(Run)
AUDIT_ENTRY = table_of(AuditEntry)
SOURCE_STATUS = table_of(SourceStatus)
BACKUP_DAY = table_of(BackupDay)
FLEET_DAY = table_of(FleetDay)
