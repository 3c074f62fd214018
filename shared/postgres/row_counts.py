"""Count rows in the snapshot, independently of what a dump says it wrote."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql

from shared.postgres.facts import Connection, TableFacts, reading
from shared.postgres.names import Name

COUNTED_TABLE_BYTES = 64 << 20
COUNTED_TOTAL_BYTES = 512 << 20
"""Tables are counted from the smallest on while these bounds last: a count reads the table, and a backup must not."""

_AT_ONCE = 50
_OTHER_FILES = """
SELECT oid FROM pg_class WHERE oid = ANY(%s::oid[]) AND relfilenode IS DISTINCT FROM pg_relation_filenode(oid)
"""  # the column is of the snapshot, the function looks at the present


def read_row_counts(connection: Connection, tables: Iterable[TableFacts]) -> Mapping[int, int]:
    """Count the rows of small tables in the connection's snapshot.

    Args:
        connection: The snapshot's transaction.
        tables: Those whose rows are dumped whole.

    Returns:
        Rows by OID; large tables are left out, and those that were emptied since the snapshot was taken.

    Raises:
        SourceChanged: A table was dropped meanwhile; a new snapshot is needed.
    """
    chosen: list[TableFacts] = []
    left_bytes = COUNTED_TOTAL_BYTES
    for table in sorted(tables, key=lambda item: item.data_bytes):
        left_bytes -= table.data_bytes
        if table.data_bytes > COUNTED_TABLE_BYTES or left_bytes < 0:
            break
        chosen.append(table)
    counts: dict[int, int] = {}
    one = sql.SQL("SELECT {}::oid, count(*) FROM ONLY {}")
    for start in range(0, len(chosen), _AT_ONCE):
        query = sql.SQL(" UNION ALL ").join(
            one.format(sql.Literal(table.oid), Name(table.schema, table.name))
            for table in chosen[start : start + _AT_ONCE]
        )
        with reading("the rows of the smaller tables"):
            rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        counts |= {int(oid): int(count) for oid, count in rows}
    for oid in replaced_since(connection, list(counts)):
        del counts[oid]
    return counts


def replaced_since(connection: Connection, oids: list[int]) -> list[int]:
    """Name tables that have other files than in the snapshot: TRUNCATE is seen by every snapshot, older ones too.

    So is REFRESH MATERIALIZED VIEW.
    """
    rows: list[tuple[Any, ...]] = connection.execute(_OTHER_FILES, (oids,)).fetchall()
    return [int(row[0]) for row in rows]
