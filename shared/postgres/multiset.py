"""Compare rows of COPY text where their order may differ: as multisets, and by the place of the first difference.

The sum of keyed 128-bit row hashes modulo 2^128 does not depend on the order, adds up over partitions, and needs no
memory however many rows there are. A COPY text row is one line (line feeds in values are escaped) and its fields are
separated by tabs (tabs in values are escaped), so nothing has to be parsed.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path

END_MARKER = b"\\.\n\n\n"
"""What pg_dump adds to the COPY text in a data file of a directory-format dump."""

_MODULUS = 1 << 128
_CHUNK_BYTES = 1 << 20
_LOOK_AHEAD_ROWS = 50


@dataclass(frozen=True, slots=True)
class RowMultiset:
    """How many rows, and the sum of their hashes; equal for equal rows in any order."""

    rows: int = 0
    total: int = 0

    def __add__(self, other: "RowMultiset") -> "RowMultiset":
        return RowMultiset(self.rows + other.rows, (self.total + other.total) % _MODULUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifference:
    """One place where rows differ; it holds lengths and names, never a value.

    Attributes:
        row_number: Row in the order of the backup, from 1.
        kind: `missing` (in the backup only), `added` (in the database only) or `changed`.
        columns: Per differing column: name, bytes of COPY text in the backup, bytes in the database.
    """

    row_number: int
    kind: str
    columns: tuple[tuple[str, int, int], ...] = ()


def rows_of_chunks(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Split COPY text into rows without their line feed."""
    held = b""
    for chunk in chunks:
        lines = (held + chunk).split(b"\n")
        held = lines.pop()
        yield from lines
    if held:
        yield held


def rows_of_file(path: Path) -> Iterator[bytes]:
    """Yield the rows of a data file of a dump directory, without the end marker."""
    return rows_of_chunks(text_of_file(path))


def text_of_file(path: Path) -> Iterator[bytes]:
    """Yield the COPY text of a data file of a dump directory, without the end marker."""
    left = path.stat().st_size - len(END_MARKER)
    with path.open("rb") as stream:
        while left > 0 and (chunk := stream.read(min(_CHUNK_BYTES, left))):
            left -= len(chunk)
            yield chunk


def count_rows(rows: Iterable[bytes], key: bytes, order: Sequence[int] | None = None) -> RowMultiset:
    """Add up rows.

    Args:
        rows: Rows of COPY text.
        key: Secret of at most 64 bytes, so that nobody can construct rows that cancel out.
        order: Positions that bring the fields into a common order, where column orders differ (partitions).
    """
    count = total = 0
    for row in rows:
        count += 1
        total += int.from_bytes(blake2b(_ordered(row, order), digest_size=16, key=key).digest(), "little")
    return RowMultiset(count, total % _MODULUS)


def common_order(columns: Sequence[str], canonical: Sequence[str]) -> tuple[int, ...] | None:
    """Return the positions that bring fields from the order of `columns` into `canonical`; None if they are equal.

    Raises:
        ValueError: The two do not name the same columns.
    """
    if tuple(columns) == tuple(canonical):
        return None
    if sorted(columns) != sorted(canonical):
        raise ValueError("the partitions have different columns")
    return tuple(columns.index(name) for name in canonical)


def first_differing_rows(
    recorded: Iterable[bytes], restored: Iterable[bytes], columns: Sequence[str], limit: int = 3
) -> tuple[RowDifference, ...]:
    """Find the first rows that differ between two orderly streams of rows.

    After a difference the streams are brought in step again when one of the next rows fits: a dropped row shifts all
    that follow, and only the dropped one is worth telling.
    """
    found: list[RowDifference] = []
    left, right = _Stream(recorded), _Stream(restored)
    while len(found) < limit:
        mine, theirs = left.take(), right.take()
        if mine is None and theirs is None:
            break
        if mine == theirs:
            continue
        found += _explain(left, right, mine, theirs, columns)
    return tuple(found[:limit])


def describe_differences(differences: Sequence[RowDifference]) -> str:
    """Print differences for a finding: `row 17: column note has 5 bytes instead of 7; row 20 is missing`."""
    return "; ".join(_describe(difference) for difference in differences)


def _describe(difference: RowDifference) -> str:
    if difference.kind == "missing":
        return f"row {difference.row_number} of the backup is missing"
    if difference.kind == "added":
        return f"a row that the backup does not have stands at row {difference.row_number}"
    parts = []
    for name, recorded_bytes, restored_bytes in difference.columns:
        same = recorded_bytes == restored_bytes
        size = (
            f"{restored_bytes} bytes, other content" if same else f"{restored_bytes} bytes instead of {recorded_bytes}"
        )
        parts.append(f"column {name} ({size})")
    return f"row {difference.row_number} differs in " + (", ".join(parts) or "its number of columns")


def _ordered(row: bytes, order: Sequence[int] | None) -> bytes:
    if order is None:
        return row
    fields = row.split(b"\t")
    return b"\t".join(fields[position] for position in order)


class _Stream:
    """Rows with a look ahead."""

    def __init__(self, rows: Iterable[bytes]) -> None:
        self._rows = iter(rows)
        self._ahead: deque[bytes] = deque()
        self.row_number = 0

    def take(self) -> bytes | None:
        row = self._ahead.popleft() if self._ahead else next(self._rows, None)
        self.row_number += row is not None
        return row

    def distance(self, row: bytes | None) -> int | None:
        """How many rows ahead `row` stands, or None where it is not near."""
        while len(self._ahead) < _LOOK_AHEAD_ROWS and (following := next(self._rows, None)) is not None:
            self._ahead.append(following)
        return (
            next((steps for steps, ahead in enumerate(self._ahead, 1) if ahead == row), None)
            if row is not None
            else None
        )


def _explain(
    left: _Stream, right: _Stream, mine: bytes | None, theirs: bytes | None, columns: Sequence[str]
) -> list[RowDifference]:
    if mine is None:
        return [RowDifference(row_number=left.row_number + 1, kind="added")]
    if theirs is None:
        return [RowDifference(row_number=left.row_number, kind="missing")]
    missing, added = left.distance(theirs), right.distance(mine)
    if missing is not None and (added is None or missing <= added):
        found = [RowDifference(row_number=left.row_number + step, kind="missing") for step in range(missing)]
        for _ in range(missing):
            left.take()
        return found
    if added is not None:
        for _ in range(added):
            right.take()
        return [RowDifference(row_number=left.row_number, kind="added")] * added
    return [RowDifference(row_number=left.row_number, kind="changed", columns=_columns(mine, theirs, columns))]


def _columns(mine: bytes, theirs: bytes, columns: Sequence[str]) -> tuple[tuple[str, int, int], ...]:
    before, after = mine.split(b"\t"), theirs.split(b"\t")
    if len(before) != len(after):
        return ()
    pairs = zip_longest(columns, before, after, fillvalue=b"")
    return tuple((str(name), len(old), len(new)) for name, old, new in pairs if old != new)
