"""Tell that chosen tables come back without the large objects that they may name."""

import re
from collections.abc import Iterable

from shared.domain.comparison import qualified
from shared.domain.proof import Finding, Severity
from shared.postgres.archive import TocEntry
from shared.units import counted

_NAME = r'(?:"(?:[^"]|"")+"|[^\s".,()]+)'
_NAMES_LARGE_OBJECTS = re.compile(rf"^\s+{_NAME} (?:oid|(?:{_NAME}\.)?lo)(?=[\s,\[]|$)", re.MULTILINE)
"""A column of type oid, or lo of the extension, as pg_dump writes it: each column on a line of its own."""


def large_objects_left_out(count: int, entries: Iterable[TocEntry]) -> list[Finding]:
    """Warn of tables with a column of type oid or lo, where the backup holds large objects.

    Args:
        count: Large objects in the backup.
        entries: The entries of the chosen tables with what they need.

    Returns:
        One finding, or none. Whether such a column does name large objects nobody can know from its type.
    """
    tables = [
        qualified(entry.schema, entry.tag)
        for entry in entries
        if entry.description == "TABLE" and _NAMES_LARGE_OBJECTS.search(entry.definition)
    ]
    if not count or not tables:
        return []
    return [
        Finding(
            check="left-out",
            severity=Severity.WARNING,
            object=", ".join(tables[:5]),
            message=f"not restored with chosen tables: {counted(count, 'large object')}, which rows may name",
            hint="Where the destination lacks them, restore everything into a new database and copy them from there.",
        )
    ]
