"""Find what the catalog claims about a backup and no evidence beside the backup backs: proven, failed, held, released.

Whoever may write to the catalog can write that a backup is proven, or that a hold was released. The evidence in the
repository carries a mac that only a holder of the fingerprint key can make; so what it does not say is not believed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.catalog.engine import Catalog
from shared.catalog.records import BackupRow, HoldRow, RestoreTestRow
from shared.domain.backup import BackupStatus
from shared.domain.evidence import Evidence, RestoreTestEvidence, settle_holds
from shared.domain.proof import Outcome
from shared.repository.evidence import evidence_keys, read_evidence
from shared.repository.repository import Repository
from shared.units import format_instant

_IN_THE_MAKING = timedelta(minutes=5)
"""A hold is written to the catalog first: so long its evidence may be missing without anything being wrong."""

_TEST_AGAIN = "Somebody changed the catalog or deleted evidence: find out who, and run `goldcopy restore-test {}`."
_HOLD_AGAIN = "Somebody changed the catalog or deleted evidence: find out who, and place the hold again."


@dataclass(frozen=True, slots=True, kw_only=True)
class UnbackedClaim:
    """One thing that the catalog says of a backup and its evidence does not.

    Attributes:
        is_missing: Whether the evidence is not there at all; else it says something else.
        hint: What to do next.
    """

    backup_id: str
    source: str
    is_missing: bool
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogClaims:
    """What the catalog says of one backup, and the decisive tests that it knows."""

    row: BackupRow
    tests: tuple[RestoreTestRow, ...]
    holds: tuple[HoldRow, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to back."""
        return not (self.tests or self.holds or self.row.proven_at or self.row.test_outcome)


def read_claims(catalog: Catalog, row: BackupRow) -> CatalogClaims:
    """Read what the catalog says of one backup."""
    tests = catalog.restore_tests(backup_id=row.id)
    decisive = tuple(test for test in tests if test.outcome in {Outcome.PASSED, Outcome.FAILED})
    return CatalogClaims(row=row, tests=decisive, holds=catalog.holds(row.id))


def check_claims(
    repository: Repository, catalog: Catalog, rows: Sequence[BackupRow], *, now: datetime
) -> Iterator[UnbackedClaim]:
    """Compare what the catalog says of complete backups with the evidence beside them.

    A backup with evidence that cannot be read is passed over: that is a finding of its own.

    Args:
        repository: Opened with its fingerprint key, else a forged piece of evidence would be believed.
        catalog: What is checked.
        rows: Its backups.
        now: Aware instant.

    Raises:
        StoreProblem: The repository cannot be read.
    """
    for source in sorted({row.source for row in rows}):
        mine = [row for row in rows if row.source == source]
        keys = evidence_keys(repository, source, mine[0].id if len(mine) == 1 else None)
        for row in mine:
            # Tests end, holds come and backups expire while we look: what is odd is looked at again, all of it.
            if _look(repository, catalog, row, keys.get(row.id, []), now):
                again = evidence_keys(repository, source, row.id).get(row.id, [])
                yield from _look(repository, catalog, catalog.backup(row.id), again, now)


def _look(
    repository: Repository, catalog: Catalog, row: BackupRow, keys: Sequence[str], now: datetime
) -> list[UnbackedClaim]:
    claims = read_claims(catalog, row)
    if row.status is not BackupStatus.COMPLETE or claims.is_empty:
        return []
    evidence, unreadable = read_evidence(repository, keys)
    return [] if unreadable else judge_claims(claims, evidence, now)


def judge_claims(claims: CatalogClaims, evidence: Sequence[Evidence], now: datetime) -> list[UnbackedClaim]:
    """Compare what the catalog says of one backup with its evidence; pure."""
    return [*_judge_tests(claims, evidence), *_judge_proof(claims), *_judge_holds(claims, evidence, now)]


def _judge_tests(claims: CatalogClaims, evidence: Sequence[Evidence]) -> Iterator[UnbackedClaim]:
    row = claims.row
    stored = {
        item.result.id: item.result
        for item in evidence
        if isinstance(item, RestoreTestEvidence) and item.manifest_sha256 == row.manifest_sha256
    }
    for test in claims.tests:
        result = stored.get(test.id)
        said = f"the catalog says that restore test {test.id} {_words(test.outcome, test.finished_at)}"
        if result is None:
            yield _claim(row, f"{said}, and no evidence of it is stored", _TEST_AGAIN, is_missing=True)
        elif (result.outcome, result.finished_at) != (test.outcome, test.finished_at):
            words = _words(result.outcome, result.finished_at)
            yield _claim(row, f"{said}, and its evidence says that it {words}", _TEST_AGAIN)


def _judge_proof(claims: CatalogClaims) -> Iterator[UnbackedClaim]:
    """Compare the backup's own row with the tests that it follows from."""
    row = claims.row
    last = max(claims.tests, key=lambda test: (test.finished_at or test.started_at, test.id), default=None)
    outcome = last.outcome if last else None
    proven_at = last.finished_at if last and last.outcome is Outcome.PASSED else None
    if (row.proven_at, row.test_outcome) != (proven_at, outcome):
        said = f"proven at {format_instant(row.proven_at)}" if row.proven_at else "not proven"
        message = f"the catalog says that the backup is {said}, and its restore tests do not say so"
        yield _claim(row, message, _TEST_AGAIN)


def _judge_holds(claims: CatalogClaims, evidence: Sequence[Evidence], now: datetime) -> Iterator[UnbackedClaim]:
    row = claims.row
    stored = {(item.owner, item.placed_at): item for item in settle_holds(evidence)}
    for hold in claims.holds:
        kept = stored.get((hold.owner, hold.placed_at))
        if kept is None and hold.released_at is None and hold.placed_at < now - _IN_THE_MAKING:
            message = f"the catalog says that {hold.owner} holds the backup, and no evidence of it is stored"
            yield _claim(row, message, _HOLD_AGAIN, is_missing=True)
        elif kept is not None and kept.released_at is None and hold.released_at is not None:
            message = f"the catalog says that {hold.owner} released the hold, and the evidence says that it is in force"
            yield _claim(row, message, _HOLD_AGAIN)


def _claim(row: BackupRow, message: str, hint: str, *, is_missing: bool = False) -> UnbackedClaim:
    return UnbackedClaim(
        backup_id=row.id, source=row.source, is_missing=is_missing, message=message, hint=hint.format(row.id)
    )


def _words(outcome: Outcome | None, finished_at: datetime | None) -> str:
    at = f" at {format_instant(finished_at)}" if finished_at else ""
    return f"{'passed' if outcome is Outcome.PASSED else 'failed'}{at}"
