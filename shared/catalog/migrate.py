"""Bring a catalog's schema up to date, once, whoever comes first."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from shared.catalog.connection import Database, lock_name_space
from shared.errors import CatalogRefused

# Oldest first; the migrations' own chain must be the same (a test compares). Listed here so that opening a catalog
# that is up to date does not import Alembic.
REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
_LOCK_NUMBER = 0x601D_C097


def migrate(database: Database) -> None:
    """Create or update the schema under a lock; two processes at once do not collide.

    Raises:
        CatalogRefused: The catalog was written by a newer Goldcopy.
    """
    if _is_current(database):
        return
    with database.writing() as connection:
        lock_name_space(connection, _LOCK_NUMBER)
        # Asked again under the lock: another process may have done it in the meantime.
        if _revision(connection, database.label) != REVISIONS[-1]:
            _upgrade(connection)


def require_current(database: Database) -> None:
    """Check, without writing, that the schema is this code's.

    Raises:
        CatalogRefused: It is older, newer, or not there.
    """
    if not _is_current(database):
        raise CatalogRefused(
            f"the catalog {database.label} has not been brought up to date",
            hint="Run any command that may write to it, such as `goldcopy backups`, with a login that owns its tables.",
        )


def _is_current(database: Database) -> bool:
    with database.reading() as connection:
        return _revision(connection, database.label) == REVISIONS[-1]


def _revision(connection: Connection, label: str) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    if revision is not None and revision not in REVISIONS:
        raise CatalogRefused(
            f"the catalog {label} is of revision {revision}, newer than this Goldcopy knows ({REVISIONS[-1]})",
            hint="Use the newer Goldcopy that wrote it; nothing was changed.",
        )
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
