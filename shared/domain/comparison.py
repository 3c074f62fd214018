"""Compare what a manifest says with what was read back from a restored database.

Pure: readings in, findings out. A finding names the object and says numbers; it never holds a value of a row.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from shared.domain.manifest import SequenceRecord, TableRecord
from shared.domain.proof import Finding, Severity

_DAMAGED_HINT = "Do not rely on this backup: restore-test an older one, and take a new one now."
_SEQUENCE_HINT = "New rows could get keys that are taken already; set the sequence before using this restore."
_MANY = 20
_NAME = re.compile(r'("(?:[^"]|"")+")|([^".]+)')
_QUOTES = re.compile('""')


@dataclass(frozen=True, slots=True, kw_only=True)
class TableReading:
    """One table as it was read back.

    Attributes:
        schema: Schema name.
        name: Table name.
        rows: Rows of its COPY text.
        plain_bytes: Bytes of its COPY text.
        fingerprint: HMAC-SHA-256 of that text under the repository's key, hex.
    """

    schema: str
    name: str
    rows: int
    plain_bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LargeObjectReading:
    """One large object's content, in the backup or as it was read back."""

    oid: int
    plain_bytes: int
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceReading:
    """One sequence as it was read back.

    Attributes:
        increment: Step of the sequence; a negative one counts down.
        cycles: Whether it starts again at its end, so that a smaller value says nothing.
    """

    schema: str
    name: str
    last_value: int | None
    is_called: bool
    increment: int = 1
    cycles: bool = False


class ContentVerdict(StrEnum):
    """What became of a table whose fingerprint differs."""

    SAME_ROWS = "same_rows"
    """The same rows in another order."""
    SAME_ROWS_IN_ROOT = "same_rows_in_root"
    """The same rows in the partitioned table as a whole, spread over its partitions in another way."""
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentDifference:
    """A table whose fingerprint differs, looked at closely.

    Attributes:
        verdict: What the multiset comparison said.
        details: Where the first differing rows are; no values.
    """

    verdict: ContentVerdict
    details: str = ""


def qualified(*names: str) -> str:
    """Name an object for people: `public.orders`, with quotes only around names that need them."""
    return ".".join(part if _is_plain(part) else '"' + part.replace('"', '""') + '"' for part in names)


def parse_qualified(text: str, parts: int = 2) -> tuple[str, ...]:
    """Read `schema.table` or `"odd schema".table`; names are taken as they are, nothing is folded to lower case.

    Raises:
        ValueError: It does not have exactly `parts` names.
    """
    names = [_QUOTES.sub('"', quoted[1:-1]) if quoted else plain for quoted, plain in _NAME.findall(text)]
    if _NAME.sub("", text) != "." * (parts - 1) or len(names) != parts or "" in names:
        form = ".".join(("schema", "table", "column")[:parts])
        raise ValueError(f"{text!r} is not of the form {form}; put names with dots or spaces between double quotes")
    return tuple(names)


def differs(record: TableRecord, reading: TableReading) -> bool:
    """Say whether a table's content is anything but bit for bit what was dumped."""
    return record.fingerprint != reading.fingerprint or record.rows != reading.rows


def compare_table(
    record: TableRecord, reading: TableReading | None, difference: ContentDifference | None
) -> Finding | None:
    """Compare one table.

    Args:
        record: What the manifest says.
        reading: What was read back; None when the table is not there.
        difference: The close look at a table that differs; None where it does not.

    Returns:
        A finding, or None when the content is the same.
    """
    table = qualified(record.schema, record.name)
    if reading is None:
        return Finding(
            check="table-missing",
            severity=Severity.ERROR,
            object=table,
            message=f"the table is in the backup with {counted_rows(record.rows)} but not in the restored database",
            hint=_DAMAGED_HINT,
        )
    if not differs(record, reading):
        return None
    if difference is not None and difference.verdict is ContentVerdict.SAME_ROWS:
        message = f"all {counted_rows(record.rows)} are equal and stand in another order than at the source"
        return Finding(check="table-order", severity=Severity.INFO, object=table, message=message)
    if difference is not None and difference.verdict is ContentVerdict.SAME_ROWS_IN_ROOT:
        message = f"its rows went to other partitions of {record.partition_root}, which as a whole has the same rows"
        return Finding(check="table-order", severity=Severity.INFO, object=table, message=message)
    return _content_finding(table, record, reading, difference.details if difference else "")


def _content_finding(table: str, record: TableRecord, reading: TableReading, details: str) -> Finding:
    more = f": {details}" if details else ""
    if reading.rows != record.rows:
        check, message = "table-rows", f"{counted_rows(reading.rows)} instead of {record.rows}{more}"
    else:
        check, message = (
            "table-content",
            f"the content of its {counted_rows(record.rows)} differs from the source's{more}",
        )
    return Finding(check=check, severity=Severity.ERROR, object=table, message=message, hint=_DAMAGED_HINT)


def compare_sequences(
    recorded: Sequence[SequenceRecord],
    dumped: Mapping[tuple[str, str], tuple[int, bool]],
    restored: Iterable[SequenceReading],
    left_out: frozenset[tuple[str, str]] = frozenset(),
) -> list[Finding]:
    """Compare sequences.

    Sequences are not part of a snapshot: the dump may hold a later value than the facts read a moment before, never an
    earlier one, unless somebody set it back meanwhile. What was restored must be exactly what the dump holds.

    Args:
        recorded: Values when the snapshot was taken.
        dumped: Values in the dump, by schema and name: last value and whether it was called.
        restored: Values as read back.
        left_out: Sequences that were not restored on purpose.
    """
    readings = {(reading.schema, reading.name): reading for reading in restored}
    findings = []
    for record in recorded:
        key = (record.schema, record.name)
        if key in left_out:
            continue
        reading = readings.get(key)
        if problem := _sequence_problem(dumped.get(key), reading):
            severity, message, hint = Severity.ERROR, problem, _SEQUENCE_HINT
        elif problem := _set_back(record, reading):
            # What the dump holds was restored exactly; only the source itself can have done this (setval, RESTART).
            was_dumped = key in dumped
            severity = Severity.WARNING if was_dumped else Severity.ERROR
            message = f"{problem}; it was set back while the dump ran" if was_dumped else problem
            hint = _SEQUENCE_HINT
        else:
            continue
        findings.append(
            Finding(check="sequence-value", severity=severity, object=qualified(*key), message=message, hint=hint)
        )
    return findings


def _sequence_problem(dumped: tuple[int, bool] | None, reading: SequenceReading | None) -> str | None:
    if reading is None:
        return "the sequence is in the backup but not in the restored database"
    mine = (reading.last_value, reading.is_called)
    if dumped is not None and mine != dumped:
        return f"it stands at {_place(*mine)} instead of {_place(*dumped)}, as the dump has it"
    return None


def _set_back(record: SequenceRecord, reading: SequenceReading | None) -> str | None:
    if reading is None or record.last_value is None or reading.last_value is None or reading.cycles:
        return None
    behind = _next_value(reading.last_value, reading.is_called, reading.increment) - _next_value(
        record.last_value, record.is_called, reading.increment
    )
    if behind * (1 if reading.increment > 0 else -1) < 0:
        mine, recorded = _place(reading.last_value, reading.is_called), _place(record.last_value, record.is_called)
        return f"it stands at {mine}, before {recorded} of the source"
    return None


def _next_value(last_value: int, is_called: bool, increment: int) -> int:  # noqa: FBT001 - a sequence's own two columns
    return last_value + increment if is_called else last_value


def compare_large_objects(
    expected: Mapping[int, LargeObjectReading], restored: Iterable[LargeObjectReading]
) -> list[Finding]:
    """Compare large objects by their content, so that holes that were written out as zeros are equal."""
    readings = {reading.oid: reading for reading in restored}
    findings = []
    for oid, record in sorted(expected.items()):
        reading = readings.pop(oid, None)
        if reading is None:
            findings.append(_large_object(oid, f"missing; the backup has {record.plain_bytes} bytes of it"))
        elif reading.plain_bytes != record.plain_bytes:
            findings.append(_large_object(oid, f"{reading.plain_bytes} bytes instead of {record.plain_bytes}"))
        elif reading.fingerprint != record.fingerprint:
            findings.append(
                _large_object(oid, f"the content of its {record.plain_bytes} bytes differs from the source's")
            )
    findings += [_large_object(oid, "in the restored database but not in the backup") for oid in sorted(readings)]
    return capped(findings, "large-object")


def _large_object(oid: int, message: str) -> Finding:
    return Finding(
        check="large-object",
        severity=Severity.ERROR,
        object=f"large object {oid}",
        message=message,
        hint=_DAMAGED_HINT,
    )


def capped(findings: list[Finding], check: str, limit: int = _MANY) -> list[Finding]:
    """Keep the first findings of one check and count the rest, so that a wholly damaged backup stays readable."""
    if len(findings) <= limit:
        return findings
    rest = len(findings) - limit
    worst = Severity.ERROR if any(item.severity is Severity.ERROR for item in findings[limit:]) else Severity.INFO
    more = Finding(
        check=check, severity=worst, object=f"{rest} more", message=f"{rest} more findings of the same check"
    )
    return [*findings[:limit], more]


def _place(last_value: int | None, is_called: bool) -> str:  # noqa: FBT001 - a sequence's own two columns
    if last_value is None:
        return "an unknown value"
    return f"{last_value}" if is_called else f"{last_value} (not used yet)"


def counted_rows(count: int) -> str:
    """Print a number of rows: `1 row`, `28 rows`."""
    return f"{count} row" if count == 1 else f"{count} rows"


def _is_plain(name: str) -> bool:
    return name.isidentifier() and name.isascii() and name == name.lower()
