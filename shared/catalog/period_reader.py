"""Read what was recorded up to an instant, for a report about a period; nothing later is in the answers."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, or_, select

from shared.catalog.audit_chain import verify_chain
from shared.catalog.connection import Database
from shared.catalog.conversion import Row, audit_record
from shared.catalog.models import (
    AUDIT_ENTRY,
    BACKUP,
    CLEANUP_ACTION,
    RESTORE_TEST,
    RESTORE_TEST_FINDING,
    SOURCE,
    VERIFICATION,
)
from shared.catalog.records import AuditRow, CleanupState
from shared.catalog.statements import chunked
from shared.catalog.watch_models import INCIDENT, WATCH, WATCH_GAP, WATCH_ID
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.compliance_facts import (
    PastAction,
    PastAttempt,
    PastExpiry,
    PastIncident,
    PastVerification,
    TestRecord,
    TrailFact,
)
from shared.domain.period import Stretch, within
from shared.domain.proof import Outcome

# The newest backup of a source, and the one that was proven last, were made within this time before a period, or its
# objectives were missed anyway: those that still exist, and those that were tested, are read whatever their age.
_BEFORE = timedelta(days=100)
_TESTED_BEFORE = timedelta(days=400)
_BEGUN = (CleanupState.MARKED, CleanupState.MANIFEST_REMOVED, CleanupState.OBJECTS_REMOVED, CleanupState.DONE)
_GONE = "backup.gone"
_AUDIT_PAGE = 5000
# Entries of the trail that a person made; everything else is done by schedules.
_BY_PEOPLE = (
    "hold.",
    "release.",
    "restore.",
    "restore-test.request",
    "backup.request",
    "backup.log",
    "anomaly.acknowledge",
    "incident.acknowledge",
    "person.",
    "key.",
    "catalog.rebuild",
)


class PeriodReader:
    """Reads evidence of a period."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def first_records(self) -> Mapping[str, datetime]:
        """Return since when each source is known: its first backup or attempt, or when it was registered."""
        first = select(func.min(BACKUP.c.started_at)).where(BACKUP.c.source == SOURCE.c.name).scalar_subquery()
        with self._database.reading() as connection:
            rows = connection.execute(select(SOURCE.c.name, SOURCE.c.registered_at, first.label("at"))).all()
        return {row.name: min(row.registered_at, row.at or row.registered_at) for row in rows}

    def attempts_of_period(
        self, begins_at: datetime, until: datetime, source: str | None = None
    ) -> Mapping[str, tuple[PastAttempt, ...]]:
        """Return backups and attempts that bear on a period, by source, oldest first."""
        tested = select(RESTORE_TEST.c.backup_id).where(RESTORE_TEST.c.started_at >= begins_at - _TESTED_BEFORE)
        begun = CLEANUP_ACTION.c.state.in_([state.value for state in _BEGUN])
        bearing = or_(
            BACKUP.c.started_at >= begins_at - _BEFORE,
            BACKUP.c.status.in_([BackupStatus.COMPLETE.value, BackupStatus.EXPIRING.value]),
            BACKUP.c.id.in_(tested),
            BACKUP.c.id.in_(select(CLEANUP_ACTION.c.backup_id).where(CLEANUP_ACTION.c.planned_at >= begins_at, begun)),
            BACKUP.c.id.in_(
                select(AUDIT_ENTRY.c.object).where(AUDIT_ENTRY.c.at >= begins_at, AUDIT_ENTRY.c.action == _GONE)
            ),
        )
        names = ("id", "source", "kind", "status", "started_at", "recovery_point_at", "finished_at", "damaged_at")
        query = select(*(BACKUP.c[name] for name in (*names, "error_message")))
        query = query.where(BACKUP.c.started_at < until, bearing, *_only(BACKUP.c.source, source))
        # Also what went after the period: within it, it was there.
        gone = {**self._expired(begins_at, source), **self.vanished()}
        found: dict[str, list[PastAttempt]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(query.order_by(BACKUP.c.started_at, BACKUP.c.id)).mappings():
                found[row["source"]].append(_attempt(row, gone.get(row["id"])))
        return {name: tuple(attempts) for name, attempts in found.items()}

    def vanished(self, until: datetime | None = None) -> Mapping[str, datetime]:
        """Return the backups that were found gone although nothing had expired them, and when that was noticed."""
        query = select(AUDIT_ENTRY.c.object, func.min(AUDIT_ENTRY.c.at).label("at"))
        query = query.where(AUDIT_ENTRY.c.action == _GONE).group_by(AUDIT_ENTRY.c.object)
        if until is not None:
            query = query.where(AUDIT_ENTRY.c.at < until)
        with self._database.reading() as connection:
            return {row.object: row.at for row in connection.execute(query)}

    def expiries_of_period(
        self, begins_at: datetime, until: datetime, source: str | None = None
    ) -> Mapping[str, tuple[PastExpiry, ...]]:
        """Return what retention let go in a period, by source, oldest first."""
        query = (
            select(CLEANUP_ACTION, BACKUP.c.kind, BACKUP.c.recovery_point_at)
            .join(BACKUP, BACKUP.c.id == CLEANUP_ACTION.c.backup_id)
            .where(
                CLEANUP_ACTION.c.state.in_([state.value for state in _BEGUN]),
                CLEANUP_ACTION.c.planned_at >= begins_at,
                CLEANUP_ACTION.c.planned_at < until,
                BACKUP.c.recovery_point_at.is_not(None),
                *_only(CLEANUP_ACTION.c.source, source),
            )
        )
        found: dict[str, list[PastExpiry]] = defaultdict(list)
        with self._database.reading() as connection:
            for row in connection.execute(query.order_by(CLEANUP_ACTION.c.id)).mappings():
                expiry = PastExpiry(
                    backup_id=row["backup_id"],
                    kind=BackupKind(row["kind"]),
                    recovery_point_at=row["recovery_point_at"],
                    decided_at=row["planned_at"],
                    reason=row["reason"],
                )
                found[row["source"]].append(expiry)
        return {name: tuple(expiries) for name, expiries in found.items()}

    def tests_of_period(
        self, begins_at: datetime, until: datetime, source: str | None = None
    ) -> Mapping[str, tuple[TestRecord, ...]]:
        """Return restore tests that ended before `until`, by source, oldest first, as far back as they matter."""
        columns = (BACKUP.c.table_count, BACKUP.c.row_count, BACKUP.c.manifest_sha256)
        query = (
            select(RESTORE_TEST, *columns)
            .join(BACKUP, BACKUP.c.id == RESTORE_TEST.c.backup_id)
            .where(
                RESTORE_TEST.c.outcome != "",
                RESTORE_TEST.c.finished_at < until,
                RESTORE_TEST.c.started_at >= begins_at - _TESTED_BEFORE,
                *_only(RESTORE_TEST.c.source, source),
            )
            .order_by(RESTORE_TEST.c.finished_at, RESTORE_TEST.c.id)
        )
        with self._database.reading() as connection:
            rows = list(connection.execute(query).mappings())
            findings: dict[str, list[Row]] = defaultdict(list)
            for chunk in chunked([row["id"] for row in rows]):
                wanted = select(RESTORE_TEST_FINDING).where(RESTORE_TEST_FINDING.c.restore_test_id.in_(chunk))
                for item in connection.execute(wanted.order_by(RESTORE_TEST_FINDING.c.ordinal)).mappings():
                    findings[item["restore_test_id"]].append(item)
        found: dict[str, list[TestRecord]] = defaultdict(list)
        for row in rows:
            found[row["source"]].append(_test(row, findings[row["id"]]))
        return {name: tuple(tests) for name, tests in found.items()}

    def verifications_of_period(self, begins_at: datetime, until: datetime) -> tuple[PastVerification, ...]:
        """Return verify runs that ended in a period, oldest first."""
        query = select(VERIFICATION).where(VERIFICATION.c.finished_at >= begins_at, VERIFICATION.c.finished_at < until)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(VERIFICATION.c.finished_at, VERIFICATION.c.id)).mappings()
            return tuple(
                PastVerification(
                    source=row["source"],
                    outcome=Outcome(row["outcome"]),
                    finished_at=row["finished_at"],
                    objects_checked=row["objects_checked"],
                    findings=len(row["findings"]),
                )
                for row in rows
            )

    def incidents_of_period(
        self, begins_at: datetime, until: datetime, source: str | None = None
    ) -> tuple[PastIncident, ...]:
        """Return incidents that were open at some time of a period, oldest first; what came later is left out."""
        query = select(INCIDENT).where(
            INCIDENT.c.opened_at < until,
            or_(INCIDENT.c.closed_at.is_(None), INCIDENT.c.closed_at >= begins_at),
            *_only(INCIDENT.c.source, source),
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(INCIDENT.c.opened_at, INCIDENT.c.id)).mappings()
            return tuple(_incident(row, until) for row in rows)

    def watched_since(self) -> datetime | None:
        """Return when the watch looked for the first time."""
        with self._database.reading() as connection:
            found: datetime | None = connection.execute(
                select(WATCH.c.started_at).where(WATCH.c.id == WATCH_ID)
            ).scalar()
        return found

    def unwatched(self, begins_at: datetime, until: datetime) -> tuple[Stretch, ...]:
        """Return when nobody watched within a period, oldest first; one that still lasts reaches to its end."""
        gaps = select(WATCH_GAP.c.began_at, WATCH_GAP.c.ended_at).order_by(WATCH_GAP.c.began_at)
        gaps = gaps.where(WATCH_GAP.c.began_at < until, WATCH_GAP.c.ended_at > begins_at)
        with self._database.reading() as connection:
            found = [Stretch(row.began_at, row.ended_at) for row in connection.execute(gaps)]
            row = connection.execute(
                select(WATCH.c.started_at, WATCH.c.watched_at).where(WATCH.c.id == WATCH_ID)
            ).one_or_none()
        if row is not None:
            found = [Stretch(begins_at, row.started_at), *found, Stretch(row.watched_at, until)]
        return within(found, begins_at, until)

    def actions_of_period(self, begins_at: datetime, until: datetime) -> tuple[PastAction, ...]:
        """Return what people did in a period, in the order of the audit trail."""
        query = select(AUDIT_ENTRY).where(
            AUDIT_ENTRY.c.at >= begins_at,
            AUDIT_ENTRY.c.at < until,
            or_(*(AUDIT_ENTRY.c.action.startswith(name, autoescape=True) for name in _BY_PEOPLE)),
        )
        with self._database.reading() as connection:
            return tuple(
                PastAction(
                    seq=row["seq"],
                    at=row["at"],
                    actor=row["actor"],
                    action=row["action"],
                    object=row["object"],
                    reason=row["reason"],
                )
                for row in connection.execute(query.order_by(AUDIT_ENTRY.c.seq)).mappings()
            )

    def trail_until(self, until: datetime) -> TrailFact:
        """Say what the audit trail was at an instant: up to its last entry from before, in the order of the chain.

        The whole trail is walked along, for an entry whose date was changed may say that it belongs to another time.
        """
        query = select(AUDIT_ENTRY).order_by(AUDIT_ENTRY.c.seq).execution_options(yield_per=_AUDIT_PAGE)
        last: tuple[int, str] = (0, "")

        def noting(entries: Iterable[AuditRow]) -> Iterator[AuditRow]:
            nonlocal last
            for number, entry in enumerate(entries, start=1):
                if entry.at < until:
                    last = (number, entry.hash)
                yield entry

        with self._database.reading() as connection, connection.execute(query) as result:
            check = verify_chain(noting(audit_record(row) for row in result.mappings()))
        return TrailFact(entry_count=last[0], head_hash=last[1], problem=check.problem)

    def _expired(self, begins_at: datetime, source: str | None) -> dict[str, datetime]:
        """Return when backups expired; those that were gone before any test that bears on a period are left out."""
        query = select(CLEANUP_ACTION.c.backup_id, func.min(CLEANUP_ACTION.c.planned_at).label("at"))
        query = query.where(
            CLEANUP_ACTION.c.state.in_([state.value for state in _BEGUN]),
            or_(
                CLEANUP_ACTION.c.planned_at >= begins_at - _TESTED_BEFORE,
                CLEANUP_ACTION.c.state != CleanupState.DONE.value,
            ),
            *_only(CLEANUP_ACTION.c.source, source),
        )
        with self._database.reading() as connection:
            rows = connection.execute(query.group_by(CLEANUP_ACTION.c.backup_id))
            return {row.backup_id: row.at for row in rows}


def _only(column: Any, source: str | None) -> list[ColumnElement[bool]]:
    return [] if source is None else [column == source]


def _attempt(row: Row, gone_at: datetime | None) -> PastAttempt:
    status = BackupStatus(row["status"])
    was_complete = status not in {BackupStatus.FAILED, BackupStatus.RUNNING} or gone_at is not None
    ends = [at for at in (gone_at, row["damaged_at"]) if at is not None]
    return PastAttempt(
        backup_id=row["id"],
        kind=BackupKind(row["kind"]),
        started_at=row["started_at"],
        recovery_point_at=row["recovery_point_at"],
        complete_at=(row["finished_at"] or row["started_at"]) if was_complete else None,
        failed_at=None if was_complete or status is BackupStatus.RUNNING else row["finished_at"] or row["started_at"],
        error="" if was_complete else row["error_message"],
        gone_at=min(ends, default=None),
    )


def _test(row: Row, findings: list[Row]) -> TestRecord:
    outcome = Outcome(row["outcome"])
    shown = [item for item in findings if item["severity"] in ("error", "warning")]
    shown.sort(key=lambda item: item["severity"])
    return TestRecord(
        id=row["id"],
        source=row["source"],
        backup_id=row["backup_id"],
        outcome=outcome,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        recovery_time_seconds=row["recovery_time_seconds"],
        tables_expected=row["table_count"],
        tables_proven=row["tables_proven"],
        rows_expected=row["row_count"],
        rows_proven=row["rows_proven"],
        source_version=row["source_version"],
        scratch_version=row["scratch_version"],
        tool_version=row["tool_version"],
        manifest_sha256=row["manifest_sha256"],
        findings=tuple(f"{item['object_name']}: {item['message']}" for item in shown),
        not_measured=sum(1 for item in findings if item["severity"] == "not_measured"),
    )


def _incident(row: Row, until: datetime) -> PastIncident:
    taken_up = row["acknowledged_at"] is not None and row["acknowledged_at"] < until
    ended = row["closed_at"] is not None and row["closed_at"] < until
    return PastIncident(
        id=row["id"],
        source=row["source"],
        opened_at=row["opened_at"],
        worst=row["worst"],
        cause=row["cause"],
        acknowledged_at=row["acknowledged_at"] if taken_up else None,
        acknowledged_by=row["acknowledged_by"] if taken_up else "",
        reason=row["acknowledged_reason"] if taken_up else "",
        closed_at=row["closed_at"] if ended else None,
    )
