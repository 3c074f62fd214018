"""Prove a restored database: every table's rows, sequences, large objects, roles and every schema object.

What is compared is the source in the dump's own snapshot (the manifest and the sealed `schema.json`) with what the
restored database gives when it is read back. A difference is a finding that names the object; what the server could not
hold is not measured.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from shared.domain.comparison import (
    ContentDifference,
    LargeObjectReading,
    TableReading,
    capped,
    compare_large_objects,
    compare_sequences,
    compare_table,
    differs,
    qualified,
)
from shared.domain.manifest import Manifest, TableRecord
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.domain.role_facts import AppliedRoles
from shared.operations.close_look import look_closely
from shared.operations.derived_proof import DerivedComparison, DerivedProof, note_not_compared
from shared.operations.progress import OnProgress
from shared.operations.role_proof import prove_roles
from shared.operations.schema_proof import NOTHING_TOLERATED, Tolerance, compare_schemas
from shared.postgres.archive import Toc, TocEntry
from shared.postgres.connection import DatabaseAddress
from shared.postgres.readback import TableReader, UnreadTable, read_large_objects, read_sequence_values
from shared.postgres.restore_messages import RestoreMessage, Verdict, hint_for
from shared.postgres.tools import Toolset

_SETVAL = re.compile(r"setval\('(?:[^']|'')*', (-?\d+), (true|false)\)")
_LARGE_OBJECT_FILE = re.compile(r"blob_(\d+)\.dat")
_HINT = "Do not rely on this backup: restore-test an older one, and take a new one now."


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """A restored database and what it was restored from.

    Attributes:
        toolset: Client tools that fit the server.
        address: The database, as a role that may read everything.
        manifest: What the backup says.
        dump_folder: The unpacked backup.
        key: The repository's fingerprint key.
        toc: The dump's table of contents.
        left_out: Entries that were not restored, by number with the reason.
        tolerance: What may differ in the schema.
        roles: How making the source's roles went.
    """

    toolset: Toolset
    address: DatabaseAddress
    manifest: Manifest
    dump_folder: Path
    key: bytes
    toc: Toc
    left_out: Mapping[int, str] = field(default_factory=dict)
    tolerance: Tolerance = NOTHING_TOLERATED
    roles: AppliedRoles = field(default_factory=AppliedRoles)

    def left_out_entries(self) -> list[TocEntry]:
        """Return the entries that were not restored."""
        return [entry for entry in self.toc.entries if entry.dump_id in self.left_out]


@dataclass(slots=True)
class Proof:
    """What a proof found so far."""

    findings: list[Finding] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)
    tables_proven: int = 0
    rows_proven: int = 0

    def note_messages(self, messages: Sequence[RestoreMessage], *, is_scratch: bool = True) -> None:
        """Judge the restore by pg_restore's messages."""
        for message in messages:
            match message.verdict:
                case Verdict.EXPECTED:
                    continue
                case Verdict.NOT_MEASURED:
                    reason = f"{message.reason}: {message.text}"
                    self.not_measured.append(NotMeasured(check="restore", object=message.object, reason=reason))
                case Verdict.FATAL | Verdict.UNKNOWN:
                    self.findings.append(
                        Finding(
                            check="restore-message",
                            severity=Severity.ERROR,
                            object=message.object or "the restored database",
                            message=f"pg_restore said: {message.text}",
                            hint=hint_for(message, is_scratch=is_scratch),
                        )
                    )


def prove_restored(restored: Restored, proof: Proof, *, on_progress: OnProgress) -> None:
    """Compare everything; findings are added to `proof`.

    Raises:
        SourceProblem: The server is not to be reached.
        psycopg.Error: The server refuses to be read.
    """
    check_contents(restored, proof)
    derived = prove_tables(restored, restored.manifest.tables, proof, on_progress=on_progress)
    prove_views(restored, derived, proof)
    prove_sequences(restored, proof)
    prove_large_objects(restored, proof)
    roles = prove_roles(restored.address, restored.manifest, restored.dump_folder, restored.roles)
    proof.findings += roles.findings
    proof.not_measured += roles.not_measured
    schema = json.loads((restored.dump_folder / "schema.json").read_bytes())
    found = compare_schemas(
        restored.address,
        schema,
        restored.manifest,
        restored.key,
        restored.left_out_entries(),
        restored.tolerance,
    )
    proof.findings += found.findings
    proof.not_measured += found.not_measured
    proof.findings += note_not_compared(schema, restored.manifest, derived)


def check_contents(restored: Restored, proof: Proof) -> None:
    """Make sure that the dump's own table of contents and the manifest name the same tables and files."""
    in_dump = {(name, entry.schema, entry.tag) for name, entry in restored.toc.data_files().items()}
    in_manifest = {(table.file, table.schema, table.name) for table in restored.manifest.tables}
    for file, schema, name in sorted(in_dump ^ in_manifest):
        where = "only the dump" if (file, schema, name) in in_dump else "only the manifest"
        proof.findings.append(
            Finding(
                check="contents",
                severity=Severity.ERROR,
                object=qualified(schema, name),
                message=f"{where} names its rows, in {file}",
                hint=_HINT,
            )
        )
    large_objects = sum(1 for file in restored.manifest.files if _LARGE_OBJECT_FILE.fullmatch(file.path))
    if large_objects != restored.manifest.large_object_count:
        message = f"the manifest counts {restored.manifest.large_object_count} and names {large_objects}"
        proof.findings.append(
            Finding(check="contents", severity=Severity.ERROR, object="large objects", message=message, hint=_HINT)
        )


def prove_tables(
    restored: Restored, tables: Sequence[TableRecord], proof: Proof, *, on_progress: OnProgress
) -> DerivedProof:
    """Read tables back and compare them with the manifest; where a fingerprint differs, look closely.

    Returns:
        What became of their stored generated columns, which are compared where all else of a table is equal.
    """
    left_out = {entry.filename for entry in restored.left_out_entries() if entry.description == "TABLE DATA"}
    expected = [table for table in tables if table.file not in left_out]
    for table in tables:
        if table.file in left_out:
            _note_left_out(restored, table, proof)
    encoding = restored.manifest.server.encoding
    with closing(TableReader(restored.toolset, restored.address, restored.key, encoding)) as reader:
        readings = reader.read_all(expected, on_read=_counter(expected, on_progress))
        pairs = list(zip(expected, readings, strict=True))
        suspects = [table for table, reading in pairs if isinstance(reading, TableReading) and differs(table, reading)]
        looks = look_closely(reader, restored.dump_folder, suspects, restored.key) if suspects else {}
    found = {table.file: _judge(table, reading, looks.get(table.file), proof) for table, reading in pairs}
    same = [table for table, reading in pairs if _is_same(reading, found[table.file])]
    derived = _prove_generated(restored, expected, same, reordered=looks.keys())
    proven = [table for table in same if (table.schema, table.name) not in derived.differing]
    proof.tables_proven += len(proven)
    proof.rows_proven += sum(table.rows for table in proven)
    proof.not_measured += derived.not_measured
    findings = [*(finding for finding in found.values() if finding), *derived.findings]
    for check in dict.fromkeys(finding.check for finding in findings):
        proof.findings += capped([finding for finding in findings if finding.check == check], check)
    return derived


def _is_same(reading: TableReading | UnreadTable, finding: Finding | None) -> bool:
    return not isinstance(reading, UnreadTable) and (finding is None or finding.severity is not Severity.ERROR)


def _prove_generated(
    restored: Restored, tables: Sequence[TableRecord], same: Sequence[TableRecord], *, reordered: Collection[str]
) -> DerivedProof:
    same_files = {table.file for table in same}
    told = {(table.schema, table.name): "" for table in tables if table.file not in same_files}
    derived = DerivedProof(uncompared=told)
    comparison = DerivedComparison(restored.toolset, restored.address, restored.manifest, restored.key, derived)
    comparison.compare_generated(same, reordered)
    return derived


def prove_views(restored: Restored, derived: DerivedProof, proof: Proof) -> None:
    """Compare materialized views with what they were at the source."""
    left_out = {(entry.schema, entry.tag) for entry in restored.left_out_entries()}
    views = DerivedProof(uncompared=derived.uncompared)
    comparison = DerivedComparison(restored.toolset, restored.address, restored.manifest, restored.key, views)
    comparison.compare_views(left_out)
    proof.not_measured += views.not_measured
    proof.findings += capped(views.findings, "materialized-view")


def _judge(
    table: TableRecord, reading: TableReading | UnreadTable, look: ContentDifference | None, proof: Proof
) -> Finding | None:
    if isinstance(reading, TableReading):
        return compare_table(table, reading, look)
    if reading.is_missing:
        return compare_table(table, None, None)
    name = qualified(table.schema, table.name)
    proof.not_measured.append(NotMeasured(check="table-content", object=name, reason=reading.reason))
    return None


def _note_left_out(restored: Restored, table: TableRecord, proof: Proof) -> None:
    reasons = [
        restored.left_out[entry.dump_id] for entry in restored.left_out_entries() if entry.filename == table.file
    ]
    name = qualified(table.schema, table.name)
    proof.not_measured.append(NotMeasured(check="table-content", object=name, reason=reasons[0]))


def _counter(tables: Sequence[TableRecord], on_progress: OnProgress) -> Callable[[TableRecord], None]:
    total_bytes, done_bytes = sum(table.plain_bytes for table in tables), 0

    def count(table: TableRecord) -> None:
        nonlocal done_bytes
        done_bytes += table.plain_bytes
        on_progress("prove", done_bytes, total_bytes)

    return count


def prove_sequences(restored: Restored, proof: Proof, *, only: Collection[tuple[str, str]] | None = None) -> None:
    """Compare sequences with the snapshot and with the dump; all of them, or `only` those by schema and name."""
    dumped: dict[tuple[str, str], tuple[int, bool]] = {}
    for entry in restored.toc.entries:
        if entry.description == "SEQUENCE SET" and (match := _SETVAL.search(entry.definition)):
            dumped[entry.schema, entry.tag] = (int(match[1]), match[2] == "true")
    out = {(e.schema, e.tag) for e in restored.left_out_entries() if e.description in {"SEQUENCE", "SEQUENCE SET"}}
    with closing(restored.address.connect(read_only=True)) as connection:
        readings = read_sequence_values(connection)
    recorded = [item for item in restored.manifest.sequences if only is None or (item.schema, item.name) in only]
    findings = compare_sequences(recorded, dumped, readings, frozenset(out))
    proof.findings += capped(findings, "sequence-value")


def prove_large_objects(restored: Restored, proof: Proof) -> None:
    """Compare the content of every large object."""
    expected = {}
    for file in restored.manifest.files:
        if match := _LARGE_OBJECT_FILE.fullmatch(file.path):
            oid = int(match[1])
            expected[oid] = LargeObjectReading(oid=oid, plain_bytes=file.plain_bytes, fingerprint=file.fingerprint)
    with closing(restored.address.connect(read_only=True)) as connection:
        proof.findings += compare_large_objects(expected, read_large_objects(connection, restored.key))
