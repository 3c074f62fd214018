"""Rows compared without regard to their order, and differences that hold no value."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.postgres.multiset import (
    END_MARKER,
    RowMultiset,
    common_order,
    count_rows,
    describe_differences,
    first_differing_rows,
    rows_of_chunks,
    rows_of_file,
)

KEY = b"k" * 32
ROWS = st.lists(st.binary(max_size=6).filter(lambda row: b"\n" not in row), max_size=30)


@given(ROWS, st.randoms(use_true_random=False))
def test_order_does_not_matter(rows: list[bytes], random: Random) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert count_rows(shuffled, KEY) == count_rows(rows, KEY)


@given(ROWS, ROWS)
def test_sums_add_up_over_partitions(left: list[bytes], right: list[bytes]) -> None:
    assert count_rows(left, KEY) + count_rows(right, KEY) == count_rows(left + right, KEY)


@given(ROWS)
def test_a_changed_or_doubled_row_is_seen(rows: list[bytes]) -> None:
    assert count_rows([*rows, b"x", b"y"], KEY) != count_rows([*rows, b"x", b"x"], KEY)


def test_the_key_matters() -> None:
    assert count_rows([b"a"], KEY) != count_rows([b"a"], b"other")


@given(st.lists(st.binary(max_size=6).filter(lambda row: b"\n" not in row), max_size=20), st.integers(1, 7))
def test_rows_survive_any_chunking(rows: list[bytes], size: int) -> None:
    text = b"".join(row + b"\n" for row in rows)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert list(rows_of_chunks(chunks)) == rows


def test_the_end_marker_of_a_file_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "1.dat"
    path.write_bytes(b"1\ta\n\\\\.\tb\n" + END_MARKER)
    assert list(rows_of_file(path)) == [b"1\ta", b"\\\\.\tb"]
    path.write_bytes(END_MARKER)
    assert list(rows_of_file(path)) == []


def test_partitions_with_other_column_orders_are_comparable() -> None:
    order = common_order(("b", "a"), ("a", "b"))
    assert count_rows([b"1\t2"], KEY, order) == count_rows([b"2\t1"], KEY)
    assert common_order(("a", "b"), ("a", "b")) is None
    with pytest.raises(ValueError, match="different columns"):
        common_order(("a", "c"), ("a", "b"))


def numbered(*numbers: int) -> list[bytes]:
    return [b"%d\tname %d" % (number, number) for number in numbers]


@pytest.mark.parametrize(
    ("recorded", "restored", "told"),
    [
        (numbered(*range(100)), numbered(*range(100)), ""),
        (numbered(*range(100)), numbered(*range(41), *range(42, 100)), "row 42 of the backup is missing"),
        (numbered(*range(100)), numbered(*range(40), 7, *range(40, 100)), "does not have stands at row 41"),
        (numbered(*range(100)), numbered(*range(99)), "row 100 of the backup is missing"),
        (numbered(*range(3)), [*numbered(0, 1, 2), b"9\tx"], "stands at row 4"),
        ([b"1\tabc", b"2\tx"], [b"1\tabd", b"2\tx"], "row 1 differs in column note (3 bytes, other content)"),
        ([b"1\tabc"], [b"2\tabcd"], "column id (1 bytes, other content), column note (4 bytes instead of 3)"),
        ([b"1\tabc"], [b"1\tabc\t3"], "row 1 differs in its number of columns"),
    ],
)
def test_the_first_difference_is_told_by_place(recorded: list[bytes], restored: list[bytes], told: str) -> None:
    differences = first_differing_rows(recorded, restored, ("id", "note"))
    assert told in describe_differences(differences)
    assert bool(differences) == bool(told)
    assert len(differences) <= 1


def test_differences_hold_no_value() -> None:
    differences = first_differing_rows([b"1\tsecret"], [b"1\thidden-too"], ("id", "note"))
    assert "secret" not in repr(differences)
    assert "hidden" not in repr(differences)


def test_at_most_the_first_few_are_told() -> None:
    changed = [row.replace(b"name", b"NAME") for row in numbered(*range(10))]
    assert len(first_differing_rows(numbered(*range(10)), changed, ("id", "note"), limit=3)) == 3


def test_an_empty_multiset_is_neutral() -> None:
    assert RowMultiset() + count_rows([b"a"], KEY) == count_rows([b"a"], KEY)
