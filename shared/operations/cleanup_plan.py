"""What a cleanup of one source would do: what it sees, and the pure decision about it.

The manifests in the repository are the truth about what exists; the catalog adds what only it knows (proofs, tests,
holds, runs, expiries that were begun). Where the two do not fit together, nothing of the source is removed.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.catalog.engine import Catalog
from shared.catalog.records import BackupRow
from shared.domain.backup import BackupStatus
from shared.domain.manifest import Manifest
from shared.domain.proof import Finding, Outcome, Severity
from shared.domain.retention import RetainedBackup, RetentionPlan, plan_retention
from shared.domain.source import Source
from shared.errors import IntegrityProblem, ObjectMissing
from shared.repository.layout import KeyKind, files_key, manifest_key, parse_key, source_prefix
from shared.repository.repository import Repository
from shared.repository.store import StoredObject

# What no manifest names may belong to a backup that is being made by a machine this catalog does not know.
ORPHAN_GRACE = timedelta(hours=24)

PROOFS_UNKNOWN = (
    "which backups are proven is not known since the catalog was rebuilt; a restore test that passes mends this"
)

_EXISTING = {BackupStatus.COMPLETE, BackupStatus.EXPIRING}


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """Everything that decides what a cleanup of one source does.

    Attributes:
        source: Its name.
        policy: The source as configured; None where the configuration does not have it any more.
        stored: What the store lists below the source's prefix, by key.
        manifests: Object keys named by each readable manifest, by backup id.
        backups: What retention has to judge.
        holds: Backup id to the reason of its hold.
        unfinished: Keys that the catalog remembers of each backup whose expiry was begun and whose manifest is gone.
        findings: What does not fit together; an error stops every removal.
    """

    source: str
    policy: Source | None
    stored: Mapping[str, StoredObject]
    manifests: Mapping[str, frozenset[str]]
    backups: tuple[RetainedBackup, ...]
    holds: Mapping[str, str]
    unfinished: Mapping[str, frozenset[str]]
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """One backup that goes, and the stored objects that go with it.

    Attributes:
        backup_id: Which one.
        reason: Why, in plain words.
        is_unfinished: Whether an earlier cleanup removed its manifest already.
        files: Its manifest and its files.tsv, where they are stored.
        keys: What nobody names once this backup and those before it are gone; an interrupted cleanup may have removed
            some of it already.
        objects: Those of them that are stored.
        evidence: What restore tests and holds left beside its manifest.
    """

    backup_id: str
    reason: str
    is_unfinished: bool = False
    files: tuple[StoredObject, ...] = ()
    keys: tuple[str, ...] = ()
    objects: tuple[StoredObject, ...] = ()
    evidence: tuple[StoredObject, ...] = ()

    @property
    def stored(self) -> tuple[StoredObject, ...]:
        """Everything that goes with it."""
        return (*self.files, *self.evidence, *self.objects)

    @property
    def freed_bytes(self) -> int:
        """What removing it frees in the store."""
        return sum(item.stored_bytes for item in self.stored)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """What a cleanup of one source would do, in the order in which it would do it."""

    source: str
    retention: RetentionPlan
    expiries: tuple[Expiry, ...] = ()
    orphans: tuple[StoredObject, ...] = ()
    findings: tuple[Finding, ...] = ()


def view_source(repository: Repository, catalog: Catalog, source: str, policy: Source | None) -> SourceView:
    """Read what decides about one source. Nothing is changed.

    Raises:
        StoreProblem: The store cannot be read; nothing is known then.
        CatalogProblem: The catalog cannot be read.
    """
    # Listed before the manifests are read: what a backup stores meanwhile is not on the list and cannot be removed.
    stored = {item.key: item for item in repository.store.list(source_prefix(source))}
    rows = {row.id: row for row in catalog.backups(source, include_expired=True)}
    manifests, findings = _read_manifests(repository, source, rows)
    doubtful = {parse_key(finding.object).backup_id for finding in findings}
    in_use = catalog.backups_in_use()
    backups = [_judged_by_manifest(manifest, rows.get(manifest.backup_id), in_use) for manifest in manifests.values()]
    backups = doubt_proofs(backups, [rows[backup_id] for backup_id in manifests if backup_id in rows])
    backups += [_unreadable(backup_id, source, rows.get(backup_id)) for backup_id in doubtful]
    backups += [_attempt(row) for row in rows.values() if row.id not in manifests and _is_attempt(row)]
    gone = [
        row.id
        for row in rows.values()
        if row.status is BackupStatus.EXPIRING and row.id not in manifests and row.id not in doubtful
    ]
    return SourceView(
        source=source,
        policy=policy,
        stored=stored,
        manifests={key: frozenset(item.key for item in manifest.objects) for key, manifest in manifests.items()},
        backups=tuple(backups),
        holds={hold.backup_id: f"{hold.reason} ({hold.owner})" for hold in catalog.holds_in_force()},
        unfinished={backup_id: frozenset(item.key for item in catalog.objects(backup_id)) for backup_id in gone},
        findings=findings,
    )


def plan_source(view: SourceView, now: datetime) -> SourcePlan:
    """Decide what a cleanup of one source removes; pure.

    Args:
        view: What was read.
        now: Aware instant that ages are counted to.

    Returns:
        The plan; oldest backups go first, so that an interruption leaves the newest.
    """
    rules = view.policy.retention if view.policy else {}
    retention = plan_retention(view.backups, rules, view.holds, now)
    findings = (*view.findings, *_remarks(view))
    if any(finding.severity is Severity.ERROR for finding in view.findings):
        # What a manifest that cannot be trusted names is not known, so every object of the source may be needed.
        return SourcePlan(source=view.source, retention=retention, findings=findings)
    oldest_first = [(item.backup.id, "; ".join(item.reasons)) for item in reversed(retention.expired)]
    needed = Counter(key for keys in view.manifests.values() for key in keys)
    expiries = [*_finish(view, needed), *_expire(view, oldest_first, needed)]
    going = {item.key for expiry in expiries for item in expiry.stored}
    orphans = _orphans(view, needed, going, now) if view.policy else ()
    return SourcePlan(
        source=view.source, retention=retention, expiries=tuple(expiries), orphans=orphans, findings=findings
    )


def _read_manifests(
    repository: Repository, source: str, rows: Mapping[str, BackupRow]
) -> tuple[dict[str, Manifest], tuple[Finding, ...]]:
    """Read all manifests of a source, also those that a listing left out, and find those that cannot be trusted."""
    read = repository.read_all(source)
    manifests = {manifest.backup_id: manifest for manifest in read.manifests}
    findings = list(read.unreadable)
    doubtful = {finding.object for finding in findings}
    for row in rows.values():
        key = manifest_key(source, row.id)
        if row.status not in _EXISTING or row.id in manifests or key in doubtful:
            continue
        try:  # a listing may be incomplete; what the catalog knows is asked for by name
            manifests[row.id] = repository.read_manifest(source, row.id)
        except ObjectMissing:
            if row.status is BackupStatus.COMPLETE:
                findings.append(_missing(key))
        except IntegrityProblem as error:
            findings.append(_finding(key, error.message, error.hint))
    for backup_id in list(manifests):
        recorded = rows[backup_id].manifest_sha256 if backup_id in rows else ""
        if recorded and recorded != repository.digest_of(manifests[backup_id]):
            del manifests[backup_id]
            findings.append(_replaced(manifest_key(source, backup_id)))
    return manifests, tuple(findings)


def _judged_by_manifest(manifest: Manifest, row: BackupRow | None, in_use: frozenset[str]) -> RetainedBackup:
    unknown = ""
    if row is None:
        unknown = "the catalog does not know it, so its proofs and holds are not known either"
    elif row.status not in _EXISTING:
        unknown = f"the catalog says that it {_status_words(row.status)}, and yet its manifest is stored"
    return RetainedBackup(
        id=manifest.backup_id,
        source=manifest.source,
        kind=manifest.kind,
        recovery_point_at=manifest.recovery_point_at,
        proven_at=row.proven_at if row else None,
        is_test_failed=row is not None and row.test_outcome is Outcome.FAILED,
        is_damaged=row is not None and row.damaged_at is not None,
        is_in_use=manifest.backup_id in in_use,
        is_expiring=row is not None and row.status is BackupStatus.EXPIRING,
        unknown=unknown,
    )


def doubt_proofs(backups: list[RetainedBackup], rows: Sequence[BackupRow]) -> list[RetainedBackup]:
    """Keep everything of a source that was imported and of which nothing is proven: what was, may not be known here."""
    if any(row.proven_at for row in rows) or all(row.run_id is not None for row in rows):
        return backups
    # An expiry that had begun was decided when proofs were known, and half a backup is of no use.
    return [
        backup if backup.unknown or backup.is_expiring else replace(backup, unknown=PROOFS_UNKNOWN)
        for backup in backups
    ]


def _status_words(status: BackupStatus) -> str:
    return {BackupStatus.RUNNING: "is running", BackupStatus.FAILED: "failed", BackupStatus.EXPIRED: "expired"}.get(
        status, f"is {status}"
    )


def _unreadable(backup_id: str, source: str, row: BackupRow | None) -> RetainedBackup:
    return RetainedBackup(
        id=backup_id,
        source=source,
        kind=row.kind if row else None,
        recovery_point_at=row.recovery_point_at if row else None,
        is_unreadable=True,
    )


def _is_attempt(row: BackupRow) -> bool:
    return row.status in {BackupStatus.FAILED, BackupStatus.RUNNING}


def _attempt(row: BackupRow) -> RetainedBackup:
    return RetainedBackup(
        id=row.id, source=row.source, kind=row.kind, recovery_point_at=row.started_at, state=row.status
    )


def _finish(view: SourceView, needed: Counter[str]) -> Iterator[Expiry]:
    """Yield what an interrupted cleanup left undone: the objects of backups whose manifest is gone already."""
    evidence = _evidence_by_backup(view)
    for backup_id, known in sorted(view.unfinished.items()):
        keys = tuple(key for key in sorted(known) if not needed[key])
        yield Expiry(
            backup_id=backup_id,
            reason="an interrupted cleanup is finished",
            is_unfinished=True,
            files=_stored(view, [files_key(view.source, backup_id)]),
            keys=keys,
            objects=_stored(view, keys),
            evidence=evidence[backup_id],
        )


def _expire(view: SourceView, oldest_first: Sequence[tuple[str, str]], needed: Counter[str]) -> Iterator[Expiry]:
    """Yield the backups that expire; an object goes with the last one that names it."""
    evidence = _evidence_by_backup(view)
    for backup_id, reason in oldest_first:
        needed.subtract(view.manifests[backup_id])
        keys = tuple(key for key in sorted(view.manifests[backup_id]) if needed[key] <= 0)
        yield Expiry(
            backup_id=backup_id,
            reason=reason,
            files=_stored(view, [manifest_key(view.source, backup_id), files_key(view.source, backup_id)]),
            keys=keys,
            objects=_stored(view, keys),
            evidence=evidence[backup_id],
        )


def _evidence_by_backup(view: SourceView) -> defaultdict[str, tuple[StoredObject, ...]]:
    found: defaultdict[str, tuple[StoredObject, ...]] = defaultdict(tuple)
    for key in sorted(key for key in view.stored if "/evidence/" in key):  # a source has far more objects
        parsed = parse_key(key)
        if parsed.kind is KeyKind.EVIDENCE:
            found[parsed.backup_id] += (view.stored[key],)
    return found


def _stored(view: SourceView, keys: Sequence[str]) -> tuple[StoredObject, ...]:
    return tuple(view.stored[key] for key in keys if key in view.stored)


def _orphans(view: SourceView, needed: Counter[str], going: set[str], now: datetime) -> tuple[StoredObject, ...]:
    """Return what no manifest names and what is too old to belong to a backup in the making."""
    return tuple(
        item
        for key, item in sorted(view.stored.items())
        if key not in going
        and _may_be_orphan(view, key)
        and needed[key] <= 0
        and item.modified_at <= now - ORPHAN_GRACE
    )


def _may_be_orphan(view: SourceView, key: str) -> bool:
    parsed = parse_key(key)
    beside = parsed.kind in {KeyKind.FILES, KeyKind.EVIDENCE}
    return parsed.kind is KeyKind.OBJECT or (beside and parsed.backup_id not in view.manifests)


def _remarks(view: SourceView) -> Iterator[Finding]:
    """Yield what an operator should know although it stops nothing."""
    if view.policy is None and view.manifests:
        yield _finding(
            view.source,
            f"{view.source} is not in the configuration, so nothing says how long its {len(view.manifests)} backups "
            "are kept; they all stay",
            f"Add [sources.{view.source}] with its retention, or remove its backups by hand when nobody needs them.",
            severity=Severity.WARNING,
        )
    for backup in view.backups:
        if backup.unknown and backup.unknown != PROOFS_UNKNOWN:
            yield _finding(
                backup.id,
                f"{backup.id} stays: {backup.unknown}",
                "Run `goldcopy rebuild-catalog`.",
                severity=Severity.WARNING,
            )
    doubted = sum(1 for backup in view.backups if backup.unknown == PROOFS_UNKNOWN)
    if doubted:
        yield _finding(
            view.source,
            f"{doubted} backups of {view.source} stay: {PROOFS_UNKNOWN}",
            f"Run `goldcopy restore-test {view.source}`.",
            severity=Severity.WARNING,
        )
    strange = [key for key in view.stored if parse_key(key).kind is KeyKind.UNKNOWN]
    if strange:
        yield _finding(
            strange[0],
            f"{len(strange)} stored objects of {view.source} are not part of the repository format; they stay",
            "See who put them there.",
            severity=Severity.WARNING,
        )


def _missing(key: str) -> Finding:
    return _finding(
        key,
        f"{key} is missing although the catalog says that the backup is complete; nothing of its source is removed",
        "Put the manifest back from another copy of the repository; if it is lost for good, run "
        "`goldcopy rebuild-catalog` to accept that.",
    )


def _replaced(key: str) -> Finding:
    return _finding(
        key,
        f"{key} is not the manifest that was written: its digest differs from the catalog's; nothing of its source is "
        "removed",
        "Put the right manifest back from another copy of the repository, and see who replaced it.",
    )


def _finding(name: str, message: str, hint: str, *, severity: Severity = Severity.ERROR) -> Finding:
    return Finding(check="cleanup", severity=severity, object=name, message=message, hint=hint)
