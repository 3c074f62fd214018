"""Digests by which a text can be compared that is not at hand any more."""

import hmac
import random

import pytest

from shared.postgres.derived_text import digest_text, rows_of_first_difference
from shared.postgres.multiset import count_rows

KEY = b"k" * 32


def rows_of(count: int) -> list[bytes]:
    chance = random.Random(7)
    return [b"%d\t%s\n" % (number, b"x" * chance.randint(0, 30)) for number in range(1, count + 1)]


def cut(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(0, len(text), size)]


@pytest.mark.parametrize("count", [0, 1, 300, 20_000])
@pytest.mark.parametrize("size", [1 << 18, 7919])
def test_digests_do_not_depend_on_where_a_text_is_cut(count: int, size: int) -> None:
    rows = rows_of(count)
    text = b"".join(rows)
    digest = digest_text(cut(text, size), KEY, with_row_sum=True)
    assert digest.fingerprint == hmac.new(KEY, text, "sha256").hexdigest()
    assert (digest.rows, digest.plain_bytes) == (count, len(text))
    assert int(digest.row_sum, 16) == count_rows((row[:-1] for row in rows), KEY).total
    assert digest == digest_text(iter(rows), KEY, with_row_sum=True)
    assert len(digest.marks) <= 128 * 8


def test_only_the_sum_of_rows_is_the_same_in_another_order() -> None:
    rows = rows_of(50)
    one, other = (digest_text(iter(order), KEY, with_row_sum=True) for order in (rows, rows[::-1]))
    assert one.row_sum == other.row_sum
    assert one.fingerprint != other.fingerprint
    assert digest_text(iter(rows), KEY).row_sum == ""


@pytest.mark.parametrize("count", [1, 40, 5000])
@pytest.mark.parametrize("how", [b"", b"1\tsomething longer than it was before\n", b"1\ty\n"])
def test_the_row_of_the_first_difference_is_among_those_told(count: int, how: bytes) -> None:
    rows = rows_of(count)
    digest = digest_text(iter(rows), KEY)
    for number in {1, count // 2 or 1, count}:
        changed = [*rows[: number - 1], how, *rows[number:]]
        first, last = rows_of_first_difference(cut(b"".join(changed), 4096), KEY, digest.marks, digest.mark_bytes)
        assert first <= number <= max(last, first), (first, last)
        assert last - first <= 12 + count // 50
