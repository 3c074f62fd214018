"""Record what the watch saw and decided: states, transitions, incidents and the notices that follow, all at once."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from shared.catalog.audit_writer import append_entry
from shared.catalog.connection import Database
from shared.catalog.models import AUDIT_ENTRY
from shared.catalog.statements import chunked, upsert
from shared.catalog.watch_conversion import (
    delivery_values,
    incident_record,
    incident_values,
    state_values,
    transition_values,
)
from shared.catalog.watch_models import (
    DELIVERY,
    HEALTH_STATE,
    HEALTH_TRANSITION,
    INCIDENT,
    NOTICE,
    REACH,
    WATCH,
    WATCH_GAP,
    WATCH_ID,
)
from shared.catalog.watch_records import OutboxNotice, WatchResult
from shared.domain.incident import Acknowledgement, Incident
from shared.domain.notice import Notice
from shared.domain.period import SHORTEST_GAP
from shared.domain.source_facts import Reachability


class WatchWriter:
    """Writes states, transitions, incidents and notices."""

    def __init__(self, database: Database, actor: str) -> None:
        self._database = database
        self._actor = actor

    def begin_watch(self, now: datetime) -> None:
        """Make sure that there is a beginning: what happened before it is history and is not told."""
        with self._database.writing() as connection:
            newest = connection.execute(select(func.max(AUDIT_ENTRY.c.seq))).scalar() or 0
            values: dict[str, Any] = {
                "id": WATCH_ID,
                "version": 1,
                "started_at": now,
                "watched_at": now,
                "watcher": self._actor,
                "audit_seq": newest,
                "sizes": {},
            }
            upsert(connection, WATCH, values, keys=("id",), update={})

    def set_beginning_back(self, now: datetime) -> None:
        """Let the watch have begun now where a clock that was ahead wrote that it will begin later."""
        with self._database.writing() as connection:
            ahead = (WATCH.c.id == WATCH_ID, WATCH.c.started_at > now)
            connection.execute(update(WATCH).where(*ahead).values(started_at=now, version=WATCH.c.version + 1))

    def note_watched(self, now: datetime) -> None:
        """Note that somebody looked."""
        with self._database.writing() as connection:
            _note_gap(connection, now)
            values = {"watched_at": now, "watcher": self._actor}
            connection.execute(update(WATCH).where(WATCH.c.id == WATCH_ID).values(values))

    def record_watch(self, version: int, result: WatchResult, now: datetime) -> bool:
        """Record what one look came to, in one transaction.

        Args:
            version: Of the record that the look began from.
            result: What changed, and what is to be told.
            now: Aware instant.

        Returns:
            False where somebody else wrote since that record was read: then nothing is recorded, and one has to look
            again.
        """
        values = {"watched_at": now, "watcher": self._actor, "audit_seq": result.audit_seq}
        if result.sizes is not None:
            values["sizes"] = dict(result.sizes)
        with self._database.writing() as connection:
            _note_gap(connection, now)
            if not _count_up(connection, version, values):
                return False
            _upsert_all(connection, HEALTH_STATE, [state_values(item) for item in result.states], key="source")
            _insert_all(connection, HEALTH_TRANSITION, [transition_values(item) for item in result.transitions])
            _upsert_all(connection, INCIDENT, [incident_values(item) for item in result.incidents], key="id")
            _enqueue(connection, result.outbox, now)
        return True

    def acknowledge(self, incident_ids: Sequence[str], *, by: str, reason: str, now: datetime) -> tuple[Incident, ...]:
        """Record that somebody is at some open incidents: reminders and escalation stop.

        Returns:
            Those that were open, as they stand now.
        """
        taken = Acknowledgement(at=now, by=by, reason=reason)
        done: list[Incident] = []
        with self._database.writing() as connection:
            # Whoever decided from the state before this has to look again.
            connection.execute(update(WATCH).where(WATCH.c.id == WATCH_ID).values(version=WATCH.c.version + 1))
            wanted = select(INCIDENT).where(INCIDENT.c.id.in_(list(incident_ids)), INCIDENT.c.closed_at.is_(None))
            for row in connection.execute(wanted.order_by(INCIDENT.c.id)).mappings().all():
                incident = incident_record(row).acknowledged(taken)
                values = incident_values(incident)
                connection.execute(update(INCIDENT).where(INCIDENT.c.id == incident.id).values(values))
                done.append(incident)
            for incident in done:
                append_entry(
                    connection,
                    actor=by,
                    action="incident.acknowledge",
                    object_name=incident.id,
                    reason=reason,
                    details={"source": incident.source, "colour": incident.colour.value, "cause": incident.cause},
                    now=now,
                )
        return tuple(done)

    def record_reach(self, name: str, answer: Reachability, *, failures: int) -> None:
        """Record whether something outside answered.

        Args:
            name: `repository`, or `provider:SOURCE`.
            answer: What it answered; `since` says since when that is so.
            failures: Questions in a row that got no good answer.
        """
        state = {True: "reachable", False: "unreachable", None: "unknown"}[answer.is_reachable]
        values = {
            "name": name,
            "state": state,
            "asked_at": answer.asked_at,
            "since": answer.since,
            "failures": failures,
            "message": answer.message,
        }
        with self._database.writing() as connection:
            upsert(connection, REACH, values, keys=("name",))


def _note_gap(connection: Connection, now: datetime) -> None:
    """Keep what this look ends: a time without any, as long as it bears on what is said of that time."""
    before = connection.execute(select(WATCH.c.watched_at).where(WATCH.c.id == WATCH_ID)).scalar()
    if before is not None and now - before >= SHORTEST_GAP:
        upsert(connection, WATCH_GAP, {"began_at": before, "ended_at": now}, keys=("began_at",), update={})


def _count_up(connection: Connection, version: int, values: Mapping[str, Any]) -> bool:
    """Take the one row that all who decide take: only the first of two that read the same version gets it."""
    changed = connection.execute(
        update(WATCH).where(WATCH.c.id == WATCH_ID, WATCH.c.version == version).values(version=version + 1, **values)
    )
    return changed.rowcount == 1


def _insert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    for chunk in chunked(rows):
        connection.execute(insert(table), list(chunk))


def _upsert_all(connection: Connection, table: Table, rows: Sequence[dict[str, Any]], *, key: str) -> None:
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    for chunk in chunked(rows):
        statement = dialect.insert(table)
        changed = {name: statement.excluded[name] for name in chunk[0] if name != key}
        connection.execute(statement.on_conflict_do_update(index_elements=[key], set_=changed), list(chunk))


def _enqueue(connection: Connection, outbox: Sequence[OutboxNotice], now: datetime) -> None:
    """Write notices and their ways to the channels; what was told already is left out."""
    keys = [notice.key for item in outbox for notice in (item.notice, *item.members)]
    known: set[str] = set()
    for chunk in chunked(keys):
        known.update(connection.execute(select(NOTICE.c.key).where(NOTICE.c.key.in_(chunk))).scalars())
    notices: list[dict[str, Any]] = []
    deliveries: list[dict[str, Any]] = []
    for item in outbox:
        if item.notice.key in known:
            continue
        members = [notice for notice in item.members if notice.key not in known]
        if item.members and not members:
            continue
        known.update([item.notice.key, *(notice.key for notice in members)])
        notices.append(_notice_values(item, now))
        notices += [_member_values(notice, item.notice.key, now) for notice in members]
        deliveries += [delivery_values(item.notice.key, channel, now) for channel in item.channels]
        later_at = item.later_at or now
        deliveries += [delivery_values(item.notice.key, channel, now, begins_at=later_at) for channel in item.later]
    _insert_all(connection, NOTICE, notices)
    _insert_all(connection, DELIVERY, deliveries)


def _notice_values(item: OutboxNotice, now: datetime) -> dict[str, Any]:
    return {**_member_values(item.notice, "", now), "incident_id": item.incident_id}


def _member_values(notice: Notice, grouped_into: str, now: datetime) -> dict[str, Any]:
    return {
        "key": notice.key,
        "event": notice.event.value,
        "severity": notice.severity.value,
        "source": notice.source,
        "grouped_into": grouped_into,
        "incident_id": "",
        "document": notice.document(),
        "created_at": now,
    }
