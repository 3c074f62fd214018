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
    IntegrityProblem,
    ObjectMissing,
    StoreProblem,
)
from shared.operations.claims_check import check_claims
from shared.operations.progress import OnProgress, no_progress
from shared.operations.verify_findings import (
    RESTORE_COPY,
    is_gap,
    manifest_gone,
    not_read,
    of_error,
    stored_error,
    unbacked,
)
from shared.repository.description import decode_description
from shared.repository.evidence import evidence_keys, read_evidence
from shared.repository.layout import DESCRIPTION_KEY, evidence_prefix, files_key, manifest_key
from shared.repository.manifest_checks import replaced_manifest
from shared.repository.recovery import files_table
from shared.repository.repository import Repository

# Each thread holds one object of at most about 33 MiB.
READ_THREADS = 4
_BATCH = 64


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
        return work.record()


@dataclass(slots=True)
class _Tally:
    """What was found in one source, or in one named backup of it; the repository's own files have the empty name."""

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
        self._tallies: defaultdict[tuple[str, str], _Tally] = defaultdict(_Tally)

    def check(self, backup_ids: Sequence[str] | None) -> None:
        """Check the repository's own files, the manifests, then every object that they name."""
        self._is_named = backup_ids is not None
        self._check_repository()
        named: dict[tuple[str, int, str], _Named] = {}
        for source, backup_id, row in self._chosen(backup_ids):
            self._tally(source, backup_id).backups += 1
            manifest = self._check_manifest(source, backup_id, row)
            self._check_evidence(source, backup_id, row)
            for record in manifest.objects if manifest else ():
                identity = (record.key, record.stored_bytes, record.sha256)
                named.setdefault(identity, _Named(source, record, [])).backup_ids.append(backup_id)
        self._check_objects(list(named.values()))

    def record(self) -> VerifyResult:
        """Record one result per source, or per named backup, in the catalog and return the sum."""
        for (source, backup_id), tally in sorted(self._tallies.items()):
            self._catalog.record_verification(self._verification(source, backup_id, tally), self._now())
        tallies = [tally for _, tally in sorted(self._tallies.items())]
        # An object that two named backups share is found once in each.
        findings = tuple(dict.fromkeys(finding for tally in tallies for finding in tally.findings))
        not_measured = tuple(dict.fromkeys(item for tally in tallies for item in tally.not_measured))
        return VerifyResult(
            outcome=overall_outcome(findings, not_measured),
            backups_checked=sum(tally.backups for tally in tallies),
            objects_checked=sum(tally.objects for tally in tallies),
            bytes_checked=sum(tally.bytes for tally in tallies),
            findings=findings,
            not_measured=not_measured,
            evidence_checked=sum(tally.evidence for tally in tallies),
        )

    def _tally(self, source: str, backup_id: str) -> _Tally:
        """Count what was named apart: a look at one backup says nothing about the others."""
        return self._tallies[source, backup_id if self._is_named else ""]

    def _tallies_of(self, item: _Named) -> list[_Tally]:
        """Return the tallies of all backups that name an object, each once."""
        keys = dict.fromkeys((item.source, backup_id if self._is_named else "") for backup_id in item.backup_ids)
        return [self._tallies[key] for key in keys]

    def _verification(self, source: str, backup_id: str, tally: _Tally) -> VerificationResult:
        return VerificationResult(
            source=source,
            backup_id=backup_id,
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
        tally = self._tallies["", ""]
        try:
            decode_description(self._repository.store.get(DESCRIPTION_KEY), fingerprint_key=self._repository.known_key)
            tally.findings += [
                replace(finding, severity=Severity.ERROR) for finding in self._repository.check_recovery_files()
            ]
        except (IntegrityProblem, ConfigInvalid, ObjectMissing) as error:
            tally.findings.append(of_error("repository", DESCRIPTION_KEY, error))
        except StoreProblem as error:
            tally.not_measured.append(not_read("repository", DESCRIPTION_KEY, error))

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
            self._tallies["", ""].not_measured.append(not_read("repository", "list of backups", error))
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
        tally, key = self._tally(source, backup_id), manifest_key(source, backup_id)
        try:
            data = self._repository.read_manifest_bytes(source, backup_id)
            recorded = row.manifest_sha256 if row else ""
            is_replaced = bool(recorded) and recorded != hashlib.sha256(data).hexdigest()
            if is_replaced:
                self._note_damage(backup_id, replaced_manifest(key), row)
            elif not recorded and self._repository.known_key is None:
                reason = "the catalog has no digest of it and the fingerprint key is not here"
                tally.not_measured.append(NotMeasured(check="manifest", object=key, reason=reason))
            manifest = self._repository.read_manifest(source, backup_id)
            if row is not None and row.damaged_at is not None and not is_replaced:
                self._catalog.mark_manifest_sound(backup_id, self._now())
            self._check_files_table(manifest)
        except ObjectMissing:
            self._note_gone(source, backup_id, row)
        except IntegrityProblem as error:
            self._note_damage(backup_id, of_error("manifest", key, error), row)
        except StoreProblem as error:
            tally.not_measured.append(not_read("manifest", key, error))
        else:
            return manifest
        return None

    def _note_damage(self, backup_id: str, finding: Finding, row: BackupRow | None) -> None:
        """A backup without the manifest that was written cannot be restored: it counts as none from now on."""
        self._tally(parse_backup_id(backup_id).source, backup_id).findings.append(finding)
        if row is not None:
            self._catalog.mark_manifest_damaged(backup_id, finding.message, self._now())

    def _note_gone(self, source: str, backup_id: str, row: BackupRow | None) -> None:
        """Tell a manifest that was lost from one that a cleanup removed while we looked, and from one never made."""
        present = self._row(backup_id)
        if present is not None and present.status is BackupStatus.COMPLETE:
            finding = manifest_gone(manifest_key(source, backup_id))
            self._note_damage(backup_id, finding, present if self._is_there() else None)
        elif self._is_named:
            state = f"the catalog says that it is {row.status}" if row else "the catalog does not know it"
            raise BackupUnknown(
                f"backup {backup_id} is not in the repository, and {state}",
                hint="List backups with `goldcopy backups`.",
            )

    def _is_there(self) -> bool:
        """Whether the repository is still under its name: of one that is gone nothing is damaged."""
        try:
            self._repository.require_same()
        except (StoreProblem, ConfigInvalid):
            return False
        except IntegrityProblem:
            pass  # its description is damaged, and that is a finding of its own
        return True

    def _check_files_table(self, manifest: Manifest) -> None:
        key, table = files_key(manifest.source, manifest.backup_id), files_table(manifest)
        findings = self._tally(manifest.source, manifest.backup_id).findings
        try:
            data = self._repository.store.get(key)
        except ObjectMissing as error:
            findings.append(of_error("files.tsv", key, error))
            return
        if hashlib.sha256(data).hexdigest() != manifest.files_tsv_sha256:
            findings.append(stored_error("files.tsv", key, f"{key} is not what was written", RESTORE_COPY))
        elif data != table:
            findings.append(
                stored_error("files.tsv", key, f"{key} does not list the files of its manifest", RESTORE_COPY)
            )

    def _check_evidence(self, source: str, backup_id: str, row: BackupRow | None) -> None:
        """Check what restore tests and holds left beside the manifest: a rebuilt catalog believes it."""
        tally = self._tally(source, backup_id)
        try:
            keys = evidence_keys(self._repository, source, backup_id).get(backup_id, [])
            read = read_evidence(self._repository, keys)
            if keys and self._repository.known_key is None:
                reason = "its mac cannot be checked: the fingerprint key is not here"
                tally.not_measured.append(
                    NotMeasured(check="evidence", object=evidence_prefix(source, backup_id), reason=reason)
                )
            rows = [row] if row else []
            tally.findings += map(unbacked, check_claims(self._repository, self._catalog, rows, now=self._now()))
        except StoreProblem as error:
            tally.not_measured.append(not_read("evidence", evidence_prefix(source, backup_id), error))
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
                if all(is_gap(problem) for problem in answers):
                    break
        for item in remaining:
            gap = NotMeasured(check="object", object=item.record.key, reason="the store no longer answered")
            for tally in self._tallies_of(item):
                tally.not_measured.append(gap)

    def _read(self, item: _Named) -> StoreProblem | DigestMismatch | None:
        try:
            self._repository.read_object(item.record)
        except (StoreProblem, DigestMismatch) as error:
            return error
        return None

    def _judge(self, item: _Named, problem: StoreProblem | DigestMismatch | None, *, was_damaged: bool) -> None:
        tallies, key = self._tallies_of(item), item.record.key
        if problem is not None and is_gap(problem):
            for tally in tallies:
                tally.not_measured.append(not_read("object", key, problem))
            return
        needed_by = item.backup_ids if problem is None else self._still_there(item)
        if not needed_by:
            return  # a cleanup removed the object together with the last backup that named it
        tallies[0].objects += 1
        tallies[0].bytes += item.record.stored_bytes
        if problem is not None:
            self._catalog.mark_object_damaged(key, problem.message, self._now())
            message = f"{problem.message}; needed by {', '.join(sorted(needed_by, reverse=True))}"
            for tally in tallies:
                tally.findings.append(stored_error("object", key, message, RESTORE_COPY))
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
