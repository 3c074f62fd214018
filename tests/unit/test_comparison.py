"""What the manifest says against what was read back."""

from dataclasses import replace

import pytest

from shared.domain.comparison import (
    ContentDifference,
    ContentVerdict,
    LargeObjectReading,
    SequenceReading,
    TableReading,
    capped,
    compare_large_objects,
    compare_sequences,
    compare_table,
    qualified,
)
from shared.domain.manifest import SequenceRecord, TableRecord
from shared.domain.proof import Finding, Severity

RECORD = TableRecord(
    schema="public",
    name="orders",
    columns=("id",),
    rows=3,
    plain_bytes=6,
    fingerprint="aa",
    file="1.dat",
    partition_root="public.all",
)
READING = TableReading(schema="public", name="orders", rows=3, plain_bytes=6, fingerprint="aa")
OTHER = replace(READING, fingerprint="bb")


def test_equal_content_is_no_finding() -> None:
    assert compare_table(RECORD, READING, None) is None


@pytest.mark.parametrize(
    ("reading", "difference", "check", "severity"),
    [
        (None, None, "table-missing", Severity.ERROR),
        (OTHER, None, "table-content", Severity.ERROR),
        (OTHER, ContentDifference(verdict=ContentVerdict.DIFFERENT), "table-content", Severity.ERROR),
        (replace(OTHER, rows=2), ContentDifference(verdict=ContentVerdict.DIFFERENT), "table-rows", Severity.ERROR),
        (OTHER, ContentDifference(verdict=ContentVerdict.SAME_ROWS), "table-order", Severity.INFO),
        (
            replace(OTHER, rows=2),
            ContentDifference(verdict=ContentVerdict.SAME_ROWS_IN_ROOT),
            "table-order",
            Severity.INFO,
        ),
    ],
)
def test_a_difference_becomes_the_right_finding(
    reading: TableReading | None, difference: ContentDifference | None, check: str, severity: Severity
) -> None:
    finding = compare_table(RECORD, reading, difference)
    assert finding is not None
    assert (finding.check, finding.severity, finding.object) == (check, severity, "public.orders")


def test_details_are_told() -> None:
    difference = ContentDifference(verdict=ContentVerdict.DIFFERENT, details="row 2 of the backup is missing")
    finding = compare_table(RECORD, replace(OTHER, rows=2), difference)
    assert finding is not None
    assert finding.message == "2 rows instead of 3: row 2 of the backup is missing"


SEQUENCE = SequenceRecord(schema="public", name="s", last_value=10, is_called=True)


def sequence(last_value: int, *, is_called: bool = True, increment: int = 1, cycles: bool = False) -> SequenceReading:
    return SequenceReading(
        schema="public", name="s", last_value=last_value, is_called=is_called, increment=increment, cycles=cycles
    )


@pytest.mark.parametrize(
    ("dumped", "restored", "is_found"),
    [
        ((10, True), sequence(10), False),
        ((12, True), sequence(12), False),  # the dump read it a moment later than the snapshot
        ((10, True), sequence(9), True),
        ((10, True), sequence(11), True),
        ((9, True), sequence(9), True),
        ((11, False), sequence(11, is_called=False), False),  # hands out 11 next, as 10 and called does
        ((8, True), sequence(8, increment=-1), False),
        ((12, True), sequence(12, increment=-1), True),
        ((3, True), sequence(3, cycles=True), False),
        (None, sequence(10), False),
    ],
)
def test_sequences_never_go_back(dumped: tuple[int, bool] | None, restored: SequenceReading, *, is_found: bool) -> None:
    found = compare_sequences([SEQUENCE], {("public", "s"): dumped} if dumped else {}, [restored])
    assert [finding.object for finding in found] == (["public.s"] if is_found else [])


def test_a_sequence_that_was_set_back_while_the_dump_ran_is_told_and_no_damage() -> None:
    (found,) = compare_sequences([SEQUENCE], {("public", "s"): (4, True)}, [sequence(4)])
    assert found.severity is Severity.WARNING
    assert "set back while the dump ran" in found.message
    (lost,) = compare_sequences([SEQUENCE], {("public", "s"): (4, True)}, [sequence(3)])
    (unknown,) = compare_sequences([SEQUENCE], {}, [sequence(4)])
    assert {lost.severity, unknown.severity} == {Severity.ERROR}


def test_a_sequence_that_is_gone_is_found_unless_left_out() -> None:
    assert compare_sequences([SEQUENCE], {}, [])[0].check == "sequence-value"
    assert compare_sequences([SEQUENCE], {}, [], frozenset({("public", "s")})) == []


def test_large_objects_are_compared_by_content() -> None:
    expected = {oid: LargeObjectReading(oid=oid, plain_bytes=4, fingerprint="aa") for oid in (1, 2, 3, 4)}
    restored = [
        expected[1],
        replace(expected[2], fingerprint="bb"),
        replace(expected[3], plain_bytes=3),
        replace(expected[1], oid=9),
    ]
    found = compare_large_objects(expected, restored)
    assert [finding.object for finding in found] == [f"large object {oid}" for oid in (2, 3, 4, 9)]


def test_many_findings_are_counted_and_stay_errors() -> None:
    finding = Finding(check="c", severity=Severity.ERROR, object="o", message="m")
    short = capped([finding] * 25, "c", limit=20)
    assert len(short) == 21
    assert (short[-1].object, short[-1].severity) == ("5 more", Severity.ERROR)


def test_names_are_quoted_only_where_needed() -> None:
    assert qualified("public", "orders") == "public.orders"
    assert qualified("public", 'we"ird. name') == 'public."we""ird. name"'
