"""Expire what retention lets go, in the order that is safe to interrupt anywhere.

For each backup: the catalog marks it (and is the last that can refuse), its manifest goes, then its evidence and the
objects that no other manifest names, then the catalog records the end. All of it happens while this run holds the
source, so no backup can begin to share an object that is about to go. A run that dies leaves the mark: the next one
finishes what it finds.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.catalog.engine import Catalog
from shared.catalog.records import RunRow
from shared.domain.proof import Finding, Severity
from shared.domain.retention import Decision
from shared.domain.source import Source
from shared.errors import RetentionRefused, RunConflict, UsageProblem
from shared.operations.cleanup_plan import ORPHAN_GRACE, Expiry, SourcePlan, plan_source, view_source
from shared.operations.progress import OnProgress, no_progress
from shared.repository.repository import Repository
from shared.repository.store import StoredObject
from shared.units import format_instant

# A hold or a restore that begins between plan and deed makes the catalog refuse; the source is then planned again.
_PLANS_PER_SOURCE = 5
DELETE_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredBackup:
    """One backup that went, or would go."""

    backup_id: str
    source: str
    reason: str
    freed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanupResult:
    """What a cleanup did, or in a dry run would do.

    Attributes:
        kept: Existing backups that stay, newest first, with their reasons.
        expired: Backups that went, in the order in which they did.
        freed_bytes: What the store lost: objects, manifests, evidence and orphans.
        orphans_removed: Stored objects that no manifest named.
        orphan_bytes: Their part of `freed_bytes`.
        findings: What an operator should see; an error kept a whole source from being cleaned up.
        dry_run: Whether nothing was done.
    """

    kept: tuple[Decision, ...]
    expired: tuple[ExpiredBackup, ...]
    freed_bytes: int
    orphans_removed: int
    orphan_bytes: int
    findings: tuple[Finding, ...]
    dry_run: bool

    def document(self) -> dict[str, Any]:
        """Return the result in JSON's own types."""
        return {
            "kept": [_kept_document(decision) for decision in self.kept],
            "expired": [
                {
                    "backup_id": item.backup_id,
                    "source": item.source,
                    "reason": item.reason,
                    "freed_bytes": item.freed_bytes,
                }
                for item in self.expired
            ],
            "freed_bytes": self.freed_bytes,
            "orphans_removed": self.orphans_removed,
            "orphan_bytes": self.orphan_bytes,
            "findings": [finding.document() for finding in self.findings],
            "dry_run": self.dry_run,
        }


def _kept_document(decision: Decision) -> dict[str, object]:
    backup = decision.backup
    return {
        "backup_id": backup.id,
        "source": backup.source,
        "kind": backup.kind.value if backup.kind else None,
        "recovery_point_at": format_instant(backup.recovery_point_at) if backup.recovery_point_at else None,
        "reason": "; ".join(decision.reasons),
        "reasons": list(decision.reasons),
    }


def plan_cleanup(
    repository: Repository,
    catalog: Catalog,
    sources: Mapping[str, Source],
    now: datetime,
    *,
    only: Collection[str] | None = None,
) -> tuple[SourcePlan, ...]:
    """Plan a cleanup from the present state; nothing is changed.

    Args:
        repository: Where the backups are.
        catalog: What else is known of them.
        sources: The configured sources by name.
        now: Aware instant that ages are counted to.
        only: Names of the sources to look at; all of the repository and the configuration unless given.

    Returns:
        One plan per source, by name.

    Raises:
        UsageProblem: A named source is neither configured nor in the repository.
        StoreProblem: The store cannot be read.
        CatalogProblem: The catalog cannot be read.
    """
    return tuple(
        plan_source(view_source(repository, catalog, source, sources.get(source)), now)
        for source in _names(repository, sources, only)
    )


def run_cleanup(
    repository: Repository,
    catalog: Catalog,
    sources: Mapping[str, Source],
    *,
    now: Callable[[], datetime],
    only: Collection[str] | None = None,
    dry_run: bool = False,
    on_progress: OnProgress = no_progress,
    run_reference: str | None = None,
) -> CleanupResult:
    """Expire what the policy lets go; a dry run computes exactly the same and touches nothing.

    Args:
        repository: Where the backups are.
        catalog: What else is known of them.
        sources: The configured sources by name.
        now: Clock, aware UTC.
        only: Names of the sources to clean up; all of the repository and the configuration unless given.
        dry_run: Plan only.
        on_progress: Told of every expired backup.
        run_reference: The orchestrator's id of this run.

    Returns:
        What was done, or would be.

    Raises:
        UsageProblem: A named source is neither configured nor in the repository.
        RunConflict: Another run holds the one source that was named; of several, a busy one is a finding.
        StoreProblem: The store cannot be read, or refuses to delete; the next cleanup goes on where this one stopped.
        CatalogProblem: The catalog cannot be used.
    """
    names = _names(repository, sources, only)
    if dry_run:
        plans = plan_cleanup(repository, catalog, sources, now(), only=names)
        return _result([(plan, plan.expiries, plan.orphans) for plan in plans], (), dry_run=True)
    done: list[_Done] = []
    busy: list[Finding] = []
    for number, source in enumerate(names):
        on_progress("cleanup", number, len(names))
        try:
            with catalog.claimed_run("cleanup", source, exclusive=True, now=now, run_reference=run_reference) as run:
                work = _SourceCleanup(repository, catalog, run, now)
                done.append(work.carry_out(source, sources.get(source)))
        except RunConflict as error:
            if len(names) == 1:
                raise
            busy.append(_busy(source, error))
    repository.store.discard_unfinished(before=now() - ORPHAN_GRACE)
    on_progress("cleanup", len(names), len(names))
    return _result(done, busy, dry_run=False)


_Done = tuple[SourcePlan, Sequence[Expiry], Sequence[StoredObject]]


class _SourceCleanup:
    """The cleanup of one source, while its run holds it."""

    def __init__(self, repository: Repository, catalog: Catalog, run: RunRow, now: Callable[[], datetime]) -> None:
        self._repository = repository
        self._catalog = catalog
        self._run = run
        self._now = now

    def carry_out(self, source: str, policy: Source | None) -> _Done:
        """Plan and do; plan again when the catalog refuses a deed because something changed meanwhile."""
        done: list[Expiry] = []
        for attempt in range(1, _PLANS_PER_SOURCE + 1):
            plan = plan_source(view_source(self._repository, self._catalog, source, policy), self._now())
            try:
                for expiry in plan.expiries:
                    self._expire(source, expiry)
                    done.append(expiry)
            except RetentionRefused:
                if attempt == _PLANS_PER_SOURCE:
                    raise
                continue
            self._delete(plan.orphans)
            return plan, done, plan.orphans
        raise AssertionError("unreachable")

    def _expire(self, source: str, expiry: Expiry) -> None:
        backup_id = expiry.backup_id
        if not expiry.is_unfinished:
            self._catalog.mark_expiring(backup_id, expiry.reason, run=self._run, now=self._now())
        self._require_claim(source)
        self._repository.remove_manifest(source, backup_id)
        self._catalog.record_manifest_removed(backup_id, self._now())
        self._delete((*expiry.evidence, *expiry.objects))
        self._catalog.record_objects_removed(backup_id, expiry.keys, expiry.freed_bytes, self._now())
        self._catalog.record_expired(backup_id, self._now())

    def _require_claim(self, source: str) -> None:
        """Stop when another process took this run for dead: it may be making a backup that shares our objects."""
        if not self._catalog.heartbeat(self._run, self._now()):
            raise RunConflict(
                f"the cleanup of {source} was taken for dead and lost its claim",
                hint="Nothing more was removed; run it again when no other run holds the source.",
            )

    def _delete(self, stored: Sequence[StoredObject]) -> None:
        if not stored:
            return
        self._require_claim(self._run.source)
        keys = [item.key for item in stored]
        with ThreadPoolExecutor(DELETE_THREADS, thread_name_prefix="cleanup") as pool:
            list(pool.map(self._repository.store.delete, keys))


def _names(repository: Repository, sources: Mapping[str, Source], only: Collection[str] | None) -> tuple[str, ...]:
    known = {*repository.list_sources(), *sources}
    unknown = sorted(set(only or ()) - known)
    if unknown:
        raise UsageProblem(
            f"there is no source {unknown[0]!r}, neither in the configuration nor in the repository",
            hint=f"Known sources: {', '.join(sorted(known)) or 'none yet'}.",
        )
    return tuple(sorted(known if only is None else only))


def _result(done: Sequence[_Done], busy: Sequence[Finding], *, dry_run: bool) -> CleanupResult:
    orphans = [stored for _, _, removed in done for stored in removed]
    expired = tuple(_expired(done))
    orphan_bytes = sum(stored.stored_bytes for stored in orphans)
    return CleanupResult(
        kept=tuple(decision for plan, _, _ in done for decision in plan.retention.kept if decision.backup.exists),
        expired=expired,
        freed_bytes=sum(item.freed_bytes for item in expired) + orphan_bytes,
        orphans_removed=len(orphans),
        orphan_bytes=orphan_bytes,
        findings=(*(finding for plan, _, _ in done for finding in plan.findings), *busy),
        dry_run=dry_run,
    )


def _expired(done: Sequence[_Done]) -> Iterator[ExpiredBackup]:
    for plan, expiries, _ in done:
        for expiry in expiries:
            yield ExpiredBackup(
                backup_id=expiry.backup_id,
                source=plan.source,
                reason=expiry.reason,
                freed_bytes=expiry.freed_bytes,
            )


def _busy(source: str, error: RunConflict) -> Finding:
    return Finding(check="cleanup", severity=Severity.WARNING, object=source, message=error.message, hint=error.hint)
