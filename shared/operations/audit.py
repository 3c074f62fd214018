"""Compare the repository with the catalog, both ways, without reading any object's content.

Orphans are stored and nobody names them; missing is what somebody names and nobody stored; drifted is what both have
and say differently. `goldcopy cleanup` removes orphans, `goldcopy rebuild-catalog` mends the catalog, and only another
copy of the repository brings back what is missing. Contents are read again by `goldcopy verify`.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.catalog.engine import Catalog
from shared.catalog.records import BackupRow
from shared.domain.backup import BackupStatus
from shared.domain.manifest import Manifest, ObjectRecord
from shared.errors import CatalogRefused
from shared.operations.claims_check import check_claims
from shared.operations.cleanup_plan import ORPHAN_GRACE
from shared.operations.progress import OnProgress, no_progress
from shared.operations.rebuild import DifferenceKind, rebuild_catalog
from shared.repository.layout import KeyKind, evidence_prefix, files_key, manifest_key, parse_key, source_prefix
from shared.repository.repository import Repository
from shared.repository.store import StoredObject

# Named by no manifest: it belongs to the one that it lies beside.
_BESIDE = {KeyKind.FILES, KeyKind.EVIDENCE}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditItem:
    """One thing that does not fit.

    Attributes:
        name: A key, or a backup id.
        message: What is wrong with it.
        stored_bytes: Its size, where it is stored.
        backup_ids: The backups that it concerns.
        hint: What to do next; empty where the module's own words say it.
    """

    name: str
    message: str
    stored_bytes: int = 0
    backup_ids: tuple[str, ...] = ()
    hint: str = ""

    def document(self) -> dict[str, Any]:
        """Return the item in JSON's own types."""
        return {
            "object": self.name,
            "message": self.message,
            "stored_bytes": self.stored_bytes,
            "backup_ids": list(self.backup_ids),
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditResult:
    """What does not fit, and whether the audit trail's chain is whole.

    Attributes:
        audit_trail: `intact`, or what is wrong with the chain.
        audit_head: Hash of the newest entry; noted elsewhere, it shows later whether entries were cut off.
    """

    orphans: tuple[AuditItem, ...]
    missing: tuple[AuditItem, ...]
    drifted: tuple[AuditItem, ...]
    audit_trail: str
    audit_head: str

    def document(self) -> dict[str, Any]:
        """Return the result in JSON's own types."""
        return {
            "orphans": [item.document() for item in self.orphans],
            "missing": [item.document() for item in self.missing],
            "drifted": [item.document() for item in self.drifted],
            "audit_trail": self.audit_trail,
            "audit_head": self.audit_head,
        }


def run_audit(
    repository: Repository,
    catalog: Catalog,
    *,
    now: Callable[[], datetime],
    on_progress: OnProgress = no_progress,
) -> AuditResult:
    """Compare the repository with the catalog; nothing is changed.

    Args:
        repository: Opened with its fingerprint key.
        catalog: What is compared with it.
        now: Clock, aware UTC.
        on_progress: Told of manifests, then of sources.

    Raises:
        StoreProblem: The repository cannot be read; nothing is concluded from that.
        CatalogProblem: The catalog cannot be read.
    """
    work = _Audit(repository, catalog, now())
    work.compare_backups(now, on_progress)
    work.compare_claims()
    sources = repository.list_sources()
    for number, source in enumerate(sources):
        on_progress("audit", number, len(sources))
        work.compare_objects(source)
    work.look_around(sources)
    on_progress("audit", len(sources), len(sources))
    chain = catalog.verify_audit_chain()
    return AuditResult(
        orphans=tuple(work.orphans),
        missing=tuple(work.missing),
        drifted=tuple(work.drifted),
        audit_trail="intact" if chain.is_intact else chain.problem,
        audit_head=chain.head_hash,
    )


@dataclass(slots=True)
class _Audit:
    """Collects what does not fit."""

    repository: Repository
    catalog: Catalog
    now: datetime
    orphans: list[AuditItem] = field(default_factory=list)
    missing: list[AuditItem] = field(default_factory=list)
    drifted: list[AuditItem] = field(default_factory=list)

    def compare_backups(self, now: Callable[[], datetime], on_progress: OnProgress) -> None:
        """Compare every manifest with the catalog's rows."""
        rows = self.catalog.backups(include_expired=True)
        try:
            compared = rebuild_catalog(self.repository, self.catalog, now=now, on_progress=on_progress, dry_run=True)
        except CatalogRefused:  # a repository without any backup: rebuilding from it is refused, auditing it is not
            self.missing += [_lost_manifest(row.source, row.id) for row in rows if row.status is BackupStatus.COMPLETE]
            return
        for item in compared.differences:
            if item.kind is DifferenceKind.GONE:
                self.missing.append(_lost_manifest(item.source, item.backup_id))
            else:
                self.drifted.append(AuditItem(name=item.backup_id, message=item.message, backup_ids=(item.backup_id,)))
        self.drifted += [AuditItem(name=finding.object, message=finding.message) for finding in compared.unreadable]
        if not rows:  # an empty catalog is no difference to rebuilding, which fills it; here it is
            message = "the catalog is empty, and its manifest is in the repository"
            self.drifted += [
                AuditItem(name=backup_id, message=message, backup_ids=(backup_id,))
                for backup_id in self.repository.list_backup_ids()
            ]

    def compare_claims(self) -> None:
        """Compare what the catalog says is proven, failed and held with the evidence beside the backups."""
        known = set(self.repository.list_backup_ids())
        rows = [row for row in self.catalog.backups() if row.id in known]
        for claim in check_claims(self.repository, self.catalog, rows, now=self.now):
            place = self.missing if claim.is_missing else self.drifted
            place.append(
                AuditItem(
                    name=evidence_prefix(claim.source, claim.backup_id),
                    message=claim.message,
                    backup_ids=(claim.backup_id,),
                    hint=claim.hint,
                )
            )
        self._compare_statuses({row.id: row for row in rows})

    def _compare_statuses(self, rows: Mapping[str, BackupRow]) -> None:
        """Make sure that what pages read as the newest proven backup is what the backup's own row says."""
        for status in self.catalog.source_statuses():
            row = rows.get(status.newest_proven_id)
            if status.newest_proven_id and (row is None or row.proven_at != status.newest_proven_tested_at):
                self.drifted.append(
                    AuditItem(
                        name=status.source,
                        message=f"pages show {status.newest_proven_id} as proven, and the catalog's backups do not",
                        backup_ids=(status.newest_proven_id,),
                        hint="Somebody changed the catalog: find out who, and run `goldcopy restore-test`.",
                    )
                )

    def compare_objects(self, source: str) -> None:
        """Compare what is stored of a source with what its manifests name."""
        stored = {item.key: item for item in self.repository.store.list(source_prefix(source))}
        read = self.repository.read_all(source)
        named = _named_objects(read.manifests)
        for record, backup_ids in named.values():
            self._compare_object(record, backup_ids, stored)
        for manifest in read.manifests:
            key = files_key(source, manifest.backup_id)
            if key not in stored and self.repository.store.stat(key) is None:
                self.missing.append(
                    AuditItem(
                        name=key,
                        message="recover.sh needs it and it is not stored",
                        backup_ids=(manifest.backup_id,),
                    )
                )
        ids = {manifest.backup_id for manifest in read.manifests}
        doubtful = len(read.unreadable)
        self.orphans += self._orphans([item for item in stored.values() if item.key not in named], ids, doubtful)

    def look_around(self, sources: Sequence[str]) -> None:
        """Look at the repository's own files and at what belongs to no source."""
        for finding in self.repository.check_recovery_files():
            place = self.missing if "missing" in finding.message else self.drifted
            place.append(AuditItem(name=finding.object, message=finding.message))
        known = tuple(source_prefix(source) for source in sources)
        for item in self.repository.store.list(""):
            if not item.key.startswith(known) and parse_key(item.key).kind is KeyKind.UNKNOWN:
                self.orphans.append(_stranger(item))

    def _compare_object(
        self, record: ObjectRecord, backup_ids: Sequence[str], stored: Mapping[str, StoredObject]
    ) -> None:
        # A listing may be behind or incomplete: what is not on it is asked for by its key.
        present = stored.get(record.key) or self.repository.store.stat(record.key)
        if present is None:
            self.missing.append(
                AuditItem(
                    name=record.key,
                    message=f"{len(backup_ids)} backups name it and it is not stored",
                    backup_ids=tuple(backup_ids),
                )
            )
        elif present.stored_bytes != record.stored_bytes:
            self.drifted.append(
                AuditItem(
                    name=record.key,
                    message=f"it has {present.stored_bytes} bytes instead of {record.stored_bytes}",
                    stored_bytes=present.stored_bytes,
                    backup_ids=tuple(backup_ids),
                )
            )

    def _orphans(self, items: Sequence[StoredObject], ids: set[str], doubtful: int) -> Iterator[AuditItem]:
        for item in items:
            parsed = parse_key(item.key)
            if parsed.kind is KeyKind.UNKNOWN:
                yield _stranger(item)
            elif parsed.kind is KeyKind.OBJECT or (parsed.kind in _BESIDE and parsed.backup_id not in ids):
                words = "no manifest names it"
                if doubtful:
                    words = f"no manifest that can be read names it; {doubtful} of the source cannot be read"
                elif item.modified_at > self.now - ORPHAN_GRACE:
                    words += " yet; it is younger than a day and may belong to a backup in the making"
                yield AuditItem(name=item.key, message=words, stored_bytes=item.stored_bytes)


def _named_objects(manifests: Sequence[Manifest]) -> dict[str, tuple[ObjectRecord, list[str]]]:
    """Return every object that is named, with the backups that name it."""
    backup_ids: defaultdict[str, list[str]] = defaultdict(list)
    records: dict[str, ObjectRecord] = {}
    for manifest in manifests:
        for record in manifest.objects:
            records[record.key] = record
            backup_ids[record.key].append(manifest.backup_id)
    return {key: (record, backup_ids[key]) for key, record in records.items()}


def _lost_manifest(source: str, backup_id: str) -> AuditItem:
    message = "the catalog says that the backup is complete, and its manifest is not stored"
    return AuditItem(name=manifest_key(source, backup_id), message=message, backup_ids=(backup_id,))


def _stranger(item: StoredObject) -> AuditItem:
    return AuditItem(name=item.key, message="it is not part of the repository format", stored_bytes=item.stored_bytes)
