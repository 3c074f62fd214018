"""Holds, and the expiry of backups step by step; the last place that can refuse to expire what must stay.

The steps of one expiry: planned, marked, manifest removed, objects removed, done. Each is recorded after its deed, so
an interrupted cleanup is taken up again where it was; every step may be recorded twice.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from shared.catalog.audit_writer import append_entry
from shared.catalog.connection import Database
from shared.catalog.conversion import cleanup_record, hold_record
from shared.catalog.models import BACKUP, BACKUP_OBJECT, BACKUP_TABLE, CLEANUP_ACTION, HOLD, STORED_OBJECT
from shared.catalog.records import CleanupActionRow, CleanupState, HoldRow, RunRow
from shared.catalog.rollups import refresh_source
from shared.catalog.statements import chunked, lock_source
from shared.catalog.usage import backups_in_use
from shared.catalog.writer import require_backup
from shared.domain.backup import BackupStatus
from shared.errors import RetentionRefused, UsageProblem

_UNFINISHED = [state.value for state in CleanupState if state not in {CleanupState.DONE, CleanupState.DROPPED}]


class CleanupWriter:
    """Writes holds and what becomes of backups that expire."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def place_hold(self, backup_id: str, *, owner: str, reason: str, now: datetime) -> HoldRow:
        """Forbid the expiry of a backup until the hold is released; several owners may hold one backup.

        Returns:
            The hold; where this owner holds the backup already, that one.

        Raises:
            BackupUnknown: There is no such backup.
            RetentionRefused: It is not complete, or its expiry has begun.
        """
        with self._database.writing() as connection:
            backup = _lock_backup(connection, backup_id, now)
            if backup.status != BackupStatus.COMPLETE.value:
                raise RetentionRefused(
                    f"backup {backup_id} is {backup.status} and cannot be held",
                    hint="Only a complete backup can be held; choose another one.",
                )
            held = _holds_in_force(connection, backup_id, owner)
            if held:
                return held[0]
            row = (
                connection.execute(
                    insert(HOLD).values(backup_id=backup_id, owner=owner, reason=reason, placed_at=now).returning(HOLD)
                )
                .mappings()
                .one()
            )
            refresh_source(connection, backup.source, now)
            append_entry(
                connection, actor=owner, action="hold.place", object_name=backup_id, reason=reason, details={}, now=now
            )
        return hold_record(row)

    def release_hold(
        self, backup_id: str, *, released_by: str, reason: str, now: datetime, owner: str | None = None
    ) -> HoldRow:
        """Release the hold on a backup.

        Args:
            backup_id: The backup.
            released_by: Who releases it.
            reason: Why.
            now: Aware instant.
            owner: Whose hold; needed only where several owners hold the backup.

        Raises:
            UsageProblem: No such hold is in force, or several are and no owner is named.
        """
        with self._database.writing() as connection:
            backup = _lock_backup(connection, backup_id, now)
            held = _holds_in_force(connection, backup_id, owner)
            if len(held) != 1:
                raise _unclear_release(backup_id, owner, [row.owner for row in held])
            row = (
                connection.execute(
                    update(HOLD)
                    .where(HOLD.c.id == held[0].id)
                    .values(released_at=now, released_by=released_by, release_reason=reason)
                    .returning(HOLD)
                )
                .mappings()
                .one()
            )
            refresh_source(connection, backup.source, now)
            append_entry(
                connection,
                actor=released_by,
                action="hold.release",
                object_name=backup_id,
                reason=reason,
                details={"owner": held[0].owner, "held_for": held[0].reason},
                now=now,
            )
        return hold_record(row)

    def plan_cleanup(self, planned: Iterable[tuple[str, str]], *, run: RunRow | None, now: datetime) -> None:
        """Record which backups a cleanup is about to expire, as pairs of backup id and reason."""
        with self._database.writing() as connection:
            for backup_id, reason in planned:
                backup = require_backup(connection, backup_id)
                _advance(connection, backup, CleanupState.PLANNED, now, reason=reason, run=run)

    def mark_expiring(self, backup_id: str, reason: str, *, run: RunRow | None, now: datetime) -> CleanupActionRow:
        """Mark a backup as expiring, the first step; from here on nobody may pick, hold or share it.

        Raises:
            BackupUnknown: There is no such backup.
            RetentionRefused: It is held, in use, not complete, or the newest complete or proven one of its source.
        """
        with self._database.writing() as connection:
            backup = _lock_backup(connection, backup_id, now)
            if backup.status != BackupStatus.EXPIRING.value:
                _refuse_precious(connection, backup)
            connection.execute(
                update(BACKUP).where(BACKUP.c.id == backup_id).values(status=BackupStatus.EXPIRING.value)
            )
            action = _advance(connection, backup, CleanupState.MARKED, now, reason=reason, run=run)
            refresh_source(connection, backup.source, now, days=[backup.started_at])
            append_entry(
                connection,
                actor=self._actor,
                action="backup.expire",
                object_name=backup_id,
                reason=reason,
                details={"source": backup.source, "kind": backup.kind},
                now=now,
            )
        return action

    def record_manifest_removed(self, backup_id: str, now: datetime) -> None:
        """Record that the repository no longer has the backup's manifest; which objects it named is still known."""
        with self._database.writing() as connection:
            backup = _lock_backup(connection, backup_id, now)
            _advance(connection, backup, CleanupState.MANIFEST_REMOVED, now)

    def record_objects_removed(self, backup_id: str, keys: Sequence[str], freed_bytes: int, now: datetime) -> None:
        """Record that objects which no other backup names are gone; may be called several times for one backup.

        Args:
            backup_id: The backup that expires.
            keys: Keys of removed objects; those that the catalog links to another backup are kept and stay linked.
            freed_bytes: Bytes freed by this removal, added up over the calls.
            now: Aware instant.
        """
        with self._database.writing() as connection:
            backup = _lock_backup(connection, backup_id, now)
            _advance(connection, backup, CleanupState.OBJECTS_REMOVED, now, freed_bytes=freed_bytes)
            for chunk in chunked(keys):
                _forget_objects(connection, backup_id, chunk)
            refresh_source(connection, backup.source, now)

    def record_expired(self, backup_id: str, now: datetime) -> None:
        """Record that nothing of a backup is left; its row stays as history, its tables' and objects' rows go."""
        with self._database.writing() as connection:
            backup = _lock_backup(connection, backup_id, now)
            connection.execute(update(BACKUP).where(BACKUP.c.id == backup_id).values(status=BackupStatus.EXPIRED.value))
            connection.execute(delete(BACKUP_TABLE).where(BACKUP_TABLE.c.backup_id == backup_id))
            connection.execute(delete(BACKUP_OBJECT).where(BACKUP_OBJECT.c.backup_id == backup_id))
            action = _advance(connection, backup, CleanupState.DONE, now)
            refresh_source(connection, backup.source, now, days=[backup.started_at])
            append_entry(
                connection,
                actor=self._actor,
                action="backup.expired",
                object_name=backup_id,
                reason=action.reason,
                details={"source": backup.source, "freed_bytes": action.freed_bytes},
                now=now,
            )


def _lock_backup(connection: Connection, backup_id: str, now: datetime) -> Any:
    lock_source(connection, require_backup(connection, backup_id).source, now)
    # Read again: what it was before the lock may have changed while waiting.
    return require_backup(connection, backup_id)


def _holds_in_force(connection: Connection, backup_id: str, owner: str | None = None) -> list[HoldRow]:
    by_owner = [HOLD.c.owner == owner] if owner is not None else []
    query = select(HOLD).where(HOLD.c.backup_id == backup_id, HOLD.c.released_at.is_(None), *by_owner)
    return [hold_record(row) for row in connection.execute(query.order_by(HOLD.c.id)).mappings()]


def _unclear_release(backup_id: str, owner: str | None, owners: Sequence[str]) -> UsageProblem:
    if owners:
        names = ", ".join(owners)
        return UsageProblem(f"backup {backup_id} is held by {names}", hint="Name the owner whose hold is released.")
    whose = f" by {owner}" if owner else ""
    return UsageProblem(f"backup {backup_id} is not held{whose}", hint="List holds with `goldcopy backups`.")


def _refuse_precious(connection: Connection, backup: Any) -> None:
    """Raise where expiring a backup would break an invariant, whatever the retention plan said."""
    problem = ""
    if backup.status != BackupStatus.COMPLETE.value:
        problem = f"it is {backup.status}"
    elif held := _holds_in_force(connection, backup.id):
        problem = f"{held[0].owner} holds it: {held[0].reason}"
    elif backup.id in backups_in_use(connection):
        problem = "a restore or a restore test reads it now"
    elif backup.id in _newest(connection, backup.source):
        problem = f"it is the newest complete or the newest proven backup of {backup.source}"
    if problem:
        raise RetentionRefused(
            f"backup {backup.id} cannot expire: {problem}",
            hint="Nothing was removed; plan the cleanup again, from the present state of the catalog.",
        )


def _newest(connection: Connection, source: str) -> set[str]:
    """Return the ids of the newest backup in every sense of the word, so that a doubt keeps one more."""
    complete = (BACKUP.c.source == source, BACKUP.c.status == BackupStatus.COMPLETE.value)
    sound, proven = BACKUP.c.damaged_at.is_(None), BACKUP.c.proven_at.is_not(None)
    found: set[str] = set()
    for wanted in ((), (sound,), (proven,), (sound, proven)):
        newest = select(BACKUP.c.id).where(*complete, *wanted).order_by(BACKUP.c.recovery_point_at.desc())
        found |= set(connection.execute(newest.limit(1)).scalars())
    return found


def _advance(
    connection: Connection,
    backup: Any,
    state: CleanupState,
    now: datetime,
    *,
    reason: str | None = None,
    run: RunRow | None = None,
    freed_bytes: int = 0,
) -> CleanupActionRow:
    """Move the backup's unfinished action to a state, or make one; never back."""
    open_action = connection.execute(
        select(CLEANUP_ACTION)
        .where(CLEANUP_ACTION.c.backup_id == backup.id, CLEANUP_ACTION.c.state.in_(_UNFINISHED))
        .order_by(CLEANUP_ACTION.c.id)
        .limit(1)
    ).one_or_none()
    order = list(CleanupState)
    if open_action is None:
        values = {
            "run_id": run.id if run else None,
            "backup_id": backup.id,
            "source": backup.source,
            "reason": reason or "",
            "state": state.value,
            "freed_bytes": freed_bytes,
            "planned_at": now,
            "updated_at": now,
        }
        created = insert(CLEANUP_ACTION).values(values).returning(CLEANUP_ACTION)
        return cleanup_record(connection.execute(created).mappings().one())
    further = max(order.index(CleanupState(open_action.state)), order.index(state))
    changed: dict[str, Any] = {
        "state": order[further].value,
        "freed_bytes": open_action.freed_bytes + freed_bytes,
        "updated_at": now,
    }
    changed |= {"run_id": run.id} if run else {}
    changed |= {"reason": reason} if reason else {}
    moved = (
        update(CLEANUP_ACTION).where(CLEANUP_ACTION.c.id == open_action.id).values(changed).returning(CLEANUP_ACTION)
    )
    return cleanup_record(connection.execute(moved).mappings().one())


def _forget_objects(connection: Connection, backup_id: str, keys: Sequence[str]) -> None:
    rows = connection.execute(select(STORED_OBJECT.c.id).where(STORED_OBJECT.c.key.in_(keys)))
    ids = list(rows.scalars())
    connection.execute(
        delete(BACKUP_OBJECT).where(BACKUP_OBJECT.c.backup_id == backup_id, BACKUP_OBJECT.c.object_id.in_(ids))
    )
    linked = select(BACKUP_OBJECT.c.object_id).where(BACKUP_OBJECT.c.object_id.in_(ids))
    connection.execute(delete(STORED_OBJECT).where(STORED_OBJECT.c.id.in_(ids), STORED_OBJECT.c.id.not_in(linked)))
