"""Foreign keys of chosen tables to tables that the destination has already: added after the rows, each by itself.

The rows of the destination's table are of another day than the restored ones. A key that does not fit them must not
undo the whole restore, so it is tried last, and left out with the reason where it does not fit.
"""

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg

from shared.domain.comparison import qualified
from shared.domain.proof import Finding, Severity
from shared.postgres.archive import Toc, TocEntry
from shared.postgres.connection import DatabaseAddress
from shared.postgres.restore_selection import Selection

_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\s"(),.]+)'
_COLUMNS = rf"\(({_IDENTIFIER}(?:, {_IDENTIFIER})*)\)"
_REFERENCES = re.compile(rf"FOREIGN KEY {_COLUMNS} REFERENCES ({_IDENTIFIER}\.{_IDENTIFIER}){_COLUMNS}")

# What a foreign key may refer to: all rows, at once, by exactly these columns.
_HAS_KEY = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_index i
    WHERE i.indrelid = pg_catalog.to_regclass(%s) AND i.indisunique AND i.indisvalid AND i.indimmediate
        AND i.indpred IS NULL AND i.indexprs IS NULL
        AND %s::text[] = (
            SELECT pg_catalog.array_agg(a.attname::text ORDER BY a.attname::text COLLATE "C")
            FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS part (number, place)
            JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = part.number
            WHERE part.place <= i.indnkeyatts
        )
)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class LateKey:
    """A foreign key that can be added when the rows are there, and its comments."""

    entry: TocEntry
    comments: tuple[TocEntry, ...] = ()

    @property
    def dump_ids(self) -> frozenset[int]:
        """Numbers of all that is added with it."""
        return frozenset({self.entry.dump_id, *(comment.dump_id for comment in self.comments)})


def find_late_keys(toc: Toc, chosen: Selection, address: DatabaseAddress) -> tuple[LateKey, ...]:
    """Find the foreign keys that were left out of a selection and whose table, with its key, the destination has.

    Raises:
        SourceProblem: The destination cannot be reached.
    """
    left_out = [entry for entry in toc.entries if entry.dump_id in chosen.left_out]
    keys = [entry for entry in left_out if entry.description == "FK CONSTRAINT"]
    if not keys:
        return ()
    with closing(address.connect(read_only=True)) as connection:
        held = [entry for entry in keys if _holds_key(connection, entry.definition)]
    return tuple(
        LateKey(
            entry=entry,
            comments=tuple(
                item for item in left_out if item.description == "COMMENT" and entry.dump_id in item.dependencies
            ),
        )
        for entry in held
    )


def add_late_keys(address: DatabaseAddress, keys: Sequence[LateKey]) -> list[Finding]:
    """Add foreign keys to restored tables; return a finding for each that the destination does not take.

    Raises:
        SourceProblem: The destination cannot be reached.
    """
    findings = []
    with closing(address.connect()) as connection:
        for key in keys:
            try:
                for entry in (key.entry, *key.comments):
                    connection.execute(entry.definition.encode())
            except psycopg.Error as error:
                findings.append(_refused(key.entry, error))
    return findings


def referenced_key(definition: str) -> tuple[str, tuple[str, ...]] | None:
    """Read what a foreign key refers to: the table as the server reads it, and its columns; None where that is unclear.

    Worked example: `... REFERENCES shop.customers(id, "Odd")` refers to `shop.customers` by `id` and `Odd`.
    """
    match = _REFERENCES.search(definition)
    if match is None:
        return None
    names = re.findall(_IDENTIFIER, match[3])
    return match[2], tuple(name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names)


def _holds_key(connection: "psycopg.Connection[tuple[object, ...]]", definition: str) -> bool:
    key = referenced_key(definition)
    if key is None:
        return False
    table, columns = key
    row = connection.execute(_HAS_KEY, (table, sorted(columns, key=str.encode))).fetchone()
    return bool(row and row[0])


def _refused(entry: TocEntry, error: psycopg.Error) -> Finding:
    # The first message only: the detail quotes a row.
    reason = error.diag.message_primary or type(error).__name__
    return Finding(
        check="left-out",
        severity=Severity.WARNING,
        object=f"fk constraint {qualified(entry.schema, entry.tag)}",
        message=f"not restored: {reason}",
        hint=f"Mend the rows, then run: {' '.join(entry.definition.split())}",
    )
