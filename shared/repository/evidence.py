"""Write, list and read the evidence files of a repository's backups."""

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from shared.domain.evidence import DAMAGED, Evidence, decode_evidence, encode_evidence, evidence_name
from shared.domain.proof import Finding, Severity
from shared.errors import IntegrityProblem, ManifestInvalid, ObjectMissing
from shared.repository.layout import KeyKind, backups_prefix, evidence_key, evidence_prefix, parse_key
from shared.repository.repository import Repository


class ReadEvidence(NamedTuple):
    """All evidence that could be read, in the order of its names, and a finding for each that cannot be trusted."""

    evidence: tuple[Evidence, ...]
    unreadable: tuple[Finding, ...]


def write_evidence(repository: Repository, evidence: Evidence) -> str:
    """Make a piece of evidence durable, read it back, and return its key; writing the same again changes nothing.

    Raises:
        StoreProblem: It cannot be written.
        DigestMismatch: It is not stored as it was written.
        ConfigInvalid: The fingerprint key is not here.
    """
    key = evidence_key(evidence.source, evidence.backup_id, evidence_name(evidence))
    repository.put_once(key, encode_evidence(evidence, repository.fingerprint_key))
    return key


def evidence_keys(repository: Repository, source: str, backup_id: str | None = None) -> dict[str, list[str]]:
    """List the keys of the evidence of a source's backups, or of one of them, oldest first, by backup id."""
    prefix = evidence_prefix(source, backup_id) if backup_id else backups_prefix(source)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for stored in repository.store.list(prefix):
        parsed = parse_key(stored.key)
        if parsed.kind is KeyKind.EVIDENCE:
            found[parsed.backup_id].append(stored.key)
    return {owner: sorted(keys) for owner, keys in found.items()}


def read_evidence(repository: Repository, keys: Iterable[str]) -> ReadEvidence:
    """Read evidence files and check each: its form, digest, mac, and that it lies under its own name and backup.

    Raises:
        StoreProblem: The store cannot be read now; a file that is gone meanwhile is left out.
    """
    evidence: list[Evidence] = []
    unreadable: list[Finding] = []
    for key in keys:
        try:
            evidence.append(_read(repository, key))
        except ObjectMissing:
            continue  # a cleanup removed it together with its backup
        except IntegrityProblem as error:
            unreadable.append(
                Finding(check="evidence", severity=Severity.ERROR, object=key, message=error.message, hint=error.hint)
            )
    return ReadEvidence(tuple(evidence), tuple(unreadable))


def _read(repository: Repository, key: str) -> Evidence:
    evidence = decode_evidence(repository.store.get(key), fingerprint_key=repository.known_key)
    parsed, name = parse_key(key), evidence_name(evidence)
    if (parsed.source, parsed.backup_id, parsed.name) != (evidence.source, evidence.backup_id, name):
        words = f"the evidence under {key} is {name[:100]} of {evidence.backup_id[:100]}"
        raise ManifestInvalid(words, hint=DAMAGED)
    return evidence
