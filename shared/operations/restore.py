"""Restore a backup for real: everything into an empty database, or chosen tables into any.

Nothing is written before everything that could refuse has been asked: is the backup whole, is the destination empty, is
it the source itself, is it new enough, does it know the extensions. Then one transaction, where Postgres allows it, so
that a restore that fails leaves the destination as it was; then the same proof as in a restore test.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import psycopg

from shared.catalog.engine import Catalog
from shared.clock import monotonic_seconds
from shared.domain.manifest import FileRecord, Manifest
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity, overall_outcome
from shared.domain.role_facts import AppliedRoles
from shared.operations.fetch import fetch_backup, raise_damage
from shared.operations.late_keys import add_late_keys
from shared.operations.progress import OnProgress, PhaseTimer
from shared.operations.proving import (
    Proof,
    Restored,
    prove_restored,
    prove_sequences,
    prove_tables,
)
from shared.operations.restore_plan import RestorePlan, plan_tables, plan_whole, refuse_destination
from shared.operations.restore_testing import FIRST_FILES
from shared.operations.role_proof import apply_roles, run_script
from shared.operations.schema_proof import Tolerance
from shared.postgres.archive import read_toc
from shared.postgres.connection import DatabaseAddress
from shared.postgres.destination import Destination, read_destination
from shared.postgres.owned_folders import owned_folder
from shared.postgres.restore import RestoreOptions, RestoreRun, run_pg_restore, write_use_list
from shared.postgres.restore_messages import Verdict
from shared.postgres.tools import Toolset, choose_client
from shared.repository.repository import Repository
from shared.repository.sealing import Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreRequest:
    """What to restore and where to.

    Attributes:
        source: Name of the backup's source.
        backup_id: Its whole id.
        destination: The database to restore into.
        source_address: How to reach the source, to refuse it as the destination; None where it is not known.
        tables: Chosen tables as `schema.table`; empty for everything.
        reason: A person's words for the audit trail.
        jobs: Parallel jobs; 1 means one transaction, more is faster and leaves a half restore when it fails.
        into_source: Allow the source itself as the destination.
        into_non_empty: Allow a destination that holds something already.
        run_reference: The orchestrator's id of this run, or None.
    """

    source: str
    backup_id: str
    destination: DatabaseAddress
    source_address: DatabaseAddress | None = None
    tables: tuple[str, ...] = ()
    reason: str = ""
    jobs: int = 1
    into_source: bool = False
    into_non_empty: bool = False
    stall_seconds: float = 900.0
    run_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlace:
    """With what a restore is made; backups are unpacked in the scratch folder."""

    repository: Repository
    catalog: Catalog
    toolsets: Sequence[Toolset]
    identities: Sequence[Identity]
    scratch_folder: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreReport:
    """What a restore did and what its proof found; rolled back, the destination is as it was."""

    outcome: Outcome
    backup_id: str
    destination: str
    tables_restored: int
    rows_restored: int
    duration_seconds: float
    is_rolled_back: bool = False
    findings: tuple[Finding, ...] = ()
    not_measured: tuple[NotMeasured, ...] = ()
    phases: dict[str, float] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the result as the command line prints it."""
        return {
            "outcome": self.outcome.value,
            "backup_id": self.backup_id,
            "destination": self.destination,
            "tables_restored": self.tables_restored,
            "rows_restored": self.rows_restored,
            "duration_seconds": self.duration_seconds,
            "is_rolled_back": self.is_rolled_back,
            "findings": [finding.document() for finding in self.findings],
            "not_measured": [item.document() for item in self.not_measured],
            "phases": self.phases,
        }


def run_restore(
    request: RestoreRequest, place: RestorePlace, *, now: Callable[[], datetime], on_progress: OnProgress
) -> RestoreReport:
    """Restore a backup.

    Args:
        request: What and where to.
        place: With what.
        now: Clock, aware UTC.
        on_progress: Told of every step.

    Returns:
        What was restored; its outcome is that of the proof against the manifest.

    Raises:
        RestoreRefused: The destination is not empty, is the source, is too old, or lacks an extension.
        UsageProblem: A chosen table is not in the backup.
        IntegrityProblem: The backup is damaged; nothing was written.
        GoldcopyError: The restore could not be carried out.
    """
    with place.catalog.claimed_run(
        "restore",
        request.source,
        exclusive=request.into_source,
        now=now,
        run_reference=request.run_reference,
        backup_id=request.backup_id,
    ):
        with owned_folder(place.scratch_folder / f"restore-{request.backup_id}-{token_hex(4)}") as folder:
            report = _Restore(request, place, folder, on_progress).run()
        _record(place.catalog, request, report, now())
    return report


def _record(catalog: Catalog, request: RestoreRequest, report: RestoreReport, now: datetime) -> None:
    """Keep in the audit trail what was restored where and why."""
    catalog.append_audit(
        actor=catalog.actor,
        action=f"restore.{report.outcome.value}",
        object_name=request.backup_id,
        reason=request.reason,
        details={
            "destination": report.destination,
            "tables": list(request.tables),
            "tables_restored": report.tables_restored,
            "findings": len(report.findings),
        },
        now=now,
    )


class _Restore:
    """One restore while it runs."""

    def __init__(self, request: RestoreRequest, place: RestorePlace, folder: Path, on_progress: OnProgress) -> None:
        self._request = request
        self._place = place
        self._folder = folder
        self._on_progress = on_progress
        self._timer = PhaseTimer()
        self._phases: dict[str, float] = {}
        self._proof = Proof()
        self._roles = AppliedRoles(is_scratch=False)
        self._is_atomic = False

    def run(self) -> RestoreReport:
        began = monotonic_seconds()
        request = self._request
        manifest = self._place.repository.read_manifest(request.source, request.backup_id)
        destination = read_destination(request.destination)
        refuse_destination(
            destination,
            manifest,
            request.destination,
            source=None if request.into_source else request.source_address,
            must_be_empty=not request.tables and not request.into_non_empty,
        )
        self._fetch(manifest, lambda file: file.path in FIRST_FILES)
        plan = self._plan(manifest, destination)
        self._fetch(manifest, lambda file: file.path not in FIRST_FILES and plan.wants(file.path))
        run = self._write(manifest, destination, plan)
        is_done = self._judge(run)
        if is_done:
            self._proof.findings += add_late_keys(request.destination, plan.late_keys) if plan.late_keys else []
            with self._timer.phase("prove"):
                self._prove(manifest, destination, plan)
        proof = self._proof
        return RestoreReport(
            outcome=overall_outcome(proof.findings, proof.not_measured),
            backup_id=request.backup_id,
            destination=request.destination.label,
            tables_restored=proof.tables_proven,
            rows_restored=proof.rows_proven,
            duration_seconds=round(monotonic_seconds() - began, 3),
            is_rolled_back=not is_done,
            findings=tuple(proof.findings),
            not_measured=tuple(proof.not_measured),
            phases=self._phases | self._timer.durations_seconds(),
        )

    def _fetch(self, manifest: Manifest, is_wanted: Callable[[FileRecord], bool]) -> None:
        fetched = fetch_backup(
            self._place.repository,
            manifest,
            self._place.identities,
            self._folder,
            is_wanted=is_wanted,
            on_progress=self._on_progress,
        )
        for name, seconds in fetched.phases_seconds.items():
            self._phases[name] = round(self._phases.get(name, 0.0) + seconds, 3)
        raise_damage(fetched)

    def _plan(self, manifest: Manifest, destination: Destination) -> RestorePlan:
        toc = read_toc(self._folder / "toc.dat")
        if self._request.tables:
            plan = plan_tables(toc, manifest, self._request.tables, self._request.destination, destination)
        else:
            plan = plan_whole(toc, manifest, self._request.destination, destination)
        self._proof.findings += plan.findings
        return plan

    def _write(self, manifest: Manifest, destination: Destination, plan: RestorePlan) -> RestoreRun:
        request = self._request
        toolset = self._toolset(manifest, destination)
        if not request.tables:
            self._roles, findings = apply_roles(request.destination, self._folder, is_scratch=False)
            self._proof.findings += findings
        # pg_restore 17 and newer begins with a setting that older servers refuse, which would end a single transaction.
        may_be_atomic = not toolset.major >= 17 > destination.major
        self._is_atomic = request.jobs == 1 and may_be_atomic
        if request.jobs == 1 and not may_be_atomic:
            self._note_not_atomic(destination)
        options = RestoreOptions(
            jobs=request.jobs,
            single_transaction=self._is_atomic,
            use_list=write_use_list(self._folder / "use.list", plan.selection.entries),
            no_owner=plan.no_owner,
            no_privileges=plan.no_owner,
            stall_seconds=request.stall_seconds,
        )
        run = run_pg_restore(toolset, self._folder, request.destination, options, on_progress=self._on_progress)
        self._phases |= run.phases_seconds
        return run

    def _toolset(self, manifest: Manifest, destination: Destination) -> Toolset:
        made_by = int(manifest.client_version.split(".")[0])
        return choose_client(self._place.toolsets, max(made_by, destination.major))

    def _judge(self, run: RestoreRun) -> bool:
        """Turn messages into findings; say whether there is something to prove."""
        self._proof.note_messages(run.messages, is_scratch=False)
        bad = [message for message in run.messages if message.verdict in {Verdict.FATAL, Verdict.UNKNOWN}]
        if bad and self._is_atomic:
            self._proof.findings.append(
                Finding(
                    check="restore",
                    severity=Severity.ERROR,
                    object=self._request.destination.label,
                    message="nothing was restored: the transaction was rolled back, the destination is as it was",
                    hint="Mend what the other findings say (often a missing role or right), then restore again.",
                )
            )
            return False
        return True

    def _note_not_atomic(self, destination: Destination) -> None:
        self._proof.findings.append(
            Finding(
                check="restore",
                severity=Severity.INFO,
                object=self._request.destination.label,
                message=f"not one transaction: the dump's tools are newer than the server {destination.version}",
                hint="If it fails, drop the destination and create it anew.",
            )
        )

    def _prove(self, manifest: Manifest, destination: Destination, plan: RestorePlan) -> None:
        restored = Restored(
            toolset=choose_client(self._place.toolsets, destination.major),
            address=self._request.destination,
            manifest=manifest,
            dump_folder=self._folder,
            key=self._place.repository.fingerprint_key,
            toc=plan.toc,
            left_out=plan.selection.left_out,
            tolerance=Tolerance(
                owners=plan.no_owner,
                additions=self._request.into_non_empty,
                versions=destination.major != manifest.server.major,
            ),
            roles=self._roles,
        )
        try:
            if plan.tables is None:
                self._proof.findings += run_script(
                    self._request.destination, self._folder / "settings.sql", "database-settings", self._roles
                )
                prove_restored(restored, self._proof, on_progress=self._on_progress)
            else:
                prove_tables(restored, plan.tables, self._proof, on_progress=self._on_progress)
                sets = [entry for entry in plan.selection.entries if entry.description == "SEQUENCE SET"]
                prove_sequences(restored, self._proof, only={(entry.schema, entry.tag) for entry in sets})
        except psycopg.Error as error:
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            self._proof.not_measured.append(
                NotMeasured(check="prove", object=self._request.destination.label, reason=reason)
            )
