"""Read stored bytes again and compare them with what was recorded: objects, manifests, and the way back without us.

Each object is read once, however many backups share it. What is damaged is remembered in the catalog, so that no later
backup shares it, and what was damaged and is whole again is remembered too. What could not be read is not measured;
only what was read can pass.
"""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from typing import Any

from shared.catalog.engine import Catalog
from shared.catalog.records import BackupRow, VerificationResult
from shared.domain.backup import BackupStatus, parse_backup_id
from shared.domain.manifest import Manifest, ObjectRecord
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity, overall_outcome
from shared.errors import (
    BackupUnknown,
    ConfigInvalid,
    DigestMismatch,
    GoldcopyError,
    IntegrityProblem,
    ObjectMissing,
    StoreProblem,
)
from shared.operations.claims_check import UnbackedClaim, check_claims
from shared.operations.progress import OnProgress, no_progress
from shared.repository.description import decode_description
from shared.repository.evidence import evidence_keys, read_evidence
from shared.repository.layout import DESCRIPTION_KEY, evidence_prefix, files_key, manifest_key
from shared.repository.manifest_checks import replaced_manifest
from shared.repository.recovery import files_table
from shared.repository.repository import Repository

# Each thread holds one object of at most about 33 MiB.
READ_THREADS = 4
_BATCH = 64
_RESTORE_COPY = "Put it back from another copy of the repository, or rely on another backup and let this one expire."


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyResult:
    """What verify found.

    Attributes:
        outcome: Passed only when everything was read and everything was right.
        backups_checked: Backups whose manifests were looked at.
        objects_checked: Distinct objects that were read.
        evidence_checked: Files of evidence (restore tests, holds, releases) that were read.
        bytes_checked: Their sealed bytes.
        findings: What is damaged, missing or not what was written.
        not_measured: What could not be read.
    """

    outcome: Outcome
    backups_checked: int
    objects_checked: int
    bytes_checked: int
    findings: tuple[Finding, ...]
    not_measured: tuple[NotMeasured, ...]
    evidence_checked: int = 0

    def document(self) -> dict[str, Any]:
        """Return the result in JSON's own types."""
        return {
            "outcome": self.outcome.value,
            "backups_checked": self.backups_checked,
            "objects_checked": self.objects_checked,
            "bytes_checked": self.bytes_checked,
            "evidence_checked": self.evidence_checked,
            "findings": [finding.document() for finding in self.findings],
            "not_measured": [item.document() for item in self.not_measured],
        }


def run_verify(
    repository: Repository,
    catalog: Catalog,
    backup_ids: Sequence[str] | None,
    *,
    now: Callable[[], datetime],
    on_progress: OnProgress = no_progress,
    run_reference: str | None = None,
) -> VerifyResult:
    """Read the stored bytes of backups again.

    Args:
        repository: Where the backups are.
        catalog: Knows which backups must be there and what their manifests were; remembers damage.
        backup_ids: Whole ids of the backups to read, or None for all.
        now: Clock, aware UTC.
        on_progress: Told of the bytes read.
        run_reference: The orchestrator's id of this run.

    Returns:
        What was found; an unreachable store is not measured, never passed.

    Raises:
        BackupUnknown: Neither the repository nor the catalog has a backup that was named.
        CatalogProblem: The catalog cannot be used.
    """
    one = backup_ids[0] if backup_ids and len(backup_ids) == 1 else ""
    with catalog.claimed_run(
        "verify",
        parse_backup_id(one).source if one else "",
        exclusive=False,
        now=now,
        run_reference=run_reference,
        backup_id=one,
    ):
        work = _Verify(repository, catalog, now, on_progress)
        work.check(backup_ids)
        return work.record(one)


@dataclass(slots=True)
class _Tally:
    """What was found in one source; the repository's own files have the empty name."""

    backups: int = 0
    objects: int = 0
    bytes: int = 0
    evidence: int = 0
    findings: list[Finding] = field(default_factory=list)
    not_measured: list[NotMeasured] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Named:
    """One object and the backups that name it."""

    source: str
    record: ObjectRecord
    backup_ids: list[str]


class _Verify:
    """One verify run."""

    def __init__(
        self, repository: Repository, catalog: Catalog, now: Callable[[], datetime], on_progress: OnProgress
    ) -> None:
        self._repository = repository
        self._catalog = catalog
        self._now = now
        self._on_progress = on_progress
        self._began_at = now()
        self._is_named = False
        self._tallies: defaultdict[str, _Tally] = defaultdict(_Tally)

    def check(self, backup_ids: Sequence[str] | None) -> None:
        """Check the repository's own files, the manifests, then every object that they name."""
        self._is_named = backup_ids is not None
        self._check_repository()
        named: dict[tuple[str, int, str], _Named] = {}
        for source, backup_id, row in self._chosen(backup_ids):
            self._tallies[source].backups += 1
            manifest = self._check_manifest(source, backup_id, row)
            self._check_evidence(source, backup_id, row)
            for record in manifest.objects if manifest else ():
                identity = (record.key, record.stored_bytes, record.sha256)
                named.setdefault(identity, _Named(source, record, [])).backup_ids.append(backup_id)
        self._check_objects(list(named.values()))

    def record(self, one: str) -> VerifyResult:
        """Record one result per source in the catalog and return the sum."""
        tallies = sorted(self._tallies.items())
        for source, tally in tallies:
            if source or tally.findings or tally.not_measured:
                self._catalog.record_verification(self._verification(source, tally, one if source else ""), self._now())
        findings = tuple(finding for _, tally in tallies for finding in tally.findings)
        not_measured = tuple(item for _, tally in tallies for item in tally.not_measured)
        return VerifyResult(
            outcome=overall_outcome(findings, not_measured),
            backups_checked=sum(tally.backups for _, tally in tallies),
            objects_checked=sum(tally.objects for _, tally in tallies),
            bytes_checked=sum(tally.bytes for _, tally in tallies),
            findings=findings,
            not_measured=not_measured,
            evidence_checked=sum(tally.evidence for _, tally in tallies),
        )

    def _verification(self, source: str, tally: _Tally, one: str) -> VerificationResult:
        return VerificationResult(
            source=source,
            backup_id=one,
            outcome=overall_outcome(tally.findings, tally.not_measured),
            started_at=self._began_at,
            finished_at=self._now(),
            objects_checked=tally.objects,
            bytes_checked=tally.bytes,
            findings=tuple(tally.findings),
            not_measured=tuple(tally.not_measured),
        )

    def _check_repository(self) -> None:
        """Check goldcopy.json and the recovery files: a script that was changed would be run in an emergency."""
        tally = self._tallies[""]
        try:
            decode_description(self._repository.store.get(DESCRIPTION_KEY), fingerprint_key=self._repository.known_key)
            tally.findings += [
                replace(finding, severity=Severity.ERROR) for finding in self._repository.check_recovery_files()
            ]
        except (IntegrityProblem, ConfigInvalid, ObjectMissing) as error:
            tally.findings.append(_found("repository", DESCRIPTION_KEY, error))
        except StoreProblem as error:
            tally.not_measured.append(_gap("repository", DESCRIPTION_KEY, error))

    def _chosen(self, backup_ids: Sequence[str] | None) -> Iterator[tuple[str, str, BackupRow | None]]:
        """Yield the backups to check: named ones, or all that the repository lists or the catalog knows."""
        if backup_ids is not None:
            for backup_id in backup_ids:
                yield parse_backup_id(backup_id).source, backup_id, self._row(backup_id)
            return
        rows = {row.id: row for row in self._catalog.backups() if row.status is not BackupStatus.RUNNING}
        ids = {row.id for row in rows.values() if row.status is BackupStatus.COMPLETE}
        try:
            ids |= set(self._repository.list_backup_ids())
        except StoreProblem as error:
            self._tallies[""].not_measured.append(_gap("repository", "list of backups", error))
        for backup_id in sorted(ids):
            row = rows.get(backup_id)
            if row is None or row.status is not BackupStatus.EXPIRING:
                yield parse_backup_id(backup_id).source, backup_id, row

    def _row(self, backup_id: str) -> BackupRow | None:
        try:
            return self._catalog.backup(backup_id)
        except BackupUnknown:
            return None

    def _check_manifest(self, source: str, backup_id: str, row: BackupRow | None) -> Manifest | None:
        """Check a manifest and its files.tsv; return it when it can be trusted enough to look at its objects."""
        tally, key = self._tallies[source], manifest_key(source, backup_id)
        try:
            data = self._repository.read_manifest_bytes(source, backup_id)
            recorded = row.manifest_sha256 if row else ""
            if recorded and recorded != hashlib.sha256(data).hexdigest():
                tally.findings.append(replaced_manifest(key))
            elif not recorded and self._repository.known_key is None:
                reason = "the catalog has no digest of it and the fingerprint key is not here"
                tally.not_measured.append(NotMeasured(check="manifest", object=key, reason=reason))
            manifest = self._repository.read_manifest(source, backup_id)
            self._check_files_table(manifest)
        except ObjectMissing:
            self._note_gone(source, backup_id, row)
        except IntegrityProblem as error:
            tally.findings.append(_found("manifest", key, error))
        except StoreProblem as error:
            tally.not_measured.append(_gap("manifest", key, error))
        else:
            return manifest
        return None

    def _note_gone(self, source: str, backup_id: str, row: BackupRow | None) -> None:
        """Tell a manifest that was lost from one that a cleanup removed while we looked, and from one never made."""
        present = self._row(backup_id)
        if present is not None and present.status is BackupStatus.COMPLETE:
            self._tallies[source].findings.append(_gone(manifest_key(source, backup_id)))
        elif self._is_named:
            state = f"the catalog says that it is {row.status}" if row else "the catalog does not know it"
            raise BackupUnknown(
                f"backup {backup_id} is not in the repository, and {state}",
                hint="List backups with `goldcopy backups`.",
            )

    def _check_files_table(self, manifest: Manifest) -> None:
        key, table = files_key(manifest.source, manifest.backup_id), files_table(manifest)
        findings = self._tallies[manifest.source].findings
        try:
            data = self._repository.store.get(key)
        except ObjectMissing as error:
            findings.append(_found("files.tsv", key, error))
            return
        if hashlib.sha256(data).hexdigest() != manifest.files_tsv_sha256:
            findings.append(_error("files.tsv", key, f"{key} is not what was written", _RESTORE_COPY))
        elif data != table:
            findings.append(_error("files.tsv", key, f"{key} does not list the files of its manifest", _RESTORE_COPY))

    def _check_evidence(self, source: str, backup_id: str, row: BackupRow | None) -> None:
        """Check what restore tests and holds left beside the manifest: a rebuilt catalog believes it."""
        tally = self._tallies[source]
        try:
            keys = evidence_keys(self._repository, source, backup_id).get(backup_id, [])
            read = read_evidence(self._repository, keys)
            if keys and self._repository.known_key is None:
                reason = "its mac cannot be checked: the fingerprint key is not here"
                tally.not_measured.append(
                    NotMeasured(check="evidence", object=evidence_prefix(source, backup_id), reason=reason)
                )
            rows = [row] if row else []
            tally.findings += map(_unbacked, check_claims(self._repository, self._catalog, rows, now=self._now()))
        except StoreProblem as error:
            tally.not_measured.append(_gap("evidence", evidence_prefix(source, backup_id), error))
            return
        tally.findings += read.unreadable
        tally.evidence += len(read.evidence) + len(read.unreadable)

    def _check_objects(self, named: Sequence[_Named]) -> None:
        """Read every object once, a few at a time; stop asking a store that does not answer."""
        total_bytes = sum(item.record.stored_bytes for item in named)
        damaged_before = {source: self._catalog.damaged_keys(source) for source in {item.source for item in named}}
        done_bytes = 0
        remaining = iter(named)
        with ThreadPoolExecutor(READ_THREADS, thread_name_prefix="verify") as pool:
            while batch := list(islice(remaining, _BATCH)):
                answers = list(pool.map(self._read, batch))
                for item, problem in zip(batch, answers, strict=True):
                    self._judge(item, problem, was_damaged=item.record.key in damaged_before[item.source])
                    done_bytes += item.record.stored_bytes
                self._on_progress("verify", done_bytes, total_bytes)
                if all(_is_gap(problem) for problem in answers):
                    break
        for item in remaining:
            self._tallies[item.source].not_measured.append(
                NotMeasured(check="object", object=item.record.key, reason="the store no longer answered")
            )

    def _read(self, item: _Named) -> StoreProblem | DigestMismatch | None:
        try:
            self._repository.read_object(item.record)
        except (StoreProblem, DigestMismatch) as error:
            return error
        return None

    def _judge(self, item: _Named, problem: StoreProblem | DigestMismatch | None, *, was_damaged: bool) -> None:
        tally, key = self._tallies[item.source], item.record.key
        if problem is not None and _is_gap(problem):
            tally.not_measured.append(_gap("object", key, problem))
            return
        needed_by = item.backup_ids if problem is None else self._still_there(item)
        if not needed_by:
            return  # a cleanup removed the object together with the last backup that named it
        tally.objects += 1
        tally.bytes += item.record.stored_bytes
        if problem is not None:
            self._catalog.mark_object_damaged(key, problem.message, self._now())
            message = f"{problem.message}; needed by {', '.join(sorted(needed_by, reverse=True))}"
            tally.findings.append(_error("object", key, message, _RESTORE_COPY))
        elif was_damaged:
            self._catalog.mark_object_sound(key, self._now())

    def _still_there(self, item: _Named) -> list[str]:
        """Return the backups that name an object and were not removed while we looked."""
        stat = self._repository.store.stat
        try:
            return [
                backup_id for backup_id in item.backup_ids if stat(manifest_key(item.source, backup_id)) is not None
            ]
        except StoreProblem:
            return item.backup_ids


def _is_gap(problem: StoreProblem | DigestMismatch | None) -> bool:
    """Whether a problem says nothing about the object: it was not read."""
    return isinstance(problem, StoreProblem) and not isinstance(problem, ObjectMissing)


def _found(check: str, name: str, error: GoldcopyError) -> Finding:
    return _error(check, name, error.message, error.hint)


def _gap(check: str, name: str, error: GoldcopyError) -> NotMeasured:
    return NotMeasured(check=check, object=name, reason=error.message)


def _gone(key: str) -> Finding:
    return _error(
        "manifest",
        key,
        f"{key} is missing although the catalog says that the backup is complete",
        "Put it back from another copy of the repository; if it is lost for good, run `goldcopy rebuild-catalog`.",
    )


def _unbacked(claim: UnbackedClaim) -> Finding:
    """Evidence that is not there says nothing about the stored bytes; evidence that says something else does."""
    return Finding(
        check="evidence",
        severity=Severity.WARNING if claim.is_missing else Severity.ERROR,
        object=evidence_prefix(claim.source, claim.backup_id),
        message=claim.message,
        hint=claim.hint,
    )


def _error(check: str, name: str, message: str, hint: str) -> Finding:
    return Finding(check=check, severity=Severity.ERROR, object=name, message=message, hint=hint)
