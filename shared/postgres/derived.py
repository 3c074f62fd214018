"""What the source holds that a restore computes anew: stored generated columns and materialized views.

Neither is in a dump, so both are read beside it, in its snapshot: what they were can then be compared with what the
restore made of them. Virtual generated columns hold nothing; they are computed whenever they are read.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from shared.domain.manifest import DerivedKind, DerivedRecord
from shared.errors import GoldcopyError, ProgramFailed, ProgramStalled, SourceProblem
from shared.postgres.column_reading import ColumnReader
from shared.postgres.derived_text import digest_text
from shared.postgres.facts import Connection, TableFacts

SUMMED_BYTES = 64 << 20
SUMMED_TOTAL_BYTES = 512 << 20
"""Only what is smaller is looked at row by row, from the smallest on while the total lasts: that costs more than the
dump of it. Of larger tables the generated columns are read, in one stream; larger materialized views are not read."""

LOCK_WAIT = "5s"
"""A table that somebody wants for himself is left alone: to wait behind him could hold up the backup."""

_COLUMNS = """
SELECT a.attrelid::bigint, array_agg(a.attname::text), array_agg(a.attname::text) FILTER (WHERE a.attgenerated = 's')
FROM pg_catalog.pg_attribute a
WHERE a.attrelid = ANY(%s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated IN ('', 's')
GROUP BY a.attrelid HAVING bool_or(a.attgenerated = 's')
"""
_VIEWS = """
SELECT c.oid::bigint, c.relispopulated, pg_catalog.has_table_privilege(c.oid, 'SELECT')
FROM pg_catalog.pg_class c WHERE c.oid = ANY(%s::oid[])
"""


class DerivedTarget(NamedTuple):
    """Something to read.

    Attributes:
        oid: Of the table or view.
        data_bytes: Its size on disk.
        is_summed: Whether its rows are looked at one by one.
        record: What is known before it is read.
    """

    oid: int
    data_bytes: int
    is_summed: bool
    record: DerivedRecord


def find_derived(
    connection: Connection, tables: Iterable[TableFacts], views: Iterable[TableFacts]
) -> list[DerivedTarget]:
    """Find what is to be read, in the connection's snapshot.

    Args:
        connection: The snapshot's transaction.
        tables: Those whose rows are dumped whole.
        views: Materialized views that a restore fills.
    """
    return [*_views(connection, views), *_tables(connection, tables)]


def _tables(connection: Connection, tables: Iterable[TableFacts]) -> Iterator[DerivedTarget]:
    by_oid = {table.oid: table for table in tables}
    rows: list[tuple[Any, ...]] = connection.execute(_COLUMNS, (list(by_oid),)).fetchall()
    columns = {oid: (sorted(stored), sorted(generated)) for oid, stored, generated in rows}
    chosen = [by_oid[oid] for oid in columns]
    for table, is_summed in _within_bounds(chosen):
        stored, generated = columns[table.oid]
        # Names in order: all partitions of a table then have the same columns at the same places. The other columns
        # tell rows apart that stand in another order; of a large table they are not worth a second reading.
        record = DerivedRecord(
            kind=DerivedKind.GENERATED_COLUMNS,
            schema=table.schema,
            name=table.name,
            generated=tuple(generated),
            columns=tuple(stored if is_summed else generated),
        )
        yield DerivedTarget(table.oid, table.data_bytes, is_summed, record)


def _views(connection: Connection, views: Iterable[TableFacts]) -> Iterator[DerivedTarget]:
    by_oid = {view.oid: view for view in views}
    rows: list[tuple[Any, ...]] = connection.execute(_VIEWS, (list(by_oid),)).fetchall()
    may_read = {oid: bool(allowed) for oid, is_populated, allowed in rows if is_populated}
    for view, is_small in _within_bounds([by_oid[oid] for oid in may_read]):
        unread = "" if is_small else f"larger than {SUMMED_BYTES >> 20} MiB, or than what is left of all that is read"
        record = DerivedRecord(
            kind=DerivedKind.MATERIALIZED_VIEW,
            schema=view.schema,
            name=view.name,
            columns=view.columns,
            unread=unread if may_read[view.oid] else "the dump role may not read it",
        )
        yield DerivedTarget(view.oid, view.data_bytes, is_small, record)


def _within_bounds(tables: Sequence[TableFacts]) -> Iterator[tuple[TableFacts, bool]]:
    left_bytes = SUMMED_TOTAL_BYTES
    for table in sorted(tables, key=lambda item: (item.data_bytes, item.schema, item.name)):
        left_bytes -= table.data_bytes
        yield table, table.data_bytes <= SUMMED_BYTES and left_bytes >= 0


def read_targets(
    reader: ColumnReader, targets: Sequence[DerivedTarget], key: bytes, *, check: Callable[[], None]
) -> Mapping[int, DerivedRecord]:
    """Read what was found; what cannot be read is recorded with the reason and does not fail the backup.

    Args:
        reader: Reads in the dump's snapshot.
        targets: What to read.
        key: Fingerprint key.
        check: Raises when the dump has failed.

    Returns:
        Records by OID.

    Raises:
        GoldcopyError: What `check` raised.
    """
    records: dict[int, DerivedRecord] = {}
    given_up = ""
    for target in targets:
        record = replace(target.record, unread=target.record.unread or given_up)
        if not record.unread:
            try:
                with reader.text(record, target.data_bytes) as chunks:
                    record = replace(record, **asdict(digest_text(chunks, key, with_row_sum=target.is_summed)))
            except (psycopg.Error, ProgramFailed, ProgramStalled, SourceProblem) as error:
                check()  # what ended the dump ended this too, and matters more
                record = replace(record, unread=_reason(error))
                if isinstance(error, ProgramStalled | SourceProblem | psycopg.OperationalError) and not isinstance(
                    error, errors.LockNotAvailable
                ):
                    given_up = record.unread  # it would be no better with the next
        records[target.oid] = record
    return records


def _reason(error: Exception) -> str:
    if isinstance(error, errors.InsufficientPrivilege):
        return "the dump role may not read it"
    if isinstance(error, errors.LockNotAvailable):
        return "a lock kept it from being read"
    text = error.message if isinstance(error, GoldcopyError) else str(error)
    lines = [line for line in text.splitlines() if line.strip()]
    return f"it could not be read: {lines[0][:200] if lines else type(error).__name__}"
