"""Everything that the catalog knows of one backup; long lists are cut, and say so."""

from dataclasses import dataclass

from sqlalchemy import select

from shared.catalog.connection import Database
from shared.catalog.conversion import simple_record
from shared.catalog.engine import Catalog
from shared.catalog.models import BACKUP_TABLE
from shared.catalog.records import BackupRow, HoldRow, RestoreTestRow, TableRow
from shared.errors import BackupUnknown

TABLE_LIMIT = 200
TEST_LIMIT = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupDetail:
    """One backup.

    Attributes:
        row: The backup itself.
        tables: Its largest tables, at most `TABLE_LIMIT`; `row.table_count` tells how many there are.
        holds: All holds, released ones included, oldest first.
        tests: Its newest restore tests with their findings.
    """

    row: BackupRow
    tables: tuple[TableRow, ...]
    holds: tuple[HoldRow, ...]
    tests: tuple[RestoreTestRow, ...]


def load_backup(database: Database, backup_id: str) -> BackupDetail | None:
    """Read one backup by its whole id; None where there is none."""
    catalog = Catalog(database, actor="app")
    try:
        row = catalog.backup(backup_id)
    except BackupUnknown:
        return None
    return BackupDetail(
        row=row,
        tables=_largest_tables(database, backup_id),
        holds=catalog.holds(backup_id),
        tests=catalog.restore_tests(backup_id=backup_id, limit=TEST_LIMIT),
    )


def _largest_tables(database: Database, backup_id: str) -> tuple[TableRow, ...]:
    table = BACKUP_TABLE.c
    query = (
        select(BACKUP_TABLE, table.schema_name.label("schema"), table.table_name.label("name"))
        .where(table.backup_id == backup_id)
        .order_by(table.plain_bytes.desc(), table.ordinal)
        .limit(TABLE_LIMIT)
    )
    with database.reading() as connection:
        return tuple(simple_record(TableRow, row) for row in connection.execute(query).mappings())
