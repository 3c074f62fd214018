"""What can be done with one configuration: every command and every flow calls one of these."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from importlib.metadata import version
from random import SystemRandom
from typing import Any

from shared.catalog.records import BackupRow
from shared.clock import utc_now
from shared.config.load import load_config
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.health_reason import Reason
from shared.domain.restore_testing import Pick, choose_backup
from shared.domain.source import Source
from shared.errors import BackupUnknown, ConfigInvalid, GoldcopyError, StoreProblem, UsageProblem
from shared.operations.acknowledging import acknowledge
from shared.operations.audit import AuditResult, run_audit
from shared.operations.backup import BackupPlace, BackupRequest, BackupResult, find_earlier_result, run_backup
from shared.operations.cleanup import CleanupResult, run_cleanup
from shared.operations.failed_starts import noting_failed_backup, noting_failed_test
from shared.operations.holds import place_hold, release_hold
from shared.operations.listing import backup_document, shown_backup
from shared.operations.progress import OnProgress, no_progress
from shared.operations.rebuild import RebuildResult, rebuild_catalog
from shared.operations.report import ReportResult
from shared.operations.restore import RestorePlace, RestoreReport, RestoreRequest, run_restore
from shared.operations.restore_testing import RestoreTestPlace, RestoreTestReport, RestoreTestRequest, run_restore_test
from shared.operations.storage import PolicyComparison, StorageView, compare_retention, read_storage
from shared.operations.verify import VerifyResult, run_verify
from shared.operations.watch import WatchReport
from shared.operations.watch_events import noting_refusals
from shared.postgres.checks import load_checks
from shared.postgres.scratch_places import clear_leftovers
from shared.units import format_instant
from shared.wiring.checking import check_everything
from shared.wiring.parts import Parts
from shared.wiring.reporting import read_changes, write_report
from shared.wiring.watching import firing_reasons, incident_documents, watch


@contextmanager
def open_workspace(config_path: str | None = None, run_url: str = "") -> Iterator["Workspace"]:
    """Open what a configuration names; parts are opened when first used and closed at the end.

    Args:
        config_path: The configuration; else what the environment names, else the working folder's.
        run_url: The orchestrator's page of what is done here, for people to find it from a notice.

    Raises:
        ConfigInvalid: The configuration cannot be used.
    """
    workspace = Workspace(Parts(load_config(config_path), run_url))
    try:
        yield workspace
    finally:
        workspace.close()


class Workspace:
    """One configuration's sources, repository and catalog."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.state_folder = parts.config.state_folder
        self.sources: Mapping[str, Source] = parts.config.sources
        self.overall_concurrency = parts.config.file.limits.backups_at_once

    def close(self) -> None:
        """Close what was opened."""
        self._parts.close()

    def due_sources(self, kind: BackupKind, now: datetime) -> list[str]:
        """Name the sources that the standard deployments back up: those without a schedule of their own."""
        del kind, now
        return sorted(name for name, source in self.sources.items() if not source.schedule.own)

    def back_up(
        self,
        source: str,
        kind: BackupKind,
        reason: str = "",
        *,
        may_have_moved: bool = False,
        on_progress: OnProgress = no_progress,
        run_reference: str | None = None,
    ) -> BackupResult:
        """Take one backup; for a `run_reference` that made one already, return that one.

        `may_have_moved` says that another database on another server than before is meant.
        """
        parts, policy = self._parts, self._parts.config.source(source)
        with noting_failed_backup(lambda: parts.catalog, source, kind, reason, run_reference, utc_now):
            request = BackupRequest(
                source=policy,
                address=parts.address(source),
                kind=kind,
                reason=reason,
                may_have_moved=may_have_moved,
                run_reference=run_reference,
            )
            repository = parts.repository_for_writing(utc_now())
            earlier = find_earlier_result(parts.catalog, repository, source, run_reference)
            if earlier is not None:
                return earlier
            clear_leftovers(parts.config.scratch_folder)
            place = BackupPlace(
                repository=repository,
                catalog=parts.catalog,
                toolsets=parts.toolsets,
                recipients=repository.description.recipients,
                scratch_folder=parts.config.scratch_folder,
                upload_threads=parts.config.file.limits.upload_threads,
                tool_version=version("goldcopy"),
            )
        return run_backup(request, place, now=utc_now, on_progress=on_progress)

    def list_backups(self, source: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """Return the rows of backups, newest first; of all, or at most `limit`."""
        if source is not None:
            self._parts.config.source(source)
        return [backup_document(row) for row in self._parts.catalog.backups(source, limit=limit)]

    def count_stored_backups(self, source: str | None = None) -> int:
        """Count what the repository holds, for a catalog that knows nothing; 0 where there is no repository."""
        try:
            return len(self._parts.repository().list_backup_ids(source))
        except (StoreProblem, ConfigInvalid):
            return 0

    def show(self, backup_id: str) -> dict[str, Any]:
        """Return one backup with its restore tests, and whom it is sealed to: None where that cannot be read."""
        row = self._backup(backup_id)
        recipients = None
        with suppress(GoldcopyError):
            recipients = list(self._parts.repository().read_manifest(row.source, row.id).recipients)
        return shown_backup(row, self._parts.catalog) | {"recipients": recipients}

    def run_restore_test(
        self, subject: str | None = None, pick: str = "newest", *, on_progress: OnProgress = no_progress
    ) -> RestoreTestReport:
        """Restore a backup to a scratch server and prove it.

        Args:
            subject: A source, a backup id, or None where there is one source only.
            pick: newest, oldest or random; of a source.
            on_progress: Told of every step.
        """
        source, backup_id = self._subject(subject, Pick(pick))
        parts, picked = self._parts, Pick.NAMED if backup_id == subject else Pick(pick)
        with noting_failed_test(lambda: parts.catalog, source, backup_id, picked.value, utc_now):
            clear_leftovers(parts.config.scratch_folder)
            checks_path = parts.config.checks_path(source)
            request = RestoreTestRequest(
                source=source,
                backup_id=backup_id,
                pick=picked,
                checks=load_checks(checks_path) if checks_path else None,
                jobs=parts.config.file.scratch.jobs,
            )
            place = RestoreTestPlace(
                repository=parts.repository(),
                catalog=parts.catalog,
                toolsets=parts.toolsets,
                identities=parts.identities(),
                scratch_folder=parts.config.scratch_folder,
                scratch_address=parts.scratch_address(),
                tool_version=version("goldcopy"),
            )
        return run_restore_test(request, place, now=utc_now, on_progress=on_progress)

    def verify(self, backup_ids: Sequence[str] | None = None, *, on_progress: OnProgress = no_progress) -> VerifyResult:
        """Read stored bytes again; of all backups when `backup_ids` is None."""
        ids = None if backup_ids is None else [self._backup(backup_id).id for backup_id in backup_ids]
        parts = self._parts
        return run_verify(parts.repository(), parts.catalog, ids, now=utc_now, on_progress=on_progress)

    def clean_up(
        self, source: str | None = None, *, dry_run: bool = False, on_progress: OnProgress = no_progress
    ) -> CleanupResult:
        """Expire what the policy lets go, of one source or of all."""
        with noting_refusals(self._parts.catalog, source, now=utc_now) as refusals:
            result = run_cleanup(
                self._parts.repository(),
                self._parts.catalog,
                self.sources,
                now=utc_now,
                only=None if source is None else [source],
                dry_run=dry_run,
                on_progress=on_progress,
            )
            refusals.extend(() if dry_run else result.findings)
        return result

    def restore(
        self,
        backup_id: str,
        to: str,
        *,
        tables: Sequence[str] = (),
        reason: str = "",
        jobs: int = 1,
        into_source: bool = False,
        into_non_empty: bool = False,
        on_progress: OnProgress = no_progress,
    ) -> RestoreReport:
        """Restore a backup into the database that `to` refers to (`env:NAME`, `file:PATH` or a URL)."""
        parts = self._parts
        row = self._backup(backup_id)
        clear_leftovers(parts.config.scratch_folder)
        request = RestoreRequest(
            source=row.source,
            backup_id=row.id,
            destination=parts.address_of(parts.config.references.text(to, key="--to"), key="--to"),
            source_address=parts.known_address(row.source),
            tables=tuple(tables),
            reason=reason,
            jobs=jobs,
            into_source=into_source,
            into_non_empty=into_non_empty,
        )
        place = RestorePlace(
            repository=parts.repository(),
            catalog=parts.catalog,
            toolsets=parts.toolsets,
            identities=parts.identities(),
            scratch_folder=parts.config.scratch_folder,
        )
        return run_restore(request, place, now=utc_now, on_progress=on_progress)

    def audit(self, *, on_progress: OnProgress = no_progress) -> AuditResult:
        """Compare the repository with the catalog, both ways, and check the audit trail's chain."""
        return run_audit(self._parts.repository(), self._parts.catalog, now=utc_now, on_progress=on_progress)

    def rebuild_catalog(self, *, dry_run: bool = False, on_progress: OnProgress = no_progress) -> RebuildResult:
        """Make the catalog agree with the repository."""
        return rebuild_catalog(
            self._parts.repository(), self._parts.catalog, now=utc_now, on_progress=on_progress, dry_run=dry_run
        )

    def hold(self, backup_id: str, reason: str) -> dict[str, Any]:
        """Place a hold; where the same owner holds the backup already, that hold stays as it is, and is returned."""
        row, now = self._backup(backup_id), utc_now()
        hold = place_hold(self._parts.repository(), self._parts.catalog, row.id, reason=reason, now=now)
        return {
            "backup_id": row.id,
            "held": True,
            "owner": hold.owner,
            "reason": hold.reason,
            "placed_at": format_instant(hold.placed_at),
            "is_new": hold.placed_at == now,
        }

    def release(self, backup_id: str, reason: str) -> dict[str, Any]:
        """End a hold."""
        row = self._backup(backup_id)
        release_hold(self._parts.repository(), self._parts.catalog, row.id, reason=reason, now=utc_now())
        return {"backup_id": row.id, "held": False, "reason": reason}

    def reconcile(self, now: datetime) -> list[str]:
        """Close runs whose process died and clear what they left on disk.

        Returns:
            One line for each.
        """
        parts = self._parts
        closed = [f"{run.operation} of {run.source or 'all sources'}" for run in parts.catalog.reclaim_lost_runs(now)]
        return closed + list(clear_leftovers(parts.config.scratch_folder))

    def check(self, source: str | None = None, *, on_progress: OnProgress = no_progress) -> dict[str, Any]:
        """Preflight of everything the configuration names, or of one source."""
        return check_everything(self._parts, [source] if source else sorted(self.sources), utc_now(), on_progress)

    def report(self, period: str, source: str | None = None, *, to: str | None = None) -> ReportResult:
        """Write the compliance report of a period into a folder of its own, and record that it was made."""
        return write_report(self._parts, period, source, to, utc_now())

    def storage(self, source: str | None = None) -> StorageView:
        """Say what is stored of one source or of all, what it costs, and how it grows."""
        parts = self._parts
        if source is not None:
            parts.config.source(source)
        return read_storage(parts.catalog, self.sources, parts.config.file.prices.prices(), utc_now(), source=source)

    def what_if(self, source: str, keep: Sequence[str]) -> PolicyComparison:
        """Put a source's retention and a changed one (`daily=14d`, ...) side by side; nothing is changed."""
        parts = self._parts
        policy, prices = parts.config.source(source), parts.config.file.prices.prices()
        return compare_retention(parts.catalog, policy, read_changes(keep), prices, utc_now())

    def firing_reasons(self) -> tuple[Reason, ...] | None:
        """Ask whoever fires the schedules whether it is there; None where nobody could be asked."""
        return firing_reasons(self._parts.config)

    def watch(self, system_reasons: Sequence[Reason] | None = None) -> WatchReport:
        """Look at everything once and tell people.

        Args:
            system_reasons: What is wrong with whoever fires schedules; None where nobody asked.
        """
        return watch(self._parts, system_reasons, utc_now)

    def acknowledge(self, subject: str, reason: str, by: str | None = None) -> dict[str, Any]:
        """Say that somebody is at a source, an incident, a reason, the system or an anomaly."""
        catalog = self._parts.catalog
        return acknowledge(catalog, subject, by=by or catalog.actor, reason=reason, now=utc_now()).document()

    def list_incidents(self, source: str | None = None, *, open_only: bool = True) -> dict[str, Any]:
        """Return incidents, newest first."""
        return {"incidents": incident_documents(self._parts, source, open_only=open_only, now=utc_now())}

    def _backup(self, prefix: str) -> BackupRow:
        return self._parts.catalog.find_backup(prefix)

    def _subject(self, subject: str | None, pick: Pick) -> tuple[str, str]:
        """Find the source and the backup that a restore test is about."""
        if subject is None and len(self.sources) != 1:
            raise UsageProblem(
                "which source or backup?", hint=f"Name one of: {', '.join(sorted(self.sources)) or 'none yet'}."
            )
        source = subject or next(iter(self.sources))
        rows = self._parts.catalog.backups(source, statuses=[BackupStatus.COMPLETE])
        if subject is not None and subject not in self.sources and not rows:
            row = self._backup(subject)
            return row.source, row.id
        chosen = choose_backup([row.id for row in reversed(rows)], pick, SystemRandom().choice)
        if chosen is None:
            raise BackupUnknown(f"{source} has no complete backup", hint=f"Take one: goldcopy backup {source}")
        return source, chosen
