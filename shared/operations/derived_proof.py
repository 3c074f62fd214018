"""Compare what a restore computed anew with what the backup recorded of it."""

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import psycopg
from psycopg import errors

from shared.domain.comparison import parse_qualified, qualified
from shared.domain.derived import (
    OTHER_ORDER,
    DerivedReading,
    generated_finding,
    is_same,
    is_same_together,
    not_compared,
    same_locale,
    view_finding,
)
from shared.domain.manifest import DerivedKind, DerivedRecord, Manifest, TableRecord
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.errors import ProgramFailed
from shared.postgres.column_reading import ColumnReader
from shared.postgres.connection import DatabaseAddress
from shared.postgres.derived_text import digest_text, rows_of_first_difference
from shared.postgres.facts import read_server_facts
from shared.postgres.schema import Schema
from shared.postgres.tools import Toolset

_GENERATED, _VIEW = "generated-columns", "materialized-view"
_GONE = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InvalidSchemaName,
    errors.WrongObjectType,
    errors.ObjectNotInPrerequisiteState,  # a materialized view that was not filled
)


@dataclass(slots=True)
class DerivedProof:
    """What became of what was computed anew.

    Attributes:
        differing: Tables, by schema and name, whose generated columns are not what they were.
        uncompared: Why something that was recorded was not compared, by schema and name; no reason where another
            finding tells of it.
    """

    findings: list[Finding] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)
    differing: set[tuple[str, str]] = field(default_factory=set)
    uncompared: dict[tuple[str, str], str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Suspect:
    record: DerivedRecord
    reading: DerivedReading
    table: TableRecord


class DerivedComparison:
    """Reads a restored database and compares."""

    def __init__(
        self, toolset: Toolset, address: DatabaseAddress, manifest: Manifest, key: bytes, proof: DerivedProof
    ) -> None:
        self._address = address
        self._manifest = manifest
        self._key = key
        self._proof = proof
        self._reader = ColumnReader(toolset, address, manifest.server.encoding)

    def compare_generated(self, tables: Sequence[TableRecord], reordered: Collection[str]) -> None:
        """Compare the stored generated columns of tables whose other columns are equal.

        Args:
            tables: These tables.
            reordered: Files, as `TableRecord.file`, of those whose rows stand in another order, or partition.
        """
        records = self._records(DerivedKind.GENERATED_COLUMNS)
        with closing(self._reader):
            suspects = [
                _Suspect(record, reading, table)
                for table in tables
                if (record := records.get((table.schema, table.name)))
                and (reading := self._read(record))
                and not is_same(record, reading)
            ]
            for suspect in _still_suspect(suspects):
                self._judge(suspect, in_order=suspect.table.file not in reordered)

    def compare_views(self, left_out: Collection[tuple[str, str]]) -> None:
        """Compare materialized views, but for those that were not restored."""
        with closing(self._reader):
            for name, record in self._records(DerivedKind.MATERIALIZED_VIEW).items():
                if name in left_out:
                    self._proof.uncompared[name] = ""
                elif (reading := self._read(record)) and not is_same(record, reading):
                    self._proof.findings.append(view_finding(record, reading.rows))

    def _records(self, kind: DerivedKind) -> dict[tuple[str, str], DerivedRecord]:
        derived = (record for record in self._manifest.derived if record.kind is kind and not record.unread)
        return {(record.schema, record.name): record for record in derived}

    def _read(self, record: DerivedRecord) -> DerivedReading | None:
        """Read what is there now, row by row only where that is needed; None where it cannot be read."""
        check = _VIEW if record.kind is DerivedKind.MATERIALIZED_VIEW else _GENERATED
        name = qualified(record.schema, record.name)
        try:
            reading = self._digest(record, with_row_sum=False)
            if record.row_sum and not is_same(record, reading):
                reading = self._digest(record, with_row_sum=True)
        except _GONE as error:
            self._proof.uncompared[record.schema, record.name] = ""
            if record.kind is DerivedKind.GENERATED_COLUMNS:
                message = f"its generated columns cannot be compared: {str(error).splitlines()[0]}"
                self._proof.findings.append(
                    Finding(check=check, severity=Severity.ERROR, object=name, message=message)
                )  # that a view is not there, or not filled, is a finding about the schema
        except (psycopg.errors.InsufficientPrivilege, ProgramFailed) as error:
            self._proof.uncompared[record.schema, record.name] = ""
            reason = error.message if isinstance(error, ProgramFailed) else str(error).splitlines()[0]
            self._proof.not_measured.append(NotMeasured(check=check, object=name, reason=reason))
        else:
            return reading
        return None

    def _digest(self, record: DerivedRecord, *, with_row_sum: bool) -> DerivedReading:
        with self._reader.text(record, record.plain_bytes) as chunks:
            digest = digest_text(chunks, self._key, with_row_sum=with_row_sum)
        return DerivedReading(rows=digest.rows, fingerprint=digest.fingerprint, row_sum=digest.row_sum)

    def _judge(self, suspect: _Suspect, *, in_order: bool) -> None:
        record = suspect.record
        name = (record.schema, record.name)
        if not in_order and not record.row_sum:
            self._proof.uncompared[name] = OTHER_ORDER
            return
        finding = generated_finding(record, self._place(suspect) if in_order else None)
        self._proof.differing.add(name)
        if self._has_same_locale():
            self._proof.findings.append(finding)
        else:
            reason = f"{finding.message}; the server has another locale than the source, which may be why"
            self._proof.not_measured.append(NotMeasured(check=_GENERATED, object=finding.object, reason=reason))

    def _place(self, suspect: _Suspect) -> tuple[int, int]:
        record = suspect.record
        with self._reader.text(record, record.plain_bytes) as chunks:
            first, last = rows_of_first_difference(chunks, self._key, record.marks, record.mark_bytes)
        return min(first, record.rows), min(last, record.rows)

    def _has_same_locale(self) -> bool:
        with closing(self._address.connect(read_only=True)) as connection:
            return same_locale(self._manifest.server, read_server_facts(connection))


def _still_suspect(suspects: Sequence[_Suspect]) -> Iterator[_Suspect]:
    """Leave out partitions that hold the same rows together: in which one a row is may depend on OIDs."""
    groups: dict[str, list[_Suspect]] = {}
    for suspect in suspects:
        groups.setdefault(suspect.table.partition_root, []).append(suspect)
    for root, group in groups.items():
        if not root or not is_same_together((suspect.record, suspect.reading) for suspect in group):
            yield from group


def note_not_compared(schema: Schema, manifest: Manifest, proof: DerivedProof) -> list[Finding]:
    """Name what Postgres computed anew and nobody compared, so that nobody takes it for proven."""
    views = [name for name, text in schema.get("materialized_views", {}).items() if json.loads(text)["populated"]]
    columns = [name for name, text in schema.get("columns", {}).items() if json.loads(text).get("generated") == "s"]
    with_rows = {(table.schema, table.name) for table in manifest.tables}
    computed = [(_relation(name, 2), name) for name in sorted(views)]
    computed += [(_relation(name, 3), name) for name in sorted(columns) if _relation(name, 3) in with_rows]
    return not_compared(computed, manifest.derived, proof.uncompared)


def _relation(identity: str, parts: int) -> tuple[str, str]:
    schema, name, *_column = parse_qualified(identity, parts)
    return schema, name
