"""Where people find a run again: the orchestrator's page of it."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.add_column("run", sa.Column("run_url", sa.Text(), server_default=sa.text("''"), nullable=False))
