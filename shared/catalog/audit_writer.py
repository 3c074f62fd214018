"""Append to the audit trail, inside the transaction that records the fact."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select

from shared.catalog.audit_chain import next_entry
from shared.catalog.connection import lock_name_space
from shared.catalog.conversion import audit_record
from shared.catalog.models import AUDIT_ENTRY
from shared.catalog.records import AuditRow
from shared.catalog.statements import cut

_LOCK_NUMBER = 0x601D_A0D1


def append_entry(
    connection: Connection,
    *,
    actor: str,
    action: str,
    object_name: str,
    reason: str = "",
    details: dict[str, Any] | None = None,
    now: datetime,
) -> AuditRow:
    """Append one entry. Make it the transaction's last statement: it keeps other writers waiting until the commit."""
    lock_name_space(connection, _LOCK_NUMBER)
    last = connection.execute(select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq.desc()).limit(1)).mappings().one_or_none()
    entry = next_entry(
        audit_record(last) if last else None,
        at=now,
        actor=actor,
        action=action,
        object_name=object_name,
        reason=cut(reason),
        details=details or {},
    )
    values = {column.name: getattr(entry, column.name) for column in AUDIT_ENTRY.columns}
    connection.execute(insert(AUDIT_ENTRY).values(**values))
    return entry
