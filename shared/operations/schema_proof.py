"""Compare the schema objects of the source with those of the restored database, and judge each difference."""

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field

from shared.domain.comparison import capped
from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, NotMeasured, Severity
from shared.postgres.archive import TocEntry
from shared.postgres.connection import DatabaseAddress
from shared.postgres.schema import (
    ChangeKind,
    Schema,
    SchemaDifference,
    compare_schema,
    digest_schema,
    read_schema,
)
from shared.postgres.settle import settle_differences

_IN_EVERY_DATABASE = frozenset({("schemas", "public"), ("extensions", "plpgsql")})
_ABOUT_RIGHTS = frozenset({"default_privileges", "granted_system_objects"})
_SHOWN_LETTERS = 160


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """What may differ in a real restore, where the destination is not a server of our making.

    Attributes:
        owners: Owners and grants were given up on purpose.
        additions: The destination held other things before.
        versions: The destination is of another major version, which prints definitions in other words.
    """

    owners: bool = False
    additions: bool = False
    versions: bool = False

    def explain(self, difference: SchemaDifference) -> str:
        """Say why a difference is to be expected; empty when it is not."""
        if self.owners and difference.object_class in _ABOUT_RIGHTS:
            return "grants were not restored"
        if self.owners and difference.changed_parts and set(difference.changed_parts) <= {"owner", "acl"}:
            return f"its {' and '.join(difference.changed_parts)} were not restored"
        if self.additions and difference.kind is ChangeKind.ADDED:
            return "the destination had it before"
        if self.versions and difference.kind is not ChangeKind.REMOVED:
            return "the destination is of another version, which has other rights and prints definitions in other words"
        return ""


NOTHING_TOLERATED = Tolerance()


@dataclass(slots=True)
class SchemaProof:
    """What the comparison of schema objects found."""

    findings: list[Finding] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)
    tolerated: dict[str, list[str]] = field(default_factory=dict)


def compare_schemas(
    address: DatabaseAddress,
    source: Schema,
    manifest: Manifest,
    key: bytes,
    left_out: Sequence[TocEntry],
    tolerance: Tolerance = NOTHING_TOLERATED,
) -> SchemaProof:
    """Read the restored database's schema objects and compare them with the source's.

    Args:
        address: The restored database.
        source: The backup's `schema.json`.
        manifest: Holds the digest that `source` must have.
        key: Fingerprint key.
        left_out: Entries that were not restored on purpose.
        tolerance: What else may differ.

    Raises:
        SourceProblem: The server is not to be reached.
        psycopg.Error: It refuses to be read.
    """
    proof = SchemaProof()
    if digest_schema(source, key) != manifest.schema_digest:
        proof.findings.append(
            Finding(
                check="schema-digest",
                severity=Severity.ERROR,
                object="schema.json",
                message="the schema objects in the backup are not those that its manifest has the digest of",
                hint="Do not rely on this backup: restore-test an older one, and take a new one now.",
            )
        )
    with closing(address.connect()) as connection:
        # Statements that only try out a definition must not wake the database's own event triggers.
        connection.execute("SET session_replication_role = replica")
        real, settled = settle_differences(connection, compare_schema(source, read_schema(connection)))
    proof.findings += [_judge(difference, Severity.INFO, difference.explanation) for difference in settled]
    names = [_words(entry) for entry in left_out]
    for difference in real:
        _note(difference, names, tolerance, proof)
    proof.findings += [_summary(reason, identities) for reason, identities in proof.tolerated.items()]
    by_check = dict.fromkeys(finding.check for finding in proof.findings)
    proof.findings = [
        item
        for check in by_check
        for item in capped([finding for finding in proof.findings if finding.check == check], check)
    ]
    return proof


def _note(
    difference: SchemaDifference, left_out: Sequence[frozenset[str]], tolerance: Tolerance, proof: SchemaProof
) -> None:
    name = (difference.object_class, difference.identity)
    words = frozenset(re.findall(r'"[^"]*"|[^\s.,()"]+', difference.identity))
    bare = {word.strip('"') for word in words}
    if difference.kind is not ChangeKind.ADDED and any(entry <= bare for entry in left_out):
        reason = "it, or what it needs, was left out of the restore"
        check = f"schema-{difference.object_class}"
        proof.not_measured.append(NotMeasured(check=check, object=difference.identity, reason=reason))
    elif difference.kind is ChangeKind.ADDED and name in _IN_EVERY_DATABASE:
        proof.findings.append(_judge(difference, Severity.INFO, "every new database has it, and the source does not"))
    elif difference.object_class == "extensions" and difference.changed_parts == ("version",):
        message = f"another version than at the source: {difference.after} instead of {difference.before}"
        proof.findings.append(_judge(difference, Severity.WARNING, message))
    elif expected := tolerance.explain(difference):
        proof.tolerated.setdefault(expected, []).append(difference.identity)
    else:
        proof.findings.append(_judge(difference, Severity.ERROR, _message(difference)))


def _summary(reason: str, identities: Sequence[str]) -> Finding:
    """Tell of many tolerated differences at once: they are one fact about the destination."""
    shown = ", ".join(identity[:_SHOWN_LETTERS] for identity in identities[:5])
    more = f" and {len(identities) - 5} more" if len(identities) > 5 else ""
    return Finding(check="schema", severity=Severity.WARNING, object=f"{shown}{more}", message=f"differs: {reason}")


def _message(difference: SchemaDifference) -> str:
    match difference.kind:
        case ChangeKind.REMOVED:
            return "it is at the source but not in the restored database"
        case ChangeKind.ADDED:
            return "it is in the restored database but not at the source"
        case ChangeKind.CHANGED:
            return f"it differs from the source in {', '.join(difference.changed_parts)}"


def _judge(difference: SchemaDifference, severity: Severity, message: str) -> Finding:
    hint = "Compare the object with the source; the restored database is not what the source was."
    return Finding(
        check=f"schema-{difference.object_class.replace('_', '-')}",
        severity=severity,
        object=difference.identity[:_SHOWN_LETTERS],
        message=message,
        hint=hint if severity is Severity.ERROR else "",
    )


def _words(entry: TocEntry) -> frozenset[str]:
    """The names in an entry, all of which a difference must mention to be explained by it: `orders orders_fkey`."""
    return frozenset(re.findall(r"[^\s.,()\"]+", f"{entry.schema} {entry.tag}"))
