"""What an incident remembers: since when it has its colour, what was worst, which reasons went away and when."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("incident", sa.Column("colour_since", sa.DateTime(timezone=True), nullable=True))
    op.add_column("incident", sa.Column("worst_because", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("incident", sa.Column("worst_seconds", sa.Float(), nullable=True))
    op.add_column("incident", sa.Column("absent", sa.JSON(), nullable=True))
