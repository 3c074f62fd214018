"""Bring the catalog to what the repository says, without losing what only the catalog knows."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from shared.catalog.audit_writer import append_entry
from shared.catalog.connection import Database
from shared.catalog.evidence_writer import settle_proof, write_test
from shared.catalog.models import BACKUP, HOLD
from shared.catalog.rollups import refresh_source
from shared.catalog.statements import lock_source
from shared.catalog.writer import record_manifest, require_backup
from shared.domain.backup import BackupStatus
from shared.domain.evidence import HoldEvidence, RestoreTestResult
from shared.domain.manifest import Manifest
from shared.errors import ObjectMissing

_GONE = "its manifest is no longer in the repository"


class Reconciliation:
    """Writes what `rebuild-catalog` found; proofs, holds, tests and runs are added to, never taken away."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def import_manifest(self, manifest: Manifest, manifest_sha256: str, now: datetime, *, reason: str) -> None:
        """Write everything that a manifest says into the catalog.

        Args:
            manifest: As read from the repository.
            manifest_sha256: SHA-256 of its stored bytes, hex.
            now: Aware instant.
            reason: What was wrong with the catalog, for the audit trail.
        """
        with self._database.writing() as connection:
            record_manifest(connection, manifest, manifest_sha256, now)
            append_entry(
                connection,
                actor=self._actor,
                action="backup.reconcile",
                object_name=manifest.backup_id,
                reason=reason,
                details={"source": manifest.source, "manifest_sha256": manifest_sha256},
                now=now,
            )

    def import_evidence(
        self,
        backup_id: str,
        tests: Sequence[RestoreTestResult],
        holds: Sequence[HoldEvidence],
        now: datetime,
        *,
        reason: str,
    ) -> None:
        """Write restore tests, holds and releases of a backup that the repository keeps and the catalog lacks.

        Raises:
            BackupUnknown: The catalog has no such backup.
        """
        with self._database.writing() as connection:
            source = require_backup(connection, backup_id).source
            lock_source(connection, source, now)
            for test in tests:
                write_test(connection, test, source)
            if tests:
                settle_proof(connection, backup_id)
            for hold in holds:
                _import_hold(connection, hold)
            refresh_source(connection, source, now)
            append_entry(
                connection,
                actor=self._actor,
                action="backup.evidence",
                object_name=backup_id,
                reason=reason,
                details={"source": source, "restore_tests": [test.id for test in tests], "holds": len(holds)},
                now=now,
            )

    def mark_manifest_gone(self, backup_id: str, now: datetime) -> None:
        """Record that a backup which counted as complete has no manifest any more, so it no longer counts.

        Its row, tests and holds stay; should the manifest come back, `import_manifest` makes it complete again.
        """
        with self._database.writing() as connection:
            backup = require_backup(connection, backup_id)
            lock_source(connection, backup.source, now)
            connection.execute(
                update(BACKUP)
                .where(BACKUP.c.id == backup_id, BACKUP.c.status == BackupStatus.COMPLETE.value)
                .values(status=BackupStatus.FAILED.value, error_code=ObjectMissing.code, error_message=_GONE)
            )
            refresh_source(connection, backup.source, now, days=[backup.started_at])
            append_entry(
                connection,
                actor=self._actor,
                action="backup.gone",
                object_name=backup_id,
                reason=_GONE,
                details={"source": backup.source},
                now=now,
            )


def _import_hold(connection: Connection, hold: HoldEvidence) -> None:
    values = asdict(hold)
    del values["source"]
    same = (HOLD.c.backup_id == hold.backup_id, HOLD.c.owner == hold.owner)
    known = connection.execute(select(HOLD.c.id).where(*same, HOLD.c.placed_at == hold.placed_at)).scalar()
    if known is not None:
        connection.execute(update(HOLD).where(HOLD.c.id == known).values(values))
    else:
        connection.execute(insert(HOLD).values(values))
