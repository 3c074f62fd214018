"""Times in which nobody watched: no incident can have been opened in them; how often an incident was told of."""

import sqlalchemy as sa
from alembic import op

from shared.catalog.columns import Instant

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    op.create_table(
        "watch_gap",
        sa.Column("began_at", Instant(), nullable=False),
        sa.Column("ended_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("began_at"),
    )
    op.create_index("ix_backup_status_source", "backup", ["status", "source", "started_at"])
    op.add_column("incident", sa.Column("words", sa.Integer(), server_default=sa.text("0"), nullable=False))
