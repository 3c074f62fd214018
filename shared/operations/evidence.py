"""Keep what restore tests and people found out beside the backup, and find what a catalog lacks of it.

In which order catalog and repository are written decides what a crash between the two leaves:

- A restore test: the repository first. Evidence that only the repository has is listed by `audit` and taken up by
  `rebuild-catalog`; a proof that only the catalog has would be lost with it, and nobody would know.
- A hold: the catalog first. From then on no cleanup can expire the backup, and the catalog may still refuse. `hold`
  reports success only when the file is durable as well; said again, it writes the file of the hold that is in force.
- A release: the repository first, else a rebuild could bring back a hold that its owner saw released. A crash leaves
  the backup held, and `release` said again ends it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.catalog.engine import Catalog
from shared.catalog.records import HoldRow
from shared.domain.evidence import (
    Evidence,
    EvidenceKind,
    HoldEvidence,
    RestoreTestEvidence,
    RestoreTestResult,
    settle_holds,
)
from shared.domain.proof import Finding, Outcome, Severity
from shared.errors import ConfigInvalid, IntegrityProblem, StoreProblem
from shared.repository.evidence import evidence_keys, read_evidence, write_evidence
from shared.repository.layout import evidence_prefix
from shared.repository.repository import Repository

_DECISIVE = {Outcome.PASSED, Outcome.FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class LackingEvidence:
    """What the repository keeps of a backup and a catalog does not know."""

    tests: tuple[RestoreTestResult, ...] = ()
    holds: tuple[HoldEvidence, ...] = ()

    @property
    def rows(self) -> int:
        """Rows of the catalog that importing it writes."""
        return len(self.holds) + sum(1 + len(test.findings) + len(test.not_measured) for test in self.tests)

    def __str__(self) -> str:
        what = [f"restore test {test.id} ({test.outcome})" for test in self.tests]
        what += [f"{'release' if hold.kind is EvidenceKind.RELEASE else 'hold'} of {hold.owner}" for hold in self.holds]
        return f"the catalog lacks what the repository keeps: {', '.join(what)}"


def keep_test(repository: Repository, result: RestoreTestResult, manifest_sha256: str) -> RestoreTestResult:
    """Write a decisive restore test beside its backup; return it, with a warning where that is not possible.

    Args:
        repository: A machine that only tests may have no right to write to it, and its test still counts.
        result: What the test found.
        manifest_sha256: Digest of the manifest that was restored from; empty where none could be read, and then there
            is nothing that the evidence could be about.
    """
    if result.outcome not in _DECISIVE or not manifest_sha256:
        return result
    try:
        write_evidence(repository, RestoreTestEvidence(result=result, manifest_sha256=manifest_sha256))
    except (StoreProblem, IntegrityProblem, ConfigInvalid) as error:
        warning = Finding(
            check="evidence",
            severity=Severity.WARNING,
            object=result.backup_id,
            message=f"this result is kept in the catalog only: {error.message}",
            hint="Let restore tests write to the repository, or keep copies of the catalog: a lost one forgets this.",
        )
        return replace(result, findings=(*result.findings, warning))
    return result


def keep_hold(repository: Repository, source: str, hold: HoldRow) -> None:
    """Write a hold, or its release, beside its backup.

    Raises:
        StoreProblem: It cannot be written.
        DigestMismatch: It is not stored as it was written.
        ConfigInvalid: The fingerprint key is not here.
    """
    write_evidence(
        repository,
        HoldEvidence(
            source=source,
            backup_id=hold.backup_id,
            owner=hold.owner,
            reason=hold.reason,
            placed_at=hold.placed_at,
            released_at=hold.released_at,
            released_by=hold.released_by,
            release_reason=hold.release_reason,
        ),
    )


def keep_release(repository: Repository, source: str, released: HoldRow) -> None:
    """Write a release, also for holds of the same owner that a catalog which was lost had known.

    Raises:
        StoreProblem: It cannot be read or written.
        DigestMismatch: It is not stored as it was written.
        ConfigInvalid: The fingerprint key is not here.
    """
    keys = evidence_keys(repository, source, released.backup_id).get(released.backup_id, [])
    for hold in settle_holds(read_evidence(repository, keys).evidence):
        if hold.owner == released.owner and hold.released_at is None:
            keep_hold(repository, source, replace(released, placed_at=hold.placed_at, reason=hold.reason))
    keep_hold(repository, source, released)


def find_lacking(
    catalog: Catalog, backup_id: str, manifest_sha256: str, evidence: Iterable[Evidence]
) -> LackingEvidence:
    """Say which evidence of a backup the catalog does not know; what it knows more of stays as it is.

    Args:
        catalog: What is compared.
        backup_id: The backup.
        manifest_sha256: Of its present manifest; a test of another one says nothing.
        evidence: All evidence of the backup that can be trusted.
    """
    pieces = tuple(evidence)
    if not pieces:
        return LackingEvidence()
    outcomes = {row.id: row.outcome for row in catalog.restore_tests(backup_id=backup_id)}
    tests = (item for item in pieces if isinstance(item, RestoreTestEvidence))
    return LackingEvidence(
        tests=tuple(
            item.result
            for item in tests
            if item.manifest_sha256 == manifest_sha256 and outcomes.get(item.result.id) is not item.result.outcome
        ),
        holds=_lacking_holds(catalog.holds(backup_id), settle_holds(pieces)),
    )


def find_strange_tests(
    source: str, backup_id: str, manifest_sha256: str, evidence: Iterable[Evidence]
) -> list[Finding]:
    """Return a warning for every restore test of a backup that was of another manifest than the present one."""
    return [
        Finding(
            check="evidence",
            severity=Severity.WARNING,
            object=evidence_prefix(source, backup_id),
            message=f"restore test {item.result.id} was of another manifest than the present one and proves nothing",
            hint="See who replaced the manifest, and test the backup again.",
        )
        for item in evidence
        if isinstance(item, RestoreTestEvidence) and item.manifest_sha256 != manifest_sha256
    ]


def _lacking_holds(known: Sequence[HoldRow], stored: Sequence[HoldEvidence]) -> tuple[HoldEvidence, ...]:
    rows = {(row.owner, row.placed_at): row for row in known}
    holding = {row.owner for row in known if row.released_at is None}
    lacking = []
    for hold in stored:
        row = rows.get((hold.owner, hold.placed_at))
        if hold.released_at is None:
            # One hold per owner is in force; a second one would say the same.
            is_lacking = row is None and hold.owner not in holding
            holding.add(hold.owner)
        else:
            is_lacking = row is None or row.released_at is None
        if is_lacking:
            lacking.append(hold)
    return tuple(lacking)
