"""Manifests that are missing or changed make their backup damaged; when a source was last read again as a whole."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_WHOLE = """
UPDATE source_status SET last_verified_whole_at = (
    SELECT max(finished_at) FROM verification
    WHERE verification.source = source_status.source AND verification.backup_id = ''
)
"""


def upgrade() -> None:
    op.add_column("backup", sa.Column("manifest_damaged_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("source_status", sa.Column("last_verified_whole_at", sa.DateTime(timezone=True), nullable=True))
    op.execute(_WHOLE)
