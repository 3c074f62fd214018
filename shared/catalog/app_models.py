"""The tables of the app: who may do what, what was asked for once, and what people logged and requested."""

from datetime import datetime
from typing import Any

from sqlalchemy import Boolean, Column, Index, true
from sqlmodel import Field

from shared.catalog.fields import bytes_field, instant_field, json_field, number_key, text_field
from shared.catalog.models import CatalogTable, table_of


class PersonRow(CatalogTable, table=True):
    """Somebody who may sign in, and what they may do."""

    __tablename__ = "person"

    name: str = text_field(key=True)
    role: str = text_field()
    is_active: bool = Field(sa_column=Column(Boolean(), nullable=False, server_default=true()))
    changed_at: datetime = instant_field(optional=False)
    changed_by: str = text_field()


class ApiKeyRow(CatalogTable, table=True):
    """A key for programs; only its digest is kept, so it can be shown once and never again."""

    __tablename__ = "api_key"

    name: str = text_field(key=True)
    sha256: str = text_field(index=True)
    role: str = text_field()
    created_at: datetime = instant_field(optional=False)
    created_by: str = text_field()
    revoked_at: datetime | None = instant_field()
    revoked_by: str = text_field()


class CommandRow(CatalogTable, table=True):
    """Something that was asked for once, by its token; asked again it answers the same and does nothing."""

    __tablename__ = "command"
    __table_args__ = (Index("ix_command_asked", "asked_at"),)

    token: str = text_field(key=True)
    actor: str = text_field()
    action: str = text_field()
    object_name: str = text_field()
    asked_at: datetime = instant_field(optional=False)
    done_at: datetime | None = instant_field()
    result: dict[str, Any] = json_field(dict)


class ManualBackupRow(CatalogTable, table=True):
    """A backup that was made without Goldcopy, as somebody told; never counted as proven or even as there."""

    __tablename__ = "manual_backup"
    __table_args__ = (Index("ix_manual_backup_taken", "taken_at"),)

    id: int | None = number_key()
    source: str = text_field()
    taken_at: datetime = instant_field(optional=False)
    place: str = text_field()
    stored_bytes: int = bytes_field()
    reason: str = text_field()
    logged_by: str = text_field()
    logged_at: datetime = instant_field(optional=False)


class RestoreRequestRow(CatalogTable, table=True):
    """Somebody asks for a restore; whoever decides is somebody else."""

    __tablename__ = "restore_request"
    __table_args__ = (Index("ix_restore_request_asked", "requested_at"),)

    id: int | None = number_key()
    source: str = text_field()
    backup_id: str = text_field(index=True)
    tables: list[str] = json_field(list)
    destination: str = text_field()
    reason: str = text_field()
    state: str = text_field(index=True)
    requested_by: str = text_field()
    requested_at: datetime = instant_field(optional=False)
    decided_by: str = text_field()
    decided_at: datetime | None = instant_field()
    decision_reason: str = text_field()
    run_reference: str = text_field()
    finished_at: datetime | None = instant_field()
    outcome: str = text_field()


PERSON = table_of(PersonRow)
API_KEY = table_of(ApiKeyRow)
COMMAND = table_of(CommandRow)
MANUAL_BACKUP = table_of(ManualBackupRow)
RESTORE_REQUEST = table_of(RestoreRequestRow)
