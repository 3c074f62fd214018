"""Anomalies, and what the schema of a source was in its newest backup."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

ROW_NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.add_column("backup_table", sa.Column("partition_root", sa.Text(), server_default=sa.text("''"), nullable=False))
    _anomaly()
    _anomaly_check()
    _schema_baseline()
    _schema_object()
    _schema_change()


def _anomaly() -> None:
    op.create_table(
        "anomaly",
        sa.Column("id", ROW_NUMBER, autoincrement=True, nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("object_name", sa.Text(), nullable=False),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("last_backup_id", sa.Text(), nullable=False),
        sa.Column("severity", sa.Text(), nullable=False),
        sa.Column("sentence", sa.Text(), nullable=False),
        sa.Column("expected", sa.Text(), nullable=False),
        sa.Column("found", sa.Text(), nullable=False),
        sa.Column("expected_value", sa.Float(), nullable=True),
        sa.Column("found_value", sa.Float(), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detected_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("closed_reason", sa.Text(), nullable=False),
        sa.Column("acknowledged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("acknowledged_by", sa.Text(), nullable=False),
        sa.Column("acknowledged_reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_anomaly_source")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_anomaly")),
    )
    op.create_index(op.f("ix_anomaly_backup_id"), "anomaly", ["backup_id"], unique=False)
    op.create_index("uq_anomaly_cause", "anomaly", ["source", "rule", "object_name", "started_at"], unique=True)
    op.create_index(
        "ix_anomaly_unclosed",
        "anomaly",
        ["source"],
        unique=False,
        sqlite_where=sa.text("closed_at IS NULL"),
        postgresql_where=sa.text("closed_at IS NULL"),
    )


def _anomaly_check() -> None:
    op.create_table(
        "anomaly_check",
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_measured", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_anomaly_check_backup_id")),
        sa.PrimaryKeyConstraint("backup_id", name=op.f("pk_anomaly_check")),
    )


def _schema_baseline() -> None:
    op.create_table(
        "schema_baseline",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("compared_with", sa.Text(), nullable=False),
        sa.Column("form", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_schema_baseline_source")),
        sa.PrimaryKeyConstraint("source", name=op.f("pk_schema_baseline")),
    )


def _schema_object() -> None:
    op.create_table(
        "schema_object",
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("object_key", sa.Text(), nullable=False),
        sa.Column("object_class", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("digest", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["source"], ["source.name"], name=op.f("fk_schema_object_source")),
        sa.PrimaryKeyConstraint("source", "object_key", name=op.f("pk_schema_object")),
    )


def _schema_change() -> None:
    op.create_table(
        "schema_change",
        sa.Column("backup_id", sa.Text(), nullable=False),
        sa.Column("ordinal", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("object_class", sa.Text(), nullable=False),
        sa.Column("identity", sa.Text(), nullable=False),
        sa.Column("digest_before", sa.Text(), nullable=False),
        sa.Column("digest_after", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["backup_id"], ["backup.id"], name=op.f("fk_schema_change_backup_id")),
        sa.PrimaryKeyConstraint("backup_id", "ordinal", name=op.f("pk_schema_change")),
    )
