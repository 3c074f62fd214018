"""The first schema."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_NEVER = "entries of the audit trail are never changed or removed"


def upgrade() -> None:
    _audit_entry()
    _fleet_day()
    _run()
    _source()
    _verification()
    _backup()
    _backup_day()
    _source_status()
    _stored_object()
    _backup_object()
    _backup_table()
    _cleanup_action()
    _hold()
    _restore_test()
    _restore_test_finding()
    _keep_audit_entries()


def _audit_entry() -> None:
    op.create_table(
        "audit_entry",
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("object", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("previous_hash", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit_entry")),
    )


def _fleet_day() -> None:
    op.create_table(
        "fleet_day",
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ok", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("bytes_ok", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("anomaly", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("day", name=op.f("pk_fleet_day")),
    )


def _run() -> None:
    op.create_table(
        "run",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("operation", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("exclusive", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("pid", sa.Integer(), nullable=False),
        sa.Column("process_started", sa.Text(), nullable=False),
        sa.Column("run_reference", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    op.create_index("ix_run_started", "run", ["started_at", "id"], unique=False)
    op.create_index("ix_run_state", "run", ["state", "started_at"], unique=False)
    op.create_index(
        "uq_run_exclusive",
        "run",
        ["source"],
        unique=True,
        sqlite_where=sa.text("state = 'running' AND exclusive"),
        postgresql_where=sa.text("state = 'running' AND exclusive"),
    )


def _source() -> None:
    op.create_table(
        "source",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("registered_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_source")),
    )


def _verification() -> None:
    op.create_table(
        "verification",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("objects_checked", sa.Integer(), nullable=False),
        sa.Column("bytes_checked", sa.BigInteger(), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("not_measured", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_verification")),
    )
    op.create_index(op.f("ix_verification_source"), "verification", ["source"], unique=False)


def _backup() -> None:
    op.create_table(
        "backup",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recovery_point_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("duration_seconds", sa.Float(), nullable=True),
        sa.Column("dumped_bytes", sa.BigInteger(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("table_count", sa.Integer(), nullable=False),
        sa.Column("row_count", sa.BigInteger(), nullable=False),
        sa.Column("object_count", sa.Integer(), nullable=False),
        sa.Column("large_object_count", sa.BigInteger(), nullable=False),
        sa.Column("server_version", sa.Text(), nullable=False),
        sa.Column("client_version", sa.Text(), nullable=False),
        sa.Column("tool_version", sa.Text(), nullable=False),
        sa.Column("snapshot_id", sa.Text(), nullable=False),
        sa.Column("lsn", sa.Text(), nullable=False),
        sa.Column("manifest_sha256", sa.Text(), nullable=False),
        sa.Column("warnings", sa.JSON(), nullable=False),
        sa.Column("excluded", sa.JSON(), nullable=False),
        sa.Column("durations", sa.JSON(), nullable=False),
        sa.Column("proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("test_outcome", sa.Text(), nullable=False),
        sa.Column("damaged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("anomaly", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Integer(), nullable=True),
        sa.Column("error_message", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_backup_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_backup")),
    )
    op.create_index(op.f("ix_backup_run_id"), "backup", ["run_id"], unique=False)
    op.create_index(
        "ix_backup_source_recovery_point", "backup", ["source", "status", "recovery_point_at"], unique=False
    )
    op.create_index("ix_backup_source_started", "backup", ["source", "started_at"], unique=False)
    op.create_index("ix_backup_started", "backup", ["started_at", "id"], unique=False)


def _backup_day() -> None:
    op.create_table(
        "backup_day",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("ok", sa.Integer(), nullable=False),
        sa.Column("failed", sa.Integer(), nullable=False),
        sa.Column("bytes_ok", sa.BigInteger(), nullable=False),
        sa.Column("new_bytes", sa.BigInteger(), nullable=False),
        sa.Column("anomaly", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_backup_day_source")),
        sa.PrimaryKeyConstraint("source", "day", name=op.f("pk_backup_day")),
    )
    op.create_index(
        "ix_backup_day_covering", "backup_day", ["day", "source", "ok", "failed", "bytes_ok", "anomaly"], unique=False
    )


def _source_status() -> None:
    op.create_table(
        "source_status",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("newest_complete_id", sa.Text(), nullable=False),
        sa.Column("newest_complete_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_complete_finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_complete_seconds", sa.Float(), nullable=True),
        sa.Column("newest_complete_dumped_bytes", sa.BigInteger(), nullable=False),
        sa.Column("newest_complete_stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("newest_proven_id", sa.Text(), nullable=False),
        sa.Column("newest_proven_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("newest_proven_tested_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("running_id", sa.Text(), nullable=False),
        sa.Column("running_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_failure_id", sa.Text(), nullable=False),
        sa.Column("last_failure_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_failure_code", sa.Integer(), nullable=True),
        sa.Column("last_failure_message", sa.Text(), nullable=False),
        sa.Column("failures_since_complete", sa.Integer(), nullable=False),
        sa.Column("last_test_id", sa.Text(), nullable=False),
        sa.Column("last_test_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_test_outcome", sa.Text(), nullable=False),
        sa.Column("last_passed_test_id", sa.Text(), nullable=False),
        sa.Column("last_passed_test_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_passed_test_dumped_bytes", sa.BigInteger(), nullable=False),
        sa.Column("recovery_time_seconds", sa.Float(), nullable=True),
        sa.Column("last_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_verified_outcome", sa.Text(), nullable=False),
        sa.Column("backup_count", sa.Integer(), nullable=False),
        sa.Column("held_count", sa.Integer(), nullable=False),
        sa.Column("damaged_count", sa.Integer(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_source_status_source")),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_source_status")),
    )


def _stored_object() -> None:
    op.create_table(
        "stored_object",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("stored_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("first_backup_id", sa.Text(), nullable=False),
        sa.Column("damaged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("damage", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_stored_object_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stored_object")),
        sa.UniqueConstraint("key", name=op.f("uq_stored_object_key")),
    )
    op.create_index("ix_stored_object_source_bytes", "stored_object", ["source", "stored_bytes"], unique=False)


def _backup_object() -> None:
    op.create_table(
        "backup_object",
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("object_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_backup_object_backup_id")),
        sa.ForeignKeyConstraint(["object_id"], ["stored_object.id"], name=op.f("fk_backup_object_object_id")),
        sa.PrimaryKeyConstraint("backup_id", "object_id", name=op.f("pk_backup_object")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_backup_object_object", "backup_object", ["object_id", "backup_id"], unique=False)


def _backup_table() -> None:
    op.create_table(
        "backup_table",
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("schema_name", sa.Text(), nullable=False),
        sa.Column("table_name", sa.Text(), nullable=False),
        sa.Column("rows", sa.BigInteger(), nullable=False),
        sa.Column("plain_bytes", sa.BigInteger(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_backup_table_backup_id")),
        sa.PrimaryKeyConstraint("backup_id", "ordinal", name=op.f("pk_backup_table")),
    )


def _cleanup_action() -> None:
    op.create_table(
        "cleanup_action",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("freed_bytes", sa.BigInteger(), nullable=False),
        sa.Column("planned_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_cleanup_action_backup_id")),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_cleanup_action_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cleanup_action")),
    )
    op.create_index(op.f("ix_cleanup_action_backup_id"), "cleanup_action", ["backup_id"], unique=False)
    op.create_index(op.f("ix_cleanup_action_run_id"), "cleanup_action", ["run_id"], unique=False)
    op.create_index(op.f("ix_cleanup_action_state"), "cleanup_action", ["state"], unique=False)


def _hold() -> None:
    op.create_table(
        "hold",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("placed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("released_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=False),
        sa.Column("release_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_hold_backup_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_hold")),
    )
    op.create_index(
        "uq_hold_in_force",
        "hold",
        ["backup_id", "owner"],
        unique=True,
        sqlite_where=sa.text("released_at IS NULL"),
        postgresql_where=sa.text("released_at IS NULL"),
    )


def _restore_test() -> None:
    op.create_table(
        "restore_test",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("run_id", sa.BigInteger(), nullable=True),
        sa.Column("picked", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("phases", sa.JSON(), nullable=False),
        sa.Column("recovery_time_seconds", sa.Float(), nullable=True),
        sa.Column("tables_proven", sa.Integer(), nullable=False),
        sa.Column("rows_proven", sa.BigInteger(), nullable=False),
        sa.Column("source_version", sa.Text(), nullable=False),
        sa.Column("scratch_version", sa.Text(), nullable=False),
        sa.Column("tool_version", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_restore_test_backup_id")),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_restore_test_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_restore_test")),
    )
    op.create_index(op.f("ix_restore_test_backup_id"), "restore_test", ["backup_id"], unique=False)
    op.create_index(op.f("ix_restore_test_run_id"), "restore_test", ["run_id"], unique=False)
    op.create_index("ix_restore_test_source_started", "restore_test", ["source", "started_at"], unique=False)


def _restore_test_finding() -> None:
    op.create_table(
        "restore_test_finding",
        sa.Column("restore_test_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("check_name", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("hint", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["restore_test_id"], ["restore_test.id"], name=op.f("fk_restore_test_finding_restore_test_id")
        ),
        sa.PrimaryKeyConstraint("restore_test_id", "ordinal", name=op.f("pk_restore_test_finding")),
    )


def _keep_audit_entries() -> None:
    """Let the database itself refuse to change history."""
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_entry_no_{event.lower()} BEFORE {event} ON audit_entry "
                f"BEGIN SELECT RAISE(ABORT, '{_NEVER}'); END"
            )
        return
    op.execute(
        "CREATE FUNCTION audit_entry_refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_NEVER}'; END $$"
    )
    op.execute(
        "CREATE TRIGGER audit_entry_no_change BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_entry "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_entry_refuse()"
    )
