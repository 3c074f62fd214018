"""The app: people and their roles, keys for programs, commands by token, logged backups, requests for a restore."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _person()
    _api_key()
    _command()
    _manual_backup()
    _restore_request()


def _text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=False)


def _instant(name: str, *, optional: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=optional)


def _person() -> None:
    op.create_table(
        "person",
        _text("name"),
        _text("role"),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        _instant("changed_at"),
        _text("changed_by"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_person")),
    )


def _api_key() -> None:
    op.create_table(
        "api_key",
        _text("name"),
        _text("sha256"),
        _text("role"),
        _instant("created_at"),
        _text("created_by"),
        _instant("revoked_at", optional=True),
        _text("revoked_by"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_api_key")),
    )
    op.create_index(op.f("ix_api_key_sha256"), "api_key", ["sha256"], unique=False)


def _command() -> None:
    op.create_table(
        "command",
        _text("token"),
        _text("actor"),
        _text("action"),
        _text("object_name"),
        _instant("asked_at"),
        _instant("done_at", optional=True),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_command")),
    )
    op.create_index("ix_command_asked", "command", ["asked_at"], unique=False)


def _manual_backup() -> None:
    op.create_table(
        "manual_backup",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        _text("source"),
        _instant("taken_at"),
        _text("place"),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        _text("reason"),
        _text("logged_by"),
        _instant("logged_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_manual_backup")),
    )
    op.create_index("ix_manual_backup_taken", "manual_backup", ["taken_at"], unique=False)


def _restore_request() -> None:
    op.create_table(
        "restore_request",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        _text("source"),
        _text("backup_id"),
        sa.Column("tables", sa.JSON(), nullable=False),
        _text("destination"),
        _text("reason"),
        _text("state"),
        _text("requested_by"),
        _instant("requested_at"),
        _text("decided_by"),
        _instant("decided_at", optional=True),
        _text("decision_reason"),
        _text("run_reference"),
        _instant("finished_at", optional=True),
        _text("outcome"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restore_request")),
    )
    op.create_index(op.f("ix_restore_request_backup_id"), "restore_request", ["backup_id"], unique=False)
    op.create_index(op.f("ix_restore_request_state"), "restore_request", ["state"], unique=False)
    op.create_index("ix_restore_request_asked", "restore_request", ["requested_at"], unique=False)
