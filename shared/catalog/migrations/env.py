"""Run by Alembic; the connection and its transaction come from `shared.catalog.migrate`."""

from alembic import context

from shared.catalog.models import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    # SQLite's DDL is transactional too once sqlite3 stops committing by itself, which `connection` sees to.
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
