"""The tables of the catalog. Read docs/catalog.md for what each one means.

These classes are only the schema: rows are written by `writer` and its neighbours, read by `reader`, and leave this
package as the frozen dataclasses of `records`. The migrations build the same schema; a test compares the two.
"""

from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import JSON, BigInteger, Column, Date, Float, ForeignKey, Index, Integer, MetaData, Table, false, text
from sqlalchemy.orm import registry
from sqlmodel import Field, SQLModel

from shared.catalog.columns import Instant, RowNumber, Text

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


def _text(*, key: bool = False, references: str = "", index: bool = False) -> Any:
    links = [ForeignKey(references)] if references else []
    default = None if key or references else ""
    return Field(
        sa_column=Column(Text(), *links, primary_key=key, index=index or None, default=default, nullable=False)
    )


def _bytes() -> Any:
    return Field(sa_column=Column(BigInteger(), default=0, nullable=False))


def _count() -> Any:
    return Field(sa_column=Column(Integer(), default=0, nullable=False))


def _code() -> Any:
    return Field(sa_column=Column(Integer(), nullable=True))


def _seconds() -> Any:
    return Field(sa_column=Column(Float(), nullable=True))


def _instant(*, optional: bool = True) -> Any:
    return Field(sa_column=Column(Instant(), nullable=optional))


def _json(empty: type[dict[str, Any]] | type[list[Any]]) -> Any:
    return Field(sa_column=Column(JSON(), default=empty, nullable=False))


def _number() -> Any:
    return Field(sa_column=Column(RowNumber, primary_key=True, autoincrement=True))


def _ordinal() -> Any:
    return Field(sa_column=Column(Integer(), primary_key=True, autoincrement=False))


def _run_number() -> Any:
    return Field(sa_column=Column(BigInteger(), index=True, nullable=True))


class Source(CatalogTable, table=True):
    """One database we protect; its row is what writers about this source lock first."""

    name: str = _text(key=True)
    kind: str = _text()
    registered_at: datetime = _instant(optional=False)


class Backup(CatalogTable, table=True):
    """One backup, or one attempt that failed."""

    __table_args__ = (
        Index("ix_backup_source_started", "source", "started_at"),
        Index("ix_backup_source_recovery_point", "source", "status", "recovery_point_at"),
        Index("ix_backup_started", "started_at", "id"),
    )

    id: str = _text(key=True)
    source: str = _text(references="source.name")
    kind: str = _text()
    status: str = _text()
    reason: str = _text()
    run_id: int | None = _run_number()
    started_at: datetime = _instant(optional=False)
    recovery_point_at: datetime | None = _instant()
    finished_at: datetime | None = _instant()
    duration_seconds: float | None = _seconds()
    dumped_bytes: int = _bytes()
    stored_bytes: int = _bytes()
    new_bytes: int = _bytes()
    table_count: int = _count()
    row_count: int = _bytes()
    object_count: int = _count()
    large_object_count: int = _bytes()
    server_version: str = _text()
    client_version: str = _text()
    tool_version: str = _text()
    snapshot_id: str = _text()
    lsn: str = _text()
    manifest_sha256: str = _text()
    warnings: list[str] = _json(list)
    excluded: list[dict[str, str]] = _json(list)
    durations: dict[str, float] = _json(dict)
    proven_at: datetime | None = _instant()
    test_outcome: str = _text()
    damaged_at: datetime | None = _instant()
    anomaly: str = _text()
    error_code: int | None = _code()
    error_message: str = _text()


class BackupTable(CatalogTable, table=True):
    """One table's rows in a backup; removed when the backup expires."""

    __tablename__ = "backup_table"

    backup_id: str = _text(key=True, references="backup.id")
    ordinal: int = _ordinal()
    schema_name: str = _text()
    table_name: str = _text()
    rows: int = _bytes()
    plain_bytes: int = _bytes()
    fingerprint: str = _text()


class StoredObject(CatalogTable, table=True):
    """One object of the repository."""

    __tablename__ = "stored_object"
    __table_args__ = (Index("ix_stored_object_source_bytes", "source", "stored_bytes"),)

    id: int | None = _number()
    key: str = Field(sa_column=Column(Text(), unique=True, nullable=False))
    source: str = _text(references="source.name")
    stored_bytes: int = _bytes()
    sha256: str = _text()
    first_backup_id: str = _text()
    damaged_at: datetime | None = _instant()
    damage: str = _text()


class BackupObject(CatalogTable, table=True):
    """Which backup needs which object; objects are shared between backups."""

    __tablename__ = "backup_object"
    __table_args__ = (
        Index("ix_backup_object_object", "object_id", "backup_id"),
        {"sqlite_with_rowid": False},
    )

    backup_id: str = _text(key=True, references="backup.id")
    object_id: int = Field(
        sa_column=Column(BigInteger(), ForeignKey("stored_object.id"), primary_key=True, autoincrement=False)
    )


class RestoreTest(CatalogTable, table=True):
    """One restore test; `outcome` stays empty while it runs."""

    __tablename__ = "restore_test"
    __table_args__ = (Index("ix_restore_test_source_started", "source", "started_at"),)

    id: str = _text(key=True)
    backup_id: str = _text(references="backup.id", index=True)
    source: str = _text(references="source.name")
    run_id: int | None = _run_number()
    picked: str = _text()
    outcome: str = _text()
    started_at: datetime = _instant(optional=False)
    finished_at: datetime | None = _instant()
    phases: dict[str, float] = _json(dict)
    recovery_time_seconds: float | None = _seconds()
    tables_proven: int = _count()
    rows_proven: int = _bytes()
    source_version: str = _text()
    scratch_version: str = _text()
    tool_version: str = _text()


class RestoreTestFinding(CatalogTable, table=True):
    """One finding of a restore test, or (severity `not_measured`) one thing that could not be checked."""

    __tablename__ = "restore_test_finding"

    restore_test_id: str = _text(key=True, references="restore_test.id")
    ordinal: int = _ordinal()
    check_name: str = _text()
    severity: str = _text()
    object_name: str = _text()
    message: str = _text()
    hint: str = _text()


class Verification(CatalogTable, table=True):
    """One run of verify; `backup_id` is empty when it read more than one backup."""

    id: int | None = _number()
    source: str = _text(index=True)
    backup_id: str = _text()
    outcome: str = _text()
    started_at: datetime = _instant(optional=False)
    finished_at: datetime = _instant(optional=False)
    objects_checked: int = _count()
    bytes_checked: int = _bytes()
    findings: list[dict[str, str]] = _json(list)
    not_measured: list[dict[str, str]] = _json(list)


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

    id: int | None = _number()
    backup_id: str = _text(references="backup.id")
    owner: str = _text()
    reason: str = _text()
    placed_at: datetime = _instant(optional=False)
    released_at: datetime | None = _instant()
    released_by: str = _text()
    release_reason: str = _text()


class CleanupAction(CatalogTable, table=True):
    """How far the expiry of one backup has come."""

    __tablename__ = "cleanup_action"

    id: int | None = _number()
    run_id: int | None = _run_number()
    backup_id: str = _text(references="backup.id", index=True)
    source: str = _text(references="source.name")
    reason: str = _text()
    state: str = _text(index=True)
    freed_bytes: int = _bytes()
    planned_at: datetime = _instant(optional=False)
    updated_at: datetime = _instant(optional=False)


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

    id: int | None = _number()
    operation: str = _text()
    source: str = _text()
    backup_id: str = _text()
    exclusive: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    state: str = _text()
    started_at: datetime = _instant(optional=False)
    finished_at: datetime | None = _instant()
    heartbeat_at: datetime = _instant(optional=False)
    host: str = _text()
    pid: int = _count()
    process_started: str = _text()
    run_reference: str = _text()
    error_code: int | None = _code()
    error_message: str = _text()


class AuditEntry(CatalogTable, table=True):
    """Who did what, when and why; append-only (triggers refuse changes) and hash-chained."""

    __tablename__ = "audit_entry"

    seq: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    at: datetime = _instant(optional=False)
    actor: str = _text()
    action: str = _text()
    object: str = _text()
    reason: str = _text()
    details: dict[str, Any] = _json(dict)
    previous_hash: str = _text()
    hash: str = _text()


class SourceStatus(CatalogTable, table=True):
    """Where a source stands now: one row per source, kept in the transaction that changes it."""

    __tablename__ = "source_status"

    source: str = _text(key=True, references="source.name")
    newest_complete_id: str = _text()
    newest_complete_at: datetime | None = _instant()
    newest_complete_finished_at: datetime | None = _instant()
    newest_complete_seconds: float | None = _seconds()
    newest_complete_dumped_bytes: int = _bytes()
    newest_complete_stored_bytes: int = _bytes()
    newest_proven_id: str = _text()
    newest_proven_at: datetime | None = _instant()
    newest_proven_tested_at: datetime | None = _instant()
    running_id: str = _text()
    running_since: datetime | None = _instant()
    last_failure_id: str = _text()
    last_failure_at: datetime | None = _instant()
    last_failure_code: int | None = _code()
    last_failure_message: str = _text()
    failures_since_complete: int = _count()
    last_test_id: str = _text()
    last_test_at: datetime | None = _instant()
    last_test_outcome: str = _text()
    last_passed_test_id: str = _text()
    last_passed_test_at: datetime | None = _instant()
    last_passed_test_dumped_bytes: int = _bytes()
    recovery_time_seconds: float | None = _seconds()
    last_verified_at: datetime | None = _instant()
    last_verified_outcome: str = _text()
    backup_count: int = _count()
    held_count: int = _count()
    damaged_count: int = _count()
    stored_bytes: int = _bytes()
    updated_at: datetime = _instant(optional=False)


class BackupDay(CatalogTable, table=True):
    """What the backups that began on one UTC day came to, per source; expired ones stay counted."""

    __tablename__ = "backup_day"
    __table_args__ = (Index("ix_backup_day_covering", "day", "source", "ok", "failed", "bytes_ok", "anomaly"),)

    source: str = _text(key=True, references="source.name")
    day: date = Field(sa_column=Column(Date(), primary_key=True))
    ok: int = _count()
    failed: int = _count()
    bytes_ok: int = _bytes()
    new_bytes: int = _bytes()
    anomaly: int = _count()


class FleetDay(CatalogTable, table=True):
    """The sum of `backup_day` over all sources."""

    __tablename__ = "fleet_day"

    day: date = Field(sa_column=Column(Date(), primary_key=True))
    ok: int = _count()
    failed: int = _count()
    bytes_ok: int = _bytes()
    new_bytes: int = _bytes()
    anomaly: int = _count()


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
