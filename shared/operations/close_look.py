"""Look closely at tables whose fingerprint differs: is it only the order of rows, or the content?

Three steps, each only for what the one before left open: the rows of the table as a multiset, the rows of all
partitions of the same root as a multiset (rows of hash partitions on an enum go to other partitions, because the hash
depends on OIDs), and at last the place of the first differing rows.
"""

from collections.abc import Sequence
from pathlib import Path

from shared.domain.comparison import ContentDifference, ContentVerdict
from shared.domain.manifest import TableRecord
from shared.postgres.multiset import (
    RowMultiset,
    common_order,
    count_rows,
    describe_differences,
    first_differing_rows,
    rows_of_chunks,
    rows_of_file,
)
from shared.postgres.readback import TableReader

_DETAILED_TABLES = 20
"""Tables whose first differing rows are looked for; a wholly damaged backup would only repeat itself."""


def look_closely(
    reader: TableReader, dump_folder: Path, tables: Sequence[TableRecord], key: bytes
) -> dict[str, ContentDifference]:
    """Compare tables that differ, row by row.

    Args:
        reader: Reads the restored database.
        dump_folder: Unpacked dump, whose data files are the recorded side.
        tables: Tables with another fingerprint than recorded.
        key: Key of the row hashes.

    Returns:
        By file name of the dump: what is different.
    """
    found: dict[str, ContentDifference] = {}
    groups: dict[str, list[TableRecord]] = {}
    for table in tables:
        if _recorded(dump_folder, table, key) == _restored(reader, table, key):
            found[table.file] = ContentDifference(verdict=ContentVerdict.SAME_ROWS)
        else:
            groups.setdefault(table.partition_root, []).append(table)
    different = groups.pop("", [])
    for partitions in groups.values():
        if _same_in_root(reader, dump_folder, partitions, key):
            same = ContentDifference(verdict=ContentVerdict.SAME_ROWS_IN_ROOT)
            found |= {table.file: same for table in partitions}
        else:
            different += partitions
    return found | _describe(reader, dump_folder, different)


def _same_in_root(reader: TableReader, dump_folder: Path, partitions: Sequence[TableRecord], key: bytes) -> bool:
    """Compare partitions together; those that are equal one by one would only cancel out."""
    recorded, restored = RowMultiset(), RowMultiset()
    canonical = partitions[0].columns
    for table in partitions:
        try:
            order = common_order(table.columns, canonical)
        except ValueError:
            return False
        recorded += _recorded(dump_folder, table, key, order)
        restored += _restored(reader, table, key, order)
    return recorded == restored


def _recorded(dump_folder: Path, table: TableRecord, key: bytes, order: Sequence[int] | None = None) -> RowMultiset:
    return count_rows(rows_of_file(dump_folder / table.file), key, order)


def _restored(reader: TableReader, table: TableRecord, key: bytes, order: Sequence[int] | None = None) -> RowMultiset:
    with reader.chunks(table) as chunks:
        return count_rows(rows_of_chunks(chunks), key, order)


def _describe(reader: TableReader, dump_folder: Path, different: Sequence[TableRecord]) -> dict[str, ContentDifference]:
    found = {table.file: ContentDifference(verdict=ContentVerdict.DIFFERENT) for table in different}
    for table in different[:_DETAILED_TABLES]:
        with reader.chunks(table) as chunks:
            rows = rows_of_chunks(chunks)
            differences = first_differing_rows(rows_of_file(dump_folder / table.file), rows, table.columns)
            # The stream is left early: psql is ended when the context is left.
        details = describe_differences(differences)
        found[table.file] = ContentDifference(verdict=ContentVerdict.DIFFERENT, details=details)
    return found
