"""Rebuild the catalog from the repository, or compare the two and mend the catalog.

The repository is the truth about which backups exist and what they hold, and it keeps evidence: restore tests that
passed or failed, holds and releases. The catalog may know more of these (older ones, and tests of machines that may
only read), and it alone knows runs and the audit trail: mending never removes any of that (docs/catalog.md).
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from shared.catalog.backup_facts import facts_of_manifest
from shared.catalog.engine import Catalog
from shared.catalog.records import BackupFacts, BackupRow
from shared.domain.backup import BackupStatus
from shared.domain.evidence import Evidence
from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Severity
from shared.errors import CatalogRefused, IntegrityProblem, ObjectMissing
from shared.operations.evidence import find_lacking, find_strange_tests
from shared.operations.progress import OnProgress
from shared.repository.evidence import evidence_keys, read_evidence
from shared.repository.layout import manifest_key
from shared.repository.repository import Repository

# Manifests are read in parallel but only so many are held in memory: one of a large database has some megabytes.
_AT_ONCE = 16
_FIELDS_SHOWN = 5


class DifferenceKind(StrEnum):
    """In which way catalog and repository disagree about a backup."""

    MISSING = "missing"
    CHANGED = "changed"
    STATUS = "status"
    GONE = "gone"
    EVIDENCE = "evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogDifference:
    """One backup about which the catalog was wrong.

    Attributes:
        backup_id: Which one.
        source: Its source.
        kind: In which way.
        message: One sentence: what the catalog said, and what the repository says.
    """

    backup_id: str
    source: str
    kind: DifferenceKind
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildResult:
    """What rebuilding came to.

    Attributes:
        backups: Complete backups whose manifest could be read.
        restored_rows: Rows of backups, tables, objects, tests and holds that were written (would be, in a dry run).
        differences: What the catalog had wrong; empty where it was empty, for then everything was restored.
        unreadable: Manifests and evidence that cannot be trusted; what the catalog says of them was left as it is.
    """

    backups: int
    restored_rows: int
    differences: tuple[CatalogDifference, ...]
    unreadable: tuple[Finding, ...]

    def document(self) -> dict[str, Any]:
        """Return the result in JSON's own types."""
        return {
            "backups": self.backups,
            "restored_rows": self.restored_rows,
            "differences": [
                {"backup_id": item.backup_id, "source": item.source, "kind": item.kind.value, "message": item.message}
                for item in self.differences
            ],
            "unreadable": [finding.document() for finding in self.unreadable],
        }


@dataclass(slots=True)
class _Tally:
    backups: int = 0
    restored_rows: int = 0
    differences: list[CatalogDifference] = field(default_factory=list)
    unreadable: list[Finding] = field(default_factory=list)


def rebuild_catalog(
    repository: Repository,
    catalog: Catalog,
    *,
    now: Callable[[], datetime],
    on_progress: OnProgress,
    dry_run: bool = False,
) -> RebuildResult:
    """Make the catalog agree with the repository in everything that the repository knows.

    Args:
        repository: Where the backups are; opened with its fingerprint key, so that no forged manifest gets in.
        catalog: An empty one, or a living one.
        now: Clock, aware UTC.
        on_progress: Told how many manifests are done.
        dry_run: Only say what differs.

    Raises:
        CatalogRefused: The repository holds no backup and the catalog knows some: one of the two is the wrong one.
        RunConflict: A backup or a cleanup of a source runs; try again when it is done.
        StoreProblem: The repository cannot be read; nothing is concluded from that.
    """
    stored = {source: repository.list_backup_ids(source) for source in repository.list_sources()}
    living = {row.id for row in catalog.backups(include_expired=True)}
    _refuse_wrong_repository(repository, catalog, stored)
    tally, done, total = _Tally(), 0, sum(len(ids) for ids in stored.values())
    for source in sorted({*stored, *(row.name for row in catalog.sources())}):
        mending = _SourceMending(repository, catalog, source, now, dry_run=dry_run, listed=bool(living))
        for _ in mending.work(stored.get(source, ()), tally):
            done += 1
            on_progress("manifests", done, total)
    result = RebuildResult(
        backups=tally.backups,
        restored_rows=tally.restored_rows,
        differences=tuple(tally.differences),
        unreadable=tuple(tally.unreadable),
    )
    if not dry_run and result.restored_rows:
        _record(catalog, repository, result, now())
    return result


class _SourceMending:
    """Compares and mends one source."""

    def __init__(
        self,
        repository: Repository,
        catalog: Catalog,
        source: str,
        now: Callable[[], datetime],
        *,
        dry_run: bool,
        listed: bool,
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._source = source
        self._now = now
        self._dry_run = dry_run
        self._listed = listed
        self._evidence_keys: dict[str, list[str]] = {}

    def work(self, stored: Sequence[str], tally: _Tally) -> Iterator[str]:
        """Do it, and yield each backup id that is done."""
        if self._dry_run:
            yield from self._compare(stored, tally)
            return
        # Nobody may take, expire or mend backups of the source meanwhile: a manifest read here must not be removed
        # before the catalog is told that it exists.
        with self._catalog.claimed_run("rebuild-catalog", self._source, exclusive=True, now=self._now):
            # Listed again: what a cleanup removed before the claim must not be looked for.
            yield from self._compare(self._repository.list_backup_ids(self._source), tally)

    def _compare(self, stored: Sequence[str], tally: _Tally) -> Iterator[str]:
        rows = {row.id: row for row in self._catalog.backups(self._source, include_expired=True)}
        self._evidence_keys = evidence_keys(self._repository, self._source)
        seen: set[str] = set()
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="manifests") as pool:
            for begin in range(0, len(stored), _AT_ONCE):
                for answer in pool.map(self._read, stored[begin : begin + _AT_ONCE]):
                    seen.add(answer.backup_id)
                    self._take(answer, rows.get(answer.backup_id), tally)
                    yield answer.backup_id
        for row in rows.values():
            if row.status is BackupStatus.COMPLETE and row.id not in seen:
                self._look_closer(row, tally)

    def _read(self, backup_id: str) -> "_Read":
        try:
            manifest = self._repository.read_manifest(self._source, backup_id)
        except ObjectMissing:
            return _Read(backup_id=backup_id)
        except IntegrityProblem as error:
            finding = Finding(
                check="manifest",
                severity=Severity.ERROR,
                object=manifest_key(self._source, backup_id),
                message=error.message,
                hint=error.hint,
            )
            return _Read(backup_id=backup_id, unreadable=finding)
        evidence, doubtful = read_evidence(self._repository, self._evidence_keys.get(backup_id, ()))
        return _Read(
            backup_id=backup_id,
            manifest=manifest,
            digest=self._repository.digest_of(manifest),
            evidence=evidence,
            doubtful=doubtful,
        )

    def _look_closer(self, row: BackupRow, tally: _Tally) -> None:
        """Ask for a manifest by name that no listing showed: a listing alone is no proof that something is gone."""
        answer = self._read(row.id)
        if answer.manifest or answer.unreadable:
            self._take(answer, row, tally)
            return
        message = "the catalog says that it is complete, and its manifest is not in the repository"
        self._differs(row.id, DifferenceKind.GONE, message, tally)
        tally.restored_rows += 1
        if not self._dry_run:
            self._catalog.mark_manifest_gone(row.id, self._now())

    def _take(self, answer: "_Read", row: BackupRow | None, tally: _Tally) -> None:
        if answer.unreadable:
            tally.unreadable.append(answer.unreadable)
        if answer.manifest is None:
            return
        tally.backups += 1
        self._take_manifest(answer, answer.manifest, row, tally)
        if row is None or row.status is not BackupStatus.EXPIRING:
            self._take_evidence(answer, tally)

    def _take_manifest(self, answer: "_Read", manifest: Manifest, row: BackupRow | None, tally: _Tally) -> None:
        kind, message = self._judge(manifest, answer.digest, row)
        if kind is None:
            return
        if self._listed:
            self._differs(answer.backup_id, kind, message, tally)
        tally.restored_rows += 1 + len(manifest.tables) + len(manifest.objects)
        if not self._dry_run:
            self._catalog.import_manifest(manifest, answer.digest, self._now(), reason=message)

    def _take_evidence(self, answer: "_Read", tally: _Tally) -> None:
        tally.unreadable += answer.doubtful
        tally.unreadable += find_strange_tests(self._source, answer.backup_id, answer.digest, answer.evidence)
        lacking = find_lacking(self._catalog, answer.backup_id, answer.digest, answer.evidence)
        if not lacking.rows:
            return
        if self._listed:
            self._differs(answer.backup_id, DifferenceKind.EVIDENCE, str(lacking), tally)
        tally.restored_rows += lacking.rows
        if not self._dry_run:
            self._catalog.import_evidence(
                answer.backup_id, lacking.tests, lacking.holds, self._now(), reason=str(lacking)
            )

    def _judge(self, manifest: Manifest, digest: str, row: BackupRow | None) -> tuple[DifferenceKind | None, str]:
        if row is None:
            return DifferenceKind.MISSING, "the catalog does not know it, and its manifest is in the repository"
        if row.status is BackupStatus.EXPIRING:
            return None, ""  # a cleanup is on its way or will be taken up again; it decides
        if row.status is not BackupStatus.COMPLETE:
            return DifferenceKind.STATUS, f"the catalog says {row.status}, and its manifest is in the repository"
        known = self._catalog.backup_facts(row.id)
        message = _changes(known, facts_of_manifest(manifest, digest)) if known else ""
        return (DifferenceKind.CHANGED, message) if message else (None, "")

    def _differs(self, backup_id: str, kind: DifferenceKind, message: str, tally: _Tally) -> None:
        tally.differences.append(
            CatalogDifference(backup_id=backup_id, source=self._source, kind=kind, message=message)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """The answer to reading one backup; neither manifest nor finding when it is not there."""

    backup_id: str
    manifest: Manifest | None = None
    digest: str = ""
    unreadable: Finding | None = None
    evidence: tuple[Evidence, ...] = ()
    doubtful: tuple[Finding, ...] = ()


def _changes(known: BackupFacts, stored: BackupFacts) -> str:
    """Say in which columns and lists the catalog differs from the manifest; empty where it does not."""
    changed = [
        f"{name} is {known.row[name]!r:.60} and should be {value!r:.60}"
        for name, value in stored.row.items()
        if known.row[name] != value
    ]
    if known.tables != stored.tables:
        changed.append(f"{len(set(known.tables) ^ set(stored.tables)) or 'some'} rows of tables differ")
    if known.objects != stored.objects:
        changed.append(f"{len(set(known.objects) ^ set(stored.objects)) or 'some'} rows of objects differ")
    more = f"; and {len(changed) - _FIELDS_SHOWN} more" if len(changed) > _FIELDS_SHOWN else ""
    return "; ".join(changed[:_FIELDS_SHOWN]) + more


def _refuse_wrong_repository(repository: Repository, catalog: Catalog, stored: dict[str, tuple[str, ...]]) -> None:
    if any(stored.values()):
        return
    known = len(catalog.backups(statuses=[BackupStatus.COMPLETE]))
    if known:
        raise CatalogRefused(
            f"the repository {repository.url} holds no backup, and the catalog {catalog.label} knows {known}",
            hint="Check both addresses in the configuration; nothing was changed.",
        )


def _record(catalog: Catalog, repository: Repository, result: RebuildResult, now: datetime) -> None:
    catalog.append_audit(
        actor=catalog.actor,
        action="catalog.rebuild",
        object_name=repository.url,
        details={
            "backups": result.backups,
            "restored_rows": result.restored_rows,
            "differences": len(result.differences),
            "unreadable": len(result.unreadable),
        },
        now=now,
    )
