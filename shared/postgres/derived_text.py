"""Digests of COPY text whose other copy will not be at hand: a fingerprint, a sum that no order changes, and marks.

What a restore computes anew is not in the dump, so all that a later comparison can go by is taken while the source is
read. Marks are the fingerprint so far, at every so many bytes; they say where two texts first differ.
"""

import hmac
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.postgres.multiset import count_rows, rows_of_chunks

_FIRST_MARK_BYTES = 64
_MARKS_MAXIMUM = 128
_MARK_DIGITS = 8
"""Enough to find a place by; equality is decided by the whole fingerprint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDigest:
    """What is known of one text of COPY.

    Attributes:
        rows: Its rows.
        plain_bytes: Its bytes.
        fingerprint: HMAC-SHA-256 of all of it, hex.
        row_sum: Sum of the keyed hashes of its rows modulo 2^128, hex; empty where it was not asked for.
        marks: First 8 hex digits of the HMAC of the text up to each multiple of `mark_bytes`, one after the other.
        mark_bytes: Distance of the marks; it grows with the text, so that there are never many.
    """

    rows: int
    plain_bytes: int
    fingerprint: str
    row_sum: str
    marks: str
    mark_bytes: int


def digest_text(chunks: Iterable[bytes], key: bytes, *, with_row_sum: bool = False) -> TextDigest:
    """Read a text once and take its digests.

    Args:
        chunks: COPY text, cut anywhere.
        key: The fingerprint key.
        with_row_sum: Whether to look at each row; without it a text is read several times as fast.
    """
    marked = _MarkedMac(key)
    passed = marked.pass_on(chunks)
    row_sum = ""
    if with_row_sum:
        row_sum = f"{count_rows(rows_of_chunks(passed), key).total:032x}"
    else:
        for _ in passed:
            pass
    return TextDigest(
        rows=marked.rows,
        plain_bytes=marked.plain_bytes,
        fingerprint=marked.mac.hexdigest(),
        row_sum=row_sum,
        marks="".join(marked.marks),
        mark_bytes=marked.mark_bytes,
    )


def rows_of_first_difference(chunks: Iterable[bytes], key: bytes, marks: str, mark_bytes: int) -> tuple[int, int]:
    """Find where a text leaves the one that the marks were taken of.

    Args:
        chunks: The other text.
        key: The fingerprint key.
        marks: Marks of the first text.
        mark_bytes: Their distance.

    Returns:
        First and last row, from 1, among which the first difference is.
    """
    mac, position, row, line_feeds = hmac.new(key, digestmod="sha256"), 0, 1, 0
    for piece in _cut(chunks, mark_bytes):
        mac.update(piece)
        position += len(piece)
        line_feeds += piece.count(b"\n")
        if position % mark_bytes == 0:
            place = position // mark_bytes * _MARK_DIGITS
            if mac.hexdigest()[:_MARK_DIGITS] != marks[place - _MARK_DIGITS : place]:
                break
            row, line_feeds = row + line_feeds, 0
    return row, row + line_feeds


def _cut(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Cut chunks so that none goes past a multiple of `size`."""
    position = 0
    for chunk in chunks:
        start = 0
        while start < len(chunk):
            end = min(len(chunk), start + size - position % size)
            yield chunk[start:end]
            position += end - start
            start = end


class _MarkedMac:
    """An HMAC that remembers what it was on the way; twice the distance whenever there are too many marks."""

    def __init__(self, key: bytes) -> None:
        self.mac = hmac.new(key, digestmod="sha256")
        self.rows = 0
        self.plain_bytes = 0
        self.marks: list[str] = []
        self.mark_bytes = _FIRST_MARK_BYTES

    def pass_on(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._update(chunk)
            yield chunk

    def _update(self, chunk: bytes) -> None:
        self.rows += chunk.count(b"\n")
        start = 0
        while start < len(chunk):
            end = min(len(chunk), start + self.mark_bytes - self.plain_bytes % self.mark_bytes)
            self.mac.update(chunk[start:end])
            self.plain_bytes += end - start
            start = end
            if self.plain_bytes % self.mark_bytes == 0:
                self._mark()

    def _mark(self) -> None:
        self.marks.append(self.mac.hexdigest()[:_MARK_DIGITS])
        if len(self.marks) == _MARKS_MAXIMUM:
            self.marks = self.marks[1::2]
            self.mark_bytes *= 2
