"""What cleanups freed by day is read for a year at a time: an index that holds all that is asked."""

from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_index(
        "ix_cleanup_action_updated_covering", "cleanup_action", ["updated_at", "source", "freed_bytes"], unique=False
    )
