"""Record what was found out about backups: restore tests, verify runs, damaged objects."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from shared.catalog.audit_writer import append_entry
from shared.catalog.connection import Database
from shared.catalog.conversion import finding_rows, plain_items
from shared.catalog.models import BACKUP, BACKUP_OBJECT, RESTORE_TEST, RESTORE_TEST_FINDING, STORED_OBJECT, VERIFICATION
from shared.catalog.records import RunRow, VerificationResult
from shared.catalog.rollups import refresh_source
from shared.catalog.statements import chunked, cut, lock_source, upsert
from shared.catalog.usage import require_readable
from shared.catalog.writer import refresh_damage, require_backup
from shared.domain.backup import BackupStatus
from shared.domain.evidence import RestoreTestResult
from shared.domain.proof import Outcome


class EvidenceWriter:
    """Writes what restore tests and verify runs found."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def record_restore_test_started(
        self, *, test_id: str, backup_id: str, picked: str, now: datetime, run: RunRow | None = None
    ) -> None:
        """Record that a restore test has begun; until it ends its backup is in use.

        Raises:
            BackupUnknown: The catalog has no such backup, or it is expiring or gone.
        """
        with self._database.writing() as connection:
            backup = require_backup(connection, backup_id)
            lock_source(connection, backup.source, now)
            require_readable(connection, backup_id)
            values = {
                "id": test_id,
                "backup_id": backup_id,
                "source": backup.source,
                "picked": picked,
                "started_at": now,
                "run_id": run.id if run else None,
            }
            connection.execute(insert(RESTORE_TEST).values(values))

    def record_restore_test(self, result: RestoreTestResult, now: datetime) -> None:
        """Record how a restore test ended, and with it whether its backup counts as proven.

        Passed makes it proven at the test's end. Failed takes an older proof away: what failed its newest test is not
        known to be good. Not measured changes nothing. Tests are judged in the order in which they ended.

        Raises:
            BackupUnknown: The catalog has no such backup.
        """
        with self._database.writing() as connection:
            source = require_backup(connection, result.backup_id).source
            lock_source(connection, source, now)
            write_test(connection, result, source)
            settle_proof(connection, result.backup_id)
            refresh_source(connection, source, now)
            append_entry(
                connection,
                actor=self._actor,
                action=f"restore-test.{result.outcome.value}",
                object_name=result.backup_id,
                details={
                    "restore_test": result.id,
                    "source": source,
                    "tables_proven": result.tables_proven,
                    "rows_proven": result.rows_proven,
                    "findings": len(result.findings),
                    "not_measured": len(result.not_measured),
                },
                now=now,
            )

    def record_verification(self, result: VerificationResult, now: datetime) -> int:
        """Record a verify run and return its number.

        Record one per source: a result without a source is kept, but is not part of any source's status.
        """
        values = {
            "source": result.source,
            "backup_id": result.backup_id,
            "outcome": result.outcome.value,
            "started_at": result.started_at,
            "finished_at": result.finished_at,
            "objects_checked": result.objects_checked,
            "bytes_checked": result.bytes_checked,
            "findings": plain_items(result.findings),
            "not_measured": plain_items(result.not_measured),
        }
        with self._database.writing() as connection:
            if result.source:
                lock_source(connection, result.source, now)
            number: int = connection.execute(
                insert(VERIFICATION).values(values).returning(VERIFICATION.c.id)
            ).scalar_one()
            if result.source:
                refresh_source(connection, result.source, now)
            append_entry(
                connection,
                actor=self._actor,
                action=f"verify.{result.outcome.value}",
                object_name=result.backup_id or result.source,
                details={"objects_checked": result.objects_checked, "findings": len(result.findings)},
                now=now,
            )
        return number

    def mark_object_damaged(self, key: str, reason: str, now: datetime) -> tuple[str, ...]:
        """Record that a stored object is missing or damaged: it is never shared again, and its backups are damaged.

        Returns:
            Ids of the backups that name it; empty where the catalog does not know the object.
        """
        return self._judge_object(key, now, damaged_at=now, damage=cut(reason))

    def mark_object_sound(self, key: str, now: datetime) -> tuple[str, ...]:
        """Record that an object that was damaged is whole again, and return the ids of its backups."""
        return self._judge_object(key, now, damaged_at=None, damage="")

    def mark_manifest_damaged(self, backup_id: str, reason: str, now: datetime) -> bool:
        """Record that a complete backup's manifest is missing or is not what was written: the backup is damaged.

        Returns:
            Whether it counts as damaged now; not where the backup is not complete, or no longer.
        """
        return self._judge_manifest(backup_id, now, damaged_at=now, damage=cut(reason))

    def mark_manifest_sound(self, backup_id: str, now: datetime) -> None:
        """Record that a manifest that was damaged is whole again; damaged objects keep their backup damaged."""
        self._judge_manifest(backup_id, now, damaged_at=None, damage="")

    def _judge_manifest(self, backup_id: str, now: datetime, *, damaged_at: datetime | None, damage: str) -> bool:
        with self._database.writing() as connection:
            source = require_backup(connection, backup_id).source
            lock_source(connection, source, now)
            row = require_backup(connection, backup_id)
            if row.status != BackupStatus.COMPLETE.value:
                return False
            # Known damage keeps its first instant, and a second look at it is no news.
            if (row.manifest_damaged_at is None) == (damaged_at is None):
                return damaged_at is not None
            connection.execute(update(BACKUP).where(BACKUP.c.id == backup_id).values(manifest_damaged_at=damaged_at))
            refresh_damage(connection, [backup_id])
            refresh_source(connection, source, now)
            append_entry(
                connection,
                actor=self._actor,
                action="manifest.damaged" if damaged_at else "manifest.sound",
                object_name=backup_id,
                reason=damage,
                details={"source": source},
                now=now,
            )
        return damaged_at is not None

    def _judge_object(self, key: str, now: datetime, *, damaged_at: datetime | None, damage: str) -> tuple[str, ...]:
        with self._database.writing() as connection:
            row = connection.execute(select(STORED_OBJECT).where(STORED_OBJECT.c.key == key)).one_or_none()
            # Known damage keeps its first instant, and a second look at it is no news.
            if row is None or (row.damaged_at is None) == (damaged_at is None):
                return _backups_of(connection, row.id) if row else ()
            lock_source(connection, row.source, now)
            connection.execute(
                update(STORED_OBJECT).where(STORED_OBJECT.c.id == row.id).values(damaged_at=damaged_at, damage=damage)
            )
            backups = _backups_of(connection, row.id)
            if damaged_at is None:
                refresh_damage(connection, backups)
            else:
                _spread_damage(connection, backups, damaged_at)
            refresh_source(connection, row.source, now)
            append_entry(
                connection,
                actor=self._actor,
                action="object.damaged" if damaged_at else "object.sound",
                object_name=key,
                reason=damage,
                details={"source": row.source, "backups": list(backups[-10:]), "backup_count": len(backups)},
                now=now,
            )
        return backups


def _backups_of(connection: Connection, object_id: int) -> tuple[str, ...]:
    rows = connection.execute(select(BACKUP_OBJECT.c.backup_id).where(BACKUP_OBJECT.c.object_id == object_id))
    return tuple(sorted(rows.scalars()))


def _spread_damage(connection: Connection, backup_ids: Sequence[str], damaged_at: datetime) -> None:
    for chunk in chunked(backup_ids):
        sound = (BACKUP.c.id.in_(chunk), BACKUP.c.damaged_at.is_(None))
        connection.execute(update(BACKUP).where(*sound).values(damaged_at=damaged_at))


def write_test(connection: Connection, result: RestoreTestResult, source: str) -> None:
    """Write a restore test and its findings, whatever was known of it before."""
    values = {
        "id": result.id,
        "backup_id": result.backup_id,
        "source": source,
        "picked": result.picked,
        "outcome": result.outcome.value,
        "started_at": result.started_at,
        "finished_at": result.finished_at,
        "phases": dict(result.phases),
        "recovery_time_seconds": result.recovery_time_seconds,
        "tables_proven": result.tables_proven,
        "rows_proven": result.rows_proven,
        "source_version": result.source_version,
        "scratch_version": result.scratch_version,
        "tool_version": result.tool_version,
    }
    # Not the whole row: the run that was noted at the start stays.
    upsert(connection, RESTORE_TEST, values, keys=("id",))
    connection.execute(delete(RESTORE_TEST_FINDING).where(RESTORE_TEST_FINDING.c.restore_test_id == result.id))
    rows = [
        {
            "restore_test_id": result.id,
            "ordinal": ordinal,
            **row,
            "message": cut(row["message"]),
            "hint": cut(row["hint"]),
        }
        for ordinal, row in enumerate(finding_rows(result.findings, result.not_measured))
    ]
    for chunk in chunked(rows):
        connection.execute(insert(RESTORE_TEST_FINDING), list(chunk))


def settle_proof(connection: Connection, backup_id: str) -> None:
    """Let a backup know whether its newest decisive restore test passed."""
    last = connection.execute(
        select(RESTORE_TEST.c.outcome, RESTORE_TEST.c.finished_at)
        .where(
            RESTORE_TEST.c.backup_id == backup_id,
            RESTORE_TEST.c.outcome.in_([Outcome.PASSED.value, Outcome.FAILED.value]),
        )
        .order_by(RESTORE_TEST.c.finished_at.desc(), RESTORE_TEST.c.id.desc())
        .limit(1)
    ).one_or_none()
    passed = last is not None and last.outcome == Outcome.PASSED.value
    connection.execute(
        update(BACKUP)
        .where(BACKUP.c.id == backup_id)
        .values(proven_at=last.finished_at if last and passed else None, test_outcome=last.outcome if last else "")
    )
