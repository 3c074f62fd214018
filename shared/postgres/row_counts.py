"""Count rows in the snapshot, independently of what a dump says it wrote."""

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import sql

from shared.postgres.facts import Connection, TableFacts

COUNTED_TABLE_BYTES = 64 << 20
COUNTED_TOTAL_BYTES = 512 << 20
"""Tables are counted from the smallest on while these bounds last: a count reads the table, and a backup must not."""

_AT_ONCE = 50


def read_row_counts(connection: Connection, tables: Iterable[TableFacts]) -> Mapping[int, int]:
    """Count the rows of small tables in the connection's snapshot.

    Args:
        connection: The snapshot's transaction.
        tables: Those whose rows are dumped whole.

    Returns:
        Rows by OID; large tables are left out.
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
            one.format(sql.Literal(table.oid), sql.Identifier(table.schema, table.name))
            for table in chosen[start : start + _AT_ONCE]
        )
        rows: list[tuple[Any, ...]] = connection.execute(query).fetchall()
        counts |= {int(oid): int(count) for oid, count in rows}
    return counts
