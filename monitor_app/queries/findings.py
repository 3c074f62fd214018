"""Findings of every sort in one form: incidents, anomalies, checks that failed; open, taken, or over."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import func, or_, select

from shared.catalog.anomaly_models import ANOMALY
from shared.catalog.anomaly_records import AnomalyRow, anomaly_record
from shared.catalog.connection import Database
from shared.catalog.engine import Catalog
from shared.catalog.models import RESTORE_TEST, VERIFICATION
from shared.domain.health import Colour, ReasonCode
from shared.domain.incident import SYSTEM_NAME, Incident
from shared.domain.proof import Outcome, Severity

LIMIT = 500
ALL_SOURCES = "all sources"
RESOLVED_FOR = timedelta(days=90)
"""How far back findings that are over, and checks that failed, are shown."""


class FindingKind(StrEnum):
    """What sort of finding."""

    INCIDENT = "incident"
    ANOMALY = "anomaly"
    CHECK = "failed check"


class FindingState(StrEnum):
    """Whether somebody has to look; `NOTED` never asked for a look."""

    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    RESOLVED = "resolved"
    NOTED = "for information"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding.

    Attributes:
        id: Of the incident or the anomaly; empty for what cannot be acknowledged by itself.
        cause: Stable code, such as `backup-stale` or `dumped-size`.
        owner: Who took it, or empty.
        comment: What they said.
        closed_because: Why it is over.
        backup_id: The backup that it is about, or empty.
        since: Since when it has its colour, where that is known.
    """

    kind: FindingKind
    state: FindingState
    source: str
    colour: Colour
    cause: str
    sentence: str
    opened_at: datetime
    id: str = ""
    action: str = ""
    owner: str = ""
    taken_at: datetime | None = None
    comment: str = ""
    closed_at: datetime | None = None
    closed_because: str = ""
    backup_id: str = ""
    since: datetime | None = None

    def lasted(self, now: datetime) -> timedelta:
        """How long it has lasted, or lasted."""
        return max(timedelta(0), (self.closed_at or now) - self.opened_at)


def load_findings(database: Database, now: datetime) -> tuple[Finding, ...]:
    """Read what is open, and what was over at most `RESOLVED_FOR` ago; newest first, at most `LIMIT` of each sort.

    Raises:
        CatalogProblem: The catalog cannot be read.
    """
    since = now - RESOLVED_FOR
    found = [
        *(_of_incident(item) for item in Catalog(database, actor="app").incidents(since=since, limit=LIMIT)),
        *(_of_anomaly(row) for row in _anomalies(database, since)),
        *_failed_tests(database, since),
        *_failed_verifications(database, since),
    ]
    return tuple(sorted(found, key=lambda item: item.opened_at, reverse=True))


def _of_incident(incident: Incident) -> Finding:
    reason = incident.reasons[0] if incident.reasons else None
    taken = incident.acknowledgement
    state = FindingState.OPEN if taken is None else FindingState.ACKNOWLEDGED
    return Finding(
        kind=FindingKind.INCIDENT,
        state=state if incident.is_open else FindingState.RESOLVED,
        source=incident.source or SYSTEM_NAME,
        colour=incident.colour if incident.is_open else incident.worst,
        cause=incident.cause,
        sentence=reason.sentence if reason else "nothing more is known",
        # Since when it is so, where that is known, and not since somebody noticed.
        opened_at=min(incident.opened_at, reason.since or incident.opened_at) if reason else incident.opened_at,
        id=incident.id,
        action=reason.action if reason else "",
        owner=taken.by if taken else "",
        taken_at=taken.at if taken else None,
        comment=taken.reason if taken else "",
        closed_at=incident.closed_at,
        closed_because=incident.closed_because,
    )


def _anomalies(database: Database, since: datetime) -> Sequence[AnomalyRow]:
    lasting = ANOMALY.c.closed_at.is_(None) | (ANOMALY.c.closed_at >= since)
    query = select(ANOMALY).where(lasting).order_by(ANOMALY.c.started_at.desc(), ANOMALY.c.id.desc()).limit(LIMIT)
    with database.reading() as connection:
        return [anomaly_record(row) for row in connection.execute(query).mappings()]


def _of_anomaly(row: AnomalyRow) -> Finding:
    if row.closed_at is not None:
        state = FindingState.RESOLVED
    elif row.severity is Severity.INFO:
        state = FindingState.NOTED
    else:
        state = FindingState.OPEN if row.acknowledged_at is None else FindingState.ACKNOWLEDGED
    return Finding(
        kind=FindingKind.ANOMALY,
        state=state,
        source=row.source,
        colour=Colour.GREEN if row.severity is Severity.INFO else Colour.YELLOW,
        cause=row.rule.value,
        sentence=row.sentence,
        opened_at=row.started_at,
        id=str(row.id),
        owner=row.acknowledged_by,
        taken_at=row.acknowledged_at,
        comment=row.acknowledged_reason,
        closed_at=row.closed_at,
        closed_because=row.closed_reason,
        backup_id=row.last_backup_id or row.backup_id,
    )


def _failed_tests(database: Database, since: datetime) -> Iterator[Finding]:
    """A test that measured nothing stays open until a later one passes; one that failed, until one as new passes."""
    later = RESTORE_TEST.alias("later")
    # Names of backups begin with when they began, in sixteen characters.
    is_as_new = func.substr(later.c.backup_id, 1, 16) >= func.substr(RESTORE_TEST.c.backup_id, 1, 16)
    passed = (
        select(func.min(later.c.finished_at))
        .where(
            later.c.source == RESTORE_TEST.c.source,
            later.c.started_at > RESTORE_TEST.c.started_at,
            later.c.outcome == Outcome.PASSED.value,
            or_(RESTORE_TEST.c.outcome == Outcome.NOT_MEASURED.value, is_as_new),
        )
        .scalar_subquery()
    )
    columns = (
        RESTORE_TEST.c.id,
        RESTORE_TEST.c.source,
        RESTORE_TEST.c.backup_id,
        RESTORE_TEST.c.outcome,
        RESTORE_TEST.c.finished_at,
        passed.label("passed_at"),
    )
    bad = RESTORE_TEST.c.outcome.in_([Outcome.FAILED.value, Outcome.NOT_MEASURED.value])
    query = select(*columns).where(bad, RESTORE_TEST.c.finished_at >= since)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(RESTORE_TEST.c.finished_at.desc()).limit(LIMIT)).all()
    for row in rows:
        failed = row.outcome == Outcome.FAILED.value
        yield Finding(
            kind=FindingKind.CHECK,
            state=FindingState.OPEN if row.passed_at is None else FindingState.RESOLVED,
            source=row.source,
            colour=Colour.RED if failed else Colour.UNKNOWN,
            cause=ReasonCode.TEST_FAILED if failed else ReasonCode.TEST_NOT_MEASURED,
            sentence=f"the restore test of {row.backup_id} "
            + ("found differences" if failed else "could not measure everything"),
            opened_at=row.finished_at,
            action=f"goldcopy show {row.backup_id}",
            closed_at=row.passed_at,
            closed_because="a later restore test passed" if row.passed_at else "",
            backup_id=row.backup_id,
        )


def _failed_verifications(database: Database, since: datetime) -> Iterator[Finding]:
    """A verify run that did not pass stays open until a later one of the same extent passes."""
    columns = (
        VERIFICATION.c.source,
        VERIFICATION.c.backup_id,
        VERIFICATION.c.outcome,
        VERIFICATION.c.finished_at,
    )
    query = select(*columns).where(VERIFICATION.c.finished_at >= since)
    with database.reading() as connection:
        rows = connection.execute(query.order_by(VERIFICATION.c.finished_at.desc()).limit(LIMIT)).all()
    passed: dict[tuple[str, str], datetime] = {}
    for row in rows:
        extent = (row.source, row.backup_id)
        if row.outcome == Outcome.PASSED.value:
            passed[extent] = row.finished_at
            continue
        failed = row.outcome == Outcome.FAILED.value
        closed_at = passed.get(extent)
        yield Finding(
            kind=FindingKind.CHECK,
            state=FindingState.OPEN if closed_at is None else FindingState.RESOLVED,
            source=row.source or ALL_SOURCES,
            colour=Colour.YELLOW if failed else Colour.UNKNOWN,
            cause=ReasonCode.VERIFY_FAILED if failed else ReasonCode.VERIFY_NOT_MEASURED,
            sentence="verify found stored bytes missing or changed" if failed else "verify could not read everything",
            opened_at=row.finished_at,
            action="goldcopy verify --all",
            closed_at=closed_at,
            closed_because="a later verify passed" if closed_at else "",
            backup_id=row.backup_id,
        )
