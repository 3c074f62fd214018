"""The audit trail: one page of entries, and whether the chain holds."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from sqlalchemy import ColumnElement, func, select

from shared.catalog.audit_chain import ChainCheck, verify_chain
from shared.catalog.connection import Database
from shared.catalog.conversion import audit_record
from shared.catalog.engine import Catalog
from shared.catalog.models import AUDIT_ENTRY
from shared.catalog.records import AuditRow

PAGE_SIZE = 50
COUNT_LIMIT = 10_000
_WALKED_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries; empty values mean all.

    Attributes:
        actor: Who, or the beginning of it.
        action: What, or the beginning of it, such as `hold`.
        object_name: About what, or the beginning of it.
        until: Only what was done on this UTC day or before.
    """

    actor: str = ""
    action: str = ""
    object_name: str = ""
    until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedChain:
    """What a walk along the chain found, and when the whole of it was walked last."""

    check: ChainCheck
    checked_at: datetime


def count_entries(database: Database, wanted: AuditFilter) -> int:
    """Count what matches; `COUNT_LIMIT` means that many or more."""
    bounded = select(AUDIT_ENTRY.c.seq).where(*_conditions(wanted)).limit(COUNT_LIMIT).subquery()
    with database.reading() as connection:
        return connection.execute(select(func.count()).select_from(bounded)).scalar_one()


def load_entries(database: Database, wanted: AuditFilter, page: int) -> tuple[AuditRow, ...]:
    """Read one page, newest first; the first is 1."""
    query = (
        select(AUDIT_ENTRY)
        .where(*_conditions(wanted))
        .order_by(AUDIT_ENTRY.c.seq.desc())
        .limit(PAGE_SIZE)
        .offset(PAGE_SIZE * (page - 1))
    )
    with database.reading() as connection:
        return tuple(audit_record(row) for row in connection.execute(query).mappings())


def check_chain(database: Database, now: datetime) -> CheckedChain:
    """Walk along the whole chain, in pages; a minute for some millions of entries, so keep the answer a while."""
    return CheckedChain(check=Catalog(database, actor="app").verify_audit_chain(), checked_at=now)


def check_newer(database: Database, whole: CheckedChain) -> CheckedChain:
    """Walk on from the end of an earlier walk, so that the answer is about every entry there is now."""
    if not whole.check.is_intact:
        return whole
    catalog = Catalog(database, actor="app")
    newer: list[AuditRow] = []
    seq = whole.check.entry_count
    while page := catalog.audit_entries(after=seq, limit=_WALKED_AT_ONCE):
        newer += page
        seq = page[-1].seq
    return replace(whole, check=verify_chain(newer, after=whole.check)) if newer else whole


def _conditions(wanted: AuditFilter) -> list[ColumnElement[bool]]:
    given = (
        (AUDIT_ENTRY.c.actor, wanted.actor),
        (AUDIT_ENTRY.c.action, wanted.action),
        (AUDIT_ENTRY.c.object, wanted.object_name),
    )
    conditions: list[ColumnElement[bool]] = [
        column.startswith(value, autoescape=True) for column, value in given if value
    ]
    if wanted.until is not None:
        conditions.append(AUDIT_ENTRY.c.at < datetime.combine(wanted.until, time(), UTC) + timedelta(days=1))
    return conditions
