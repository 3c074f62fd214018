"""Write what people do in the app; every change carries its audit entry in the same transaction."""

import json
from dataclasses import asdict
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, insert, select, update
from sqlalchemy.exc import IntegrityError

from shared.catalog.app_models import API_KEY, COMMAND, MANUAL_BACKUP, PERSON
from shared.catalog.app_records import CommandRecord, ManualBackup
from shared.catalog.audit_writer import append_entry
from shared.catalog.columns import clean_text
from shared.catalog.connection import Database
from shared.catalog.conversion import simple_record
from shared.catalog.statements import cut, upsert
from shared.domain.person import Role
from shared.errors import UsageProblem

# Beside a command's result: what was asked for, so that its token never answers for anything else.
_DIGEST = "request-sha256"


class AppWriter:
    """Writes people, keys, commands, and backups that were made elsewhere."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def set_person(self, name: str, role: Role, *, is_active: bool, now: datetime, reason: str = "") -> None:
        """Let somebody in with a role, change it, or end their access."""
        values = {"name": name, "role": role.value, "is_active": is_active}
        with self._database.writing() as connection:
            upsert(connection, PERSON, {**values, "changed_at": now, "changed_by": self._actor}, keys=("name",))
            append_entry(
                connection,
                actor=self._actor,
                action="person.set" if is_active else "person.remove",
                object_name=name,
                reason=reason,
                details={"role": role.value, "is_active": is_active},
                now=now,
            )

    def add_api_key(self, name: str, sha256: str, role: Role, *, now: datetime, reason: str = "") -> None:
        """Record a key for programs by its digest.

        Raises:
            UsageProblem: The name is taken.
        """
        values = {"name": name, "sha256": sha256, "role": role.value, "created_at": now, "created_by": self._actor}
        with self._database.writing() as connection:
            if connection.execute(select(API_KEY.c.name).where(API_KEY.c.name == name)).first() is not None:
                raise UsageProblem(f"there is a key {name!r} already", hint="Choose another name.")
            connection.execute(insert(API_KEY).values(**values))
            append_entry(
                connection,
                actor=self._actor,
                action="key.add",
                object_name=name,
                reason=reason,
                details={"role": role.value},
                now=now,
            )

    def revoke_api_key(self, name: str, *, now: datetime, reason: str = "") -> None:
        """End a key.

        Raises:
            UsageProblem: There is no such key in force.
        """
        with self._database.writing() as connection:
            changed = connection.execute(
                update(API_KEY)
                .where(API_KEY.c.name == name, API_KEY.c.revoked_at.is_(None))
                .values(revoked_at=now, revoked_by=self._actor)
            )
            if changed.rowcount != 1:
                raise UsageProblem(f"there is no key {name!r} in force", hint="List them: goldcopy keys list")
            append_entry(connection, actor=self._actor, action="key.revoke", object_name=name, reason=reason, now=now)

    def begin_command(
        self,
        token: str,
        *,
        actor: str,
        action: str,
        object_name: str,
        reason: str = "",
        details: dict[str, Any] | None = None,
        now: datetime,
    ) -> CommandRecord:
        """Record that something was asked for, with its audit entry; for a token that was used, return that command.

        Raises:
            UsageProblem: The token was used for another request.
        """
        values = {"actor": actor, "action": action, "object_name": object_name}
        digest = _digest({"reason": reason, "details": details or {}})
        with self._database.writing() as connection:
            earlier = find_command(connection, token, values, digest)
            if earlier is not None:
                return earlier
            begun = {"token": token, **values, "asked_at": now, "result": {_DIGEST: digest}}
            if not insert_command(connection, begun):
                return require_command(connection, token, values, digest)
            append_entry(
                connection,
                actor=actor,
                action=action,
                object_name=object_name,
                reason=reason,
                details=details,
                now=now,
            )
            return require_command(connection, token, values, digest)

    def finish_command(self, token: str, result: dict[str, Any], now: datetime) -> None:
        """Record what a command came to; asked again it answers with this."""
        with self._database.writing() as connection:
            begun = connection.execute(select(COMMAND.c.result).where(COMMAND.c.token == token)).scalar_one()
            kept = {name: value for name, value in begun.items() if name == _DIGEST}
            connection.execute(
                update(COMMAND).where(COMMAND.c.token == token).values(done_at=now, result={**result, **kept})
            )

    def fail_command(self, token: str, error: str, now: datetime) -> None:
        """Record in the audit trail that a command could not be carried out; its token may be used again."""
        with self._database.writing() as connection:
            row = connection.execute(select(COMMAND).where(COMMAND.c.token == token)).one()
            append_entry(
                connection,
                actor=row.actor,
                action=f"{row.action}.failed",
                object_name=row.object_name,
                reason=error,
                now=now,
            )

    def log_manual_backup(self, token: str, backup: ManualBackup, *, actor: str, now: datetime) -> CommandRecord:
        """Record a backup that was made elsewhere; once per token.

        Raises:
            UsageProblem: The token was used for another request.
        """
        values = {"actor": actor, "action": "backup.log", "object_name": backup.source}
        row = asdict(backup) | {"place": cut(backup.place), "reason": cut(backup.reason)}
        digest = _digest(row)
        with self._database.writing() as connection:
            earlier = find_command(connection, token, values, digest)
            if earlier is not None:
                return earlier
            begun = {"token": token, **values, "asked_at": now, "done_at": now, "result": {_DIGEST: digest}}
            if not insert_command(connection, begun):
                return require_command(connection, token, values, digest)
            connection.execute(insert(MANUAL_BACKUP).values(**row, logged_by=actor, logged_at=now))
            details = {"place": row["place"], "stored_bytes": backup.stored_bytes, "taken_at": str(backup.taken_at)}
            append_entry(
                connection,
                actor=actor,
                action="backup.log",
                object_name=backup.source,
                reason=backup.reason,
                details=details,
                now=now,
            )
            return require_command(connection, token, values, digest)


def find_command(connection: Connection, token: str, values: dict[str, str], digest: str = "") -> CommandRecord | None:
    """Return the command with this token, or None.

    Args:
        connection: To the catalog.
        token: Of the command.
        values: Columns that it must have.
        digest: Of all else that was asked for; empty where that is not compared.

    Raises:
        UsageProblem: The token was used for another request.
    """
    row = connection.execute(select(COMMAND).where(COMMAND.c.token == token)).mappings().one_or_none()
    if row is None:
        return None
    result = dict(row["result"])
    asked = result.pop(_DIGEST, digest)
    if (digest and asked != digest) or any(row[name] != clean_text(value) for name, value in values.items()):
        raise UsageProblem(
            "this key was used for another request",
            hint="Repeat exactly what was asked for with it, or send a fresh Idempotency-Key.",
        )
    return simple_record(CommandRecord, {**row, "result": result})


def require_command(connection: Connection, token: str, values: dict[str, str], digest: str = "") -> CommandRecord:
    """Return the command with this token, which is there."""
    found = find_command(connection, token, values, digest)
    assert found is not None
    return found


def _digest(asked: dict[str, Any]) -> str:
    """Return what tells one request from another; nothing can be read from it."""
    return sha256(json.dumps(asked, sort_keys=True, default=str).encode()).hexdigest()


def insert_command(connection: Connection, values: dict[str, Any]) -> bool:
    """Insert; False where another process came first with the same token."""
    try:
        with connection.begin_nested():
            connection.execute(insert(COMMAND).values(**values))
    except IntegrityError:
        return False
    return True
