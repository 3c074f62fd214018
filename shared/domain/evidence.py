"""Evidence: what people and restore tests found out about a backup, kept beside its manifest.

A manifest is written once, before anyone can prove or hold the backup. So each restore test that came to a decision,
each hold and each release is a small document of its own, written once as well; with them a lost catalog is written
anew without forgetting which backup is proven and which is held. They hold no data and no secret.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from shared.domain.proof import Finding, NotMeasured, Outcome, Severity
from shared.domain.signed_document import canonical_json, decode_document, encode_document, plain
from shared.errors import ManifestInvalid
from shared.units import parse_instant

FORMAT = 1


class EvidenceKind(StrEnum):
    """What a piece of evidence is about; part of its name."""

    RESTORE_TEST = "restore-test"
    HOLD = "hold"
    RELEASE = "release"


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestResult:
    """What a restore test found, to be recorded.

    Attributes:
        id: Name of the test, unique.
        picked: How the backup was chosen: newest, oldest, random or named.
        phases: Seconds by phase.
        recovery_time_seconds: From fetch to usable; None where it did not come so far.
    """

    id: str
    backup_id: str
    source: str
    picked: str
    outcome: Outcome
    started_at: datetime
    finished_at: datetime
    findings: tuple[Finding, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    phases: dict[str, float] = field(default_factory=dict)
    recovery_time_seconds: float | None = None
    tables_proven: int = 0
    rows_proven: int = 0
    source_version: str = ""
    scratch_version: str = ""
    tool_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreTestEvidence:
    """A restore test that passed or failed.

    Attributes:
        result: What it found.
        manifest_sha256: SHA-256 of the stored bytes of the manifest that it restored from, hex; of any other one
            it says nothing.
    """

    result: RestoreTestResult
    manifest_sha256: str

    @property
    def kind(self) -> EvidenceKind:
        """What it is about."""
        return EvidenceKind.RESTORE_TEST

    @property
    def source(self) -> str:
        """Source of the backup."""
        return self.result.source

    @property
    def backup_id(self) -> str:
        """The backup."""
        return self.result.backup_id

    @property
    def at(self) -> datetime:
        """When it came to be."""
        return self.result.finished_at


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldEvidence:
    """A hold as it was placed, or as it was released; owner and instant of placement name the hold."""

    source: str
    backup_id: str
    owner: str
    reason: str
    placed_at: datetime
    released_at: datetime | None = None
    released_by: str = ""
    release_reason: str = ""

    @property
    def kind(self) -> EvidenceKind:
        """What it is about."""
        return EvidenceKind.RELEASE if self.released_at else EvidenceKind.HOLD

    @property
    def at(self) -> datetime:
        """When it came to be."""
        return self.released_at or self.placed_at


Evidence = RestoreTestEvidence | HoldEvidence


def evidence_name(evidence: Evidence) -> str:
    """Return the name of a piece of evidence: sortable by time, and its own check, for it follows from the content."""
    digest = hashlib.sha256(canonical_json(_document(evidence))).hexdigest()
    return f"{evidence.at.astimezone(UTC):%Y%m%dT%H%M%SZ}-{evidence.kind}-{digest[:16]}"


def encode_evidence(evidence: Evidence, fingerprint_key: bytes) -> bytes:
    """Print a piece of evidence with its digest and its mac."""
    return encode_document(_document(evidence), fingerprint_key)


def decode_evidence(data: bytes, *, fingerprint_key: bytes | None = None) -> Evidence:
    """Read a piece of evidence and refuse anything that is not exactly what Goldcopy writes.

    Args:
        data: The stored bytes.
        fingerprint_key: Where given, the mac is checked as well.

    Raises:
        ManifestInvalid: Damaged, cut, of a newer format, or with a wrong mac.
    """
    signed = decode_document(data, name="the evidence", newest_format=FORMAT, hint=DAMAGED, newer_hint=_NEWER)
    if fingerprint_key is not None and not signed.fits(fingerprint_key):
        raise ManifestInvalid("the mac of the evidence does not fit this repository's fingerprint key", hint=DAMAGED)
    try:
        return _evidence(signed.members)
    except (KeyError, TypeError, ValueError) as error:
        raise ManifestInvalid(f"the evidence lacks or misuses a field: {error}", hint=DAMAGED) from error


def settle_holds(evidence: Iterable[Evidence]) -> tuple[HoldEvidence, ...]:
    """Add up placements and releases: one entry per hold, released where any release of it is there; oldest first."""
    holds: dict[tuple[str, datetime], HoldEvidence] = {}
    for item in sorted((item for item in evidence if isinstance(item, HoldEvidence)), key=_released_first):
        holds.setdefault((item.owner, item.placed_at), item)
    return tuple(sorted(holds.values(), key=lambda item: (item.placed_at, item.owner)))


DAMAGED = (
    "Put it back from another copy of the repository; until then it proves and holds nothing in a rebuilt catalog."
)
_NEWER = "Use a newer Goldcopy; this one leaves the file as it is."


def _released_first(item: HoldEvidence) -> tuple[bool, datetime, str]:
    return (item.released_at is None, item.at, evidence_name(item))


def _document(evidence: Evidence) -> dict[str, Any]:
    head: dict[str, Any] = {"format": FORMAT, "evidence": evidence.kind.value}
    if isinstance(evidence, HoldEvidence):
        return {**head, **plain(evidence)}
    return {**head, "manifest_sha256": evidence.manifest_sha256, **plain(evidence.result)}


def _evidence(members: dict[str, Any]) -> Evidence:
    values = dict(members)
    del values["format"]
    kind = EvidenceKind(values.pop("evidence"))
    for name in ("started_at", "finished_at", "placed_at", "released_at"):
        if values.get(name) is not None:
            values[name] = parse_instant(values[name])
    if kind is not EvidenceKind.RESTORE_TEST:
        hold = HoldEvidence(**values)
        if hold.kind is not kind:
            raise ValueError(f"it says that it is a {kind} and is a {hold.kind}")
        return hold
    manifest_sha256 = values.pop("manifest_sha256")
    values["outcome"] = Outcome(values["outcome"])
    values["findings"] = tuple(
        Finding(**{**item, "severity": Severity(item["severity"])}) for item in values["findings"]
    )
    values["not_measured"] = tuple(NotMeasured(**item) for item in values["not_measured"])
    return RestoreTestEvidence(result=RestoreTestResult(**values), manifest_sha256=manifest_sha256)
