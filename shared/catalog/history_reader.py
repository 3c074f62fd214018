"""Read evidence and history from the catalog: tests, verify runs, holds, runs, cleanups, audit trail, small tables."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, Select, select

from shared.catalog.audit_chain import ChainCheck, verify_chain
from shared.catalog.connection import Database
from shared.catalog.conversion import (
    Row,
    audit_record,
    cleanup_record,
    day_record,
    hold_record,
    restore_test_record,
    run_record,
    status_record,
    verification_record,
)
from shared.catalog.models import (
    AUDIT_ENTRY,
    BACKUP_DAY,
    CLEANUP_ACTION,
    FLEET_DAY,
    HOLD,
    RESTORE_TEST,
    RESTORE_TEST_FINDING,
    RUN,
    SOURCE_STATUS,
    VERIFICATION,
)
from shared.catalog.records import (
    AuditRow,
    CleanupActionRow,
    CleanupState,
    DayRow,
    HoldRow,
    RestoreTestRow,
    RunRow,
    RunState,
    SourceStatusRow,
    VerificationRow,
)
from shared.catalog.statements import chunked

_AUDIT_PAGE = 2000


class HistoryReader:
    """Reads what happened to backups and who did what."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def restore_tests(
        self, source: str | None = None, *, backup_id: str | None = None, limit: int | None = None
    ) -> tuple[RestoreTestRow, ...]:
        """Return restore tests with their findings, newest first."""
        query = _filtered(
            select(RESTORE_TEST), [(RESTORE_TEST.c.source, source), (RESTORE_TEST.c.backup_id, backup_id)]
        )
        query = query.order_by(RESTORE_TEST.c.started_at.desc(), RESTORE_TEST.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            tests = list(connection.execute(query).mappings())
            findings = _findings_of(connection, [row["id"] for row in tests])
        return tuple(restore_test_record(row, findings[row["id"]]) for row in tests)

    def verifications(self, source: str | None = None, *, limit: int | None = None) -> tuple[VerificationRow, ...]:
        """Return verify runs, newest first."""
        query = _filtered(select(VERIFICATION), [(VERIFICATION.c.source, source)])
        query = query.order_by(VERIFICATION.c.finished_at.desc(), VERIFICATION.c.id.desc()).limit(limit)
        return tuple(verification_record(row) for row in self._rows(query))

    def holds(self, backup_id: str | None = None) -> tuple[HoldRow, ...]:
        """Return all holds, released ones included, oldest first."""
        query = _filtered(select(HOLD), [(HOLD.c.backup_id, backup_id)]).order_by(HOLD.c.placed_at, HOLD.c.id)
        return tuple(hold_record(row) for row in self._rows(query))

    def holds_in_force(self, backup_id: str | None = None) -> tuple[HoldRow, ...]:
        """Return the holds that have not been released, oldest first."""
        return tuple(hold for hold in self.holds(backup_id) if hold.released_at is None)

    def runs(
        self, source: str | None = None, *, state: RunState | None = None, limit: int | None = None
    ) -> tuple[RunRow, ...]:
        """Return runs, newest first."""
        query = _filtered(select(RUN), [(RUN.c.source, source), (RUN.c.state, state.value if state else None)])
        query = query.order_by(RUN.c.started_at.desc(), RUN.c.id.desc()).limit(limit)
        return tuple(run_record(row) for row in self._rows(query))

    def run_url(self, run_id: int | None) -> str:
        """Return the orchestrator's page of a run; empty where there is none."""
        rows = self._rows(select(RUN.c.run_url).where(RUN.c.id == run_id)) if run_id is not None else []
        return next((str(row["run_url"]) for row in rows), "")

    def unfinished_cleanups(self, source: str | None = None) -> tuple[CleanupActionRow, ...]:
        """Return expiries that had begun and are to be taken up again, oldest first; mere plans are left out."""
        begun = [CleanupState.MARKED, CleanupState.MANIFEST_REMOVED, CleanupState.OBJECTS_REMOVED]
        query = _filtered(select(CLEANUP_ACTION), [(CLEANUP_ACTION.c.source, source)])
        query = query.where(CLEANUP_ACTION.c.state.in_([state.value for state in begun]))
        return tuple(cleanup_record(row) for row in self._rows(query.order_by(CLEANUP_ACTION.c.id)))

    def cleanup_actions(
        self, *, run_id: int | None = None, backup_id: str | None = None, limit: int | None = None
    ) -> tuple[CleanupActionRow, ...]:
        """Return expiries, newest first."""
        wanted = [(CLEANUP_ACTION.c.run_id, run_id), (CLEANUP_ACTION.c.backup_id, backup_id)]
        query = _filtered(select(CLEANUP_ACTION), wanted).order_by(CLEANUP_ACTION.c.id.desc()).limit(limit)
        return tuple(cleanup_record(row) for row in self._rows(query))

    def source_statuses(self) -> tuple[SourceStatusRow, ...]:
        """Return where every source stands, by name; one small table, whatever the length of the history."""
        found = (status_record(row) for row in self._rows(select(SOURCE_STATUS)))
        return tuple(sorted(found, key=lambda row: row.source))

    def source_status(self, source: str) -> SourceStatusRow | None:
        """Return where one source stands, or None where the catalog has not met it."""
        rows = self._rows(select(SOURCE_STATUS).where(SOURCE_STATUS.c.source == source))
        return status_record(rows[0]) if rows else None

    def backup_days(self, *, since: date, source: str | None = None) -> tuple[DayRow, ...]:
        """Return the days of one source or of all, oldest first; days without a backup have no row."""
        query = _filtered(select(BACKUP_DAY), [(BACKUP_DAY.c.source, source)]).where(BACKUP_DAY.c.day >= since)
        found = (day_record(row) for row in self._rows(query))
        return tuple(sorted(found, key=lambda row: (row.day, row.source)))

    def fleet_days(self, *, since: date) -> tuple[DayRow, ...]:
        """Return the days of the whole fleet, oldest first."""
        query = select(FLEET_DAY).where(FLEET_DAY.c.day >= since).order_by(FLEET_DAY.c.day)
        return tuple(day_record(row) for row in self._rows(query))

    def audit_entries(self, *, after: int = 0, limit: int | None = None) -> tuple[AuditRow, ...]:
        """Return entries of the audit trail with a higher `seq` than `after`, oldest first."""
        query = select(AUDIT_ENTRY).where(AUDIT_ENTRY.c.seq > after).order_by(AUDIT_ENTRY.c.seq).limit(limit)
        return tuple(audit_record(row) for row in self._rows(query))

    def newest_audit_entries(self, limit: int) -> tuple[AuditRow, ...]:
        """Return the last entries of the audit trail, newest first."""
        query = select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq.desc()).limit(limit)
        return tuple(audit_record(row) for row in self._rows(query))

    def verify_audit_chain(self, *, expected_head: str | None = None) -> ChainCheck:
        """Walk along the whole audit trail; `expected_head` is a hash that somebody noted elsewhere."""
        return verify_chain(self._all_audit_entries(), expected_head=expected_head)

    def _all_audit_entries(self) -> Iterator[AuditRow]:
        after = 0
        while page := self.audit_entries(after=after, limit=_AUDIT_PAGE):
            yield from page
            after = page[-1].seq

    def _rows(self, query: Select[Any]) -> list[Row]:
        with self._database.reading() as connection:
            return [*connection.execute(query).mappings()]


def _filtered(query: Select[Any], wanted: Sequence[tuple[Any, object]]) -> Select[Any]:
    """Add `column = value` for every value that is given."""
    return query.where(*(column == value for column, value in wanted if value is not None))


def _findings_of(connection: Connection, test_ids: Sequence[str]) -> dict[str, list[Row]]:
    findings: dict[str, list[Row]] = defaultdict(list)
    for chunk in chunked(test_ids):
        query = (
            select(RESTORE_TEST_FINDING)
            .where(RESTORE_TEST_FINDING.c.restore_test_id.in_(chunk))
            .order_by(RESTORE_TEST_FINDING.c.restore_test_id, RESTORE_TEST_FINDING.c.ordinal)
        )
        for row in connection.execute(query).mappings():
            findings[row["restore_test_id"]].append(row)
    return findings
