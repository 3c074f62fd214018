"""Find what happened since the last look, and write the notices that tell of it.

The audit trail is what is read: it has one entry for everything that ends, without a gap and in the order of the
commits, whatever clocks say. So nothing is missed and nothing is read twice.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256

from shared.catalog.anomaly_records import AnomalyRow
from shared.catalog.engine import Catalog
from shared.catalog.records import AuditRow, BackupRow, RestoreTestRow
from shared.domain.anomaly import Rule
from shared.domain.backup import BackupStatus
from shared.domain.health_reason import ReasonCode
from shared.domain.notice import Notice
from shared.domain.notice_digest import report_ready
from shared.domain.notice_texts import (
    BackupEnd,
    RestoreTestEnd,
    anomalies_found,
    backup_completed,
    backup_failed,
    backup_late,
    backup_slow,
    cleanup_refused,
    restore_test_failed,
    restore_test_not_measured,
    restore_test_passed,
)
from shared.domain.notice_words import Links, Protection
from shared.domain.proof import Finding, Outcome, Severity
from shared.domain.schedule import Cron
from shared.domain.source import Objectives, Source
from shared.domain.watch_plan import Event
from shared.domain.watch_texts import Words
from shared.errors import BackupUnknown, RetentionRefused, SourceUnreachable, StoreRefused, StoreUnreachable

CLEANUP_REFUSED = "cleanup.refused"
"""Action of the audit entry that says that a cleanup did not do what the policy would let it."""

REPORT_MADE = "report.create"
"""Action of the audit entry that says that a report was written, with its digest."""

# So many entries of the trail are read in one look; the next one goes on where this one ended.
ENTRIES_AT_ONCE = 5000
_LOOKED_BACK = 20
_FAILURE = frozenset({ReasonCode.LAST_RUN_FAILED.value, ReasonCode.RUN_LOST.value})
_LATE = frozenset({ReasonCode.SCHEDULE_GAP.value, ReasonCode.BACKUP_OVERDUE.value, ReasonCode.ANOMALY.value})
_FAILURES_OF_PLACES = {
    SourceUnreachable.code: ReasonCode.PROVIDER_OUTAGE,
    StoreUnreachable.code: ReasonCode.REPOSITORY_UNREACHABLE,
    StoreRefused.code: ReasonCode.REPOSITORY_UNREACHABLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReader:
    """Reads events and writes their notices.

    Attributes:
        catalog: Where they are recorded.
        sources: The configured sources; what others did is told too.
        words: What the notices say besides.
        now: Aware instant of the look.
    """

    catalog: Catalog
    sources: Mapping[str, Source]
    words: Words
    now: datetime

    def read(self, after: int) -> tuple[tuple[Event, ...], int]:
        """Return what happened after an entry of the audit trail, oldest first, and up to which entry that is."""
        entries = self.catalog.audit_entries(after=after, limit=ENTRIES_AT_ONCE)
        events = tuple(event for entry in entries for event in self._of(entry))
        return events, entries[-1].seq if entries else after

    def anomalies(self, since: datetime) -> tuple[Event, ...]:
        """Return anomalies that are open and were found since an instant, those of one backup in one event."""
        rows = [
            row
            for row in self.catalog.open_anomalies()
            if row.severity is not Severity.INFO and row.detected_at >= since
        ]
        late = [self._late(row) for row in rows if row.rule is Rule.SCHEDULE_GAP]
        unusual = self._unusual(row for row in rows if row.rule is not Rule.SCHEDULE_GAP)
        events = (*late, *unusual)
        known = self.catalog.known_notices([event.notice.key for event in events])
        return tuple(event for event in events if event.notice.key not in known)

    def _late(self, row: AnomalyRow) -> Event:
        """Tell of a backup that was expected and never began."""
        standing = self.catalog.source_status(row.source)
        notice = backup_late(
            row.source,
            row.object_name.split(" ")[0],
            row.started_at,
            self._protection(row.source),
            self.now,
            running_since=standing.running_since if standing else None,
            links=self.words.links(row.source),
        )
        return Event(notice=notice, causes=_LATE)

    def _unusual(self, rows: Iterable[AnomalyRow]) -> tuple[Event, ...]:
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in rows:
            where = row.backup_id or f"{row.rule.value}:{row.started_at:%Y%m%dT%H%M%SZ}"
            found.setdefault((row.source, row.backup_id, f"anomaly:{row.source}:{where}"), []).append(row.sentence)
        return tuple(
            Event(
                notice=anomalies_found(source, backup_id, sentences, self.now, key=key, links=self.words.links(source)),
                causes=frozenset({ReasonCode.ANOMALY.value}),
                cause=key.split(":")[2] if not backup_id else "",
            )
            for (source, backup_id, key), sentences in found.items()
        )

    def _of(self, entry: AuditRow) -> Iterator[Event]:
        readers: Mapping[str, Callable[[AuditRow], Iterator[Event]]] = {
            "backup.complete": self._backup_complete,
            "backup.failed": self._backup_failed,
            "run.lost": self._run_lost,
            "restore-test.passed": self._restore_test,
            "restore-test.failed": self._restore_test,
            "restore-test.not_measured": self._restore_test,
            CLEANUP_REFUSED: self._cleanup_refused,
            REPORT_MADE: self._report,
        }
        if entry.action in readers:
            try:
                yield from readers[entry.action](entry)
            except BackupUnknown:
                return  # the catalog was rebuilt since

    def _report(self, entry: AuditRow) -> Iterator[Event]:
        """Tell that a report was written; one that was written again is told again."""
        period, finding = str(entry.details.get("period", entry.object)), str(entry.details.get("finding", ""))
        notice = report_ready(period, finding, entry.at)
        yield Event(notice=replace(notice, key=f"report-ready:{entry.object}:{entry.seq}"))

    def _backup_complete(self, entry: AuditRow) -> Iterator[Event]:
        row = self.catalog.backup(entry.object)
        links = self._links(row)
        yield Event(notice=backup_completed(_backup_end(row, self.now), links=links))
        agreed = self._objectives(row.source).backup_time
        if timedelta(seconds=row.duration_seconds or 0.0) > agreed:
            yield Event(
                notice=backup_slow(_backup_end(row, self.now), agreed, links=links),
                causes=frozenset({ReasonCode.BACKUP_SLOW.value}),
            )

    def _backup_failed(self, entry: AuditRow) -> Iterator[Event]:
        yield from self._failed(self.catalog.backup(entry.object))

    def _run_lost(self, entry: AuditRow) -> Iterator[Event]:
        run_id, source = int(entry.object.removeprefix("run ")), str(entry.details.get("source", ""))
        for row in self.catalog.backups(source, limit=_LOOKED_BACK):
            if row.run_id == run_id:
                yield from self._failed(row)
        for test in self.catalog.restore_tests(source, limit=_LOOKED_BACK):
            if test.run_id == run_id:
                yield from self._test_event(test)

    def _failed(self, row: BackupRow) -> Iterator[Event]:
        if row.status is not BackupStatus.FAILED:
            return  # its manifest was found after all
        source = self.sources.get(row.source)
        next_at = Cron(source.schedule.daily, source.schedule.timezone).next_after(self.now) if source else None
        notice = backup_failed(
            _backup_end(row, self.now),
            self._protection(row.source),
            next_try_at=next_at,
            links=self._links(row),
        )
        place = _FAILURES_OF_PLACES.get(row.error_code or 0)
        yield Event(
            notice=notice, causes=_FAILURE | ({place.value} if place else set()), cause=str(row.error_code or "")
        )

    def _restore_test(self, entry: AuditRow) -> Iterator[Event]:
        wanted = entry.details.get("restore_test")
        for test in self.catalog.restore_tests(backup_id=entry.object):
            if test.id == wanted:
                yield from self._test_event(test)

    def _test_event(self, test: RestoreTestRow) -> Iterator[Event]:
        ended = self._test_end(test)
        protection, links = self._protection(test.source), self._links(test)
        if test.outcome is Outcome.PASSED:
            yield Event(notice=restore_test_passed(ended, links=links))
        elif test.outcome is Outcome.FAILED:
            yield Event(
                notice=restore_test_failed(ended, protection, links=links),
                causes=frozenset({ReasonCode.TEST_FAILED.value}),
            )
        elif test.outcome is Outcome.NOT_MEASURED:
            yield Event(
                notice=restore_test_not_measured(ended, protection, links=links),
                causes=frozenset({ReasonCode.TEST_NOT_MEASURED.value}),
            )

    def _test_end(self, test: RestoreTestRow) -> RestoreTestEnd:
        finished_at = test.finished_at or self.now
        return RestoreTestEnd(
            id=test.id,
            source=test.source,
            backup_id=test.backup_id,
            finished_at=finished_at,
            duration_seconds=max(0.0, (finished_at - test.started_at).total_seconds()),
            recovery_point_at=self.catalog.backup(test.backup_id).recovery_point_at,
            recovery_time_seconds=test.recovery_time_seconds,
            tables_proven=test.tables_proven,
            rows_proven=test.rows_proven,
            findings=test.findings,
            not_measured=test.not_measured,
            source_version=test.source_version,
            scratch_version=test.scratch_version,
        )

    def _cleanup_refused(self, entry: AuditRow) -> Iterator[Event]:
        """Tell of a refusal once a week: it comes again with every cleanup until somebody mends its cause."""
        week = "{}-W{:02}".format(*entry.at.isocalendar()[:2])
        digest = sha256(entry.reason.encode()).hexdigest()[:12]
        notice: Notice = cleanup_refused(
            entry.object,
            entry.reason,
            str(entry.details.get("hint", "")),
            entry.at,
            key=f"cleanup-refused:{entry.object}:{digest}:{week}",
            links=self.words.links(entry.object),
        )
        if not self.catalog.known_notices([notice.key]):
            yield Event(notice=notice)

    def _links(self, row: BackupRow | RestoreTestRow) -> Links:
        return self.words.links(row.source, self.catalog.run_url(row.run_id))

    def _objectives(self, source: str) -> Objectives:
        return self.sources[source].objectives if source in self.sources else Objectives()

    def _protection(self, source: str) -> Protection:
        found = self.words.protections.get(source)
        return found or Protection(newest_at=None, proven_at=None, rpo=self._objectives(source).rpo)


@contextmanager
def noting_refusals(catalog: Catalog, source: str | None, *, now: Callable[[], datetime]) -> Iterator[list[Finding]]:
    """Record in the audit trail, for the watch to tell of it, that a cleanup did not do what the policy would let it.

    Args:
        catalog: Where the trail is.
        source: Whose backups are cleaned up; None for all.
        now: Clock, aware UTC.

    Yields:
        A list to put the findings of the cleanup into; errors among them are refusals.
    """
    findings: list[Finding] = []
    try:
        yield findings
    except RetentionRefused as error:
        _note_refusal(catalog, source or "", error.message, error.hint, now())
        raise
    for finding in findings:
        if finding.severity is Severity.ERROR:
            _note_refusal(catalog, _source_of(finding.object), finding.message, finding.hint, now())


def _note_refusal(catalog: Catalog, source: str, reason: str, hint: str, now: datetime) -> None:
    catalog.append_audit(
        actor=catalog.actor, action=CLEANUP_REFUSED, object_name=source, reason=reason, details={"hint": hint}, now=now
    )


def _source_of(name: str) -> str:
    """Return the source of a stored object's key; another name is a source's own."""
    parts = name.split("/")
    return parts[1] if parts[0] == "sources" and len(parts) > 1 else name


def _backup_end(row: BackupRow, now: datetime) -> BackupEnd:
    return BackupEnd(
        id=row.id,
        source=row.source,
        kind=row.kind.value,
        started_at=row.started_at,
        finished_at=row.finished_at or now,
        duration_seconds=row.duration_seconds or 0.0,
        recovery_point_at=row.recovery_point_at,
        dumped_bytes=row.dumped_bytes,
        stored_bytes=row.stored_bytes,
        new_bytes=row.new_bytes,
        table_count=row.table_count,
        row_count=row.row_count,
        proven_at=row.proven_at,
        warnings=row.warnings,
        error_message=row.error_message,
    )
