"""Read what the watch recorded: how sources stand, what changed, which incidents there are, which notices went out."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import func, select

from shared.catalog.connection import Database
from shared.catalog.conversion import simple_record
from shared.catalog.models import AUDIT_ENTRY, RESTORE_TEST
from shared.catalog.statements import chunked
from shared.catalog.watch_conversion import (
    delivery_record,
    incident_record,
    reach_record,
    state_record,
    transition_record,
)
from shared.catalog.watch_models import (
    DELIVERY,
    DELIVERY_ATTEMPT,
    HEALTH_STATE,
    HEALTH_TRANSITION,
    INCIDENT,
    NOTICE,
    REACH,
    WATCH,
    WATCH_ID,
)
from shared.catalog.watch_records import AttemptRow, DeliveryRow, OutboxState, WatchRecord
from shared.domain.channel import DeliveryState
from shared.domain.channel_health import ChannelFailures
from shared.domain.incident import Incident
from shared.domain.notice import Notice, read_notice
from shared.domain.source_facts import Reachability
from shared.domain.transition import HealthState, Transition

DELIVERED = DeliveryState.DELIVERED.value


class WatchReader:
    """Reads states, transitions, incidents, notices and deliveries."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def watch_record(self, *, changes_since: datetime, now: datetime | None = None) -> WatchRecord | None:
        """Return all that a look has to know of earlier ones, or None before the first.

        Args:
            changes_since: From when on changes of health are counted.
            now: Up to when; a change in the future was written by a wrong clock.
        """
        unfinished = select(INCIDENT).where(~INCIDENT.c.is_finished).order_by(INCIDENT.c.opened_at, INCIDENT.c.id)
        counted = (
            select(HEALTH_TRANSITION.c.source, func.count())
            .where(HEALTH_TRANSITION.c.at > changes_since, HEALTH_TRANSITION.c.version > 1)
            .group_by(HEALTH_TRANSITION.c.source)
        )
        if now is not None:
            counted = counted.where(HEALTH_TRANSITION.c.at <= now)
        with self._database.reading() as connection:
            # The version comes first: whatever is newer than it makes the plan unrecordable, never wrong.
            row = connection.execute(select(WATCH).where(WATCH.c.id == WATCH_ID)).mappings().one_or_none()
            if row is None:
                return None
            states = [state_record(item) for item in connection.execute(select(HEALTH_STATE)).mappings()]
            incidents = tuple(incident_record(item) for item in connection.execute(unfinished).mappings())
            changes = {source: int(count) for source, count in connection.execute(counted)}
        return WatchRecord(
            version=row["version"],
            started_at=row["started_at"],
            watched_at=row["watched_at"],
            audit_seq=row["audit_seq"],
            sizes=row["sizes"],
            states={state.source: state for state in states},
            incidents=incidents,
            changes=changes,
        )

    def watched_at(self) -> datetime | None:
        """Return when somebody looked last, or None where nobody ever did."""
        with self._database.reading() as connection:
            found: datetime | None = connection.execute(
                select(WATCH.c.watched_at).where(WATCH.c.id == WATCH_ID)
            ).scalar()
        return found

    def newest_audit_seq(self) -> int:
        """Return the number of the newest entry of the audit trail; 0 where it is empty."""
        with self._database.reading() as connection:
            return int(connection.execute(select(func.max(AUDIT_ENTRY.c.seq))).scalar() or 0)

    def health_states(self) -> tuple[HealthState, ...]:
        """Return how every source stood at the last look, by name; the system comes first, under the empty name."""
        with self._database.reading() as connection:
            rows = [state_record(row) for row in connection.execute(select(HEALTH_STATE)).mappings()]
        return tuple(sorted(rows, key=lambda state: state.source))

    def transitions(
        self, source: str | None = None, *, since: datetime | None = None, limit: int | None = None
    ) -> tuple[Transition, ...]:
        """Return changes of health, newest first, of one source or of all."""
        query = select(HEALTH_TRANSITION)
        if source is not None:
            query = query.where(HEALTH_TRANSITION.c.source == source)
        if since is not None:
            query = query.where(HEALTH_TRANSITION.c.at >= since)
        order = (HEALTH_TRANSITION.c.at.desc(), HEALTH_TRANSITION.c.source, HEALTH_TRANSITION.c.version.desc())
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(*order).limit(limit)).mappings()
            return tuple(transition_record(row) for row in rows)

    def incidents(
        self,
        source: str | None = None,
        *,
        open_only: bool = False,
        since: datetime | None = None,
        limit: int | None = None,
    ) -> tuple[Incident, ...]:
        """Return incidents, newest first.

        Args:
            source: Only of this source; empty for the system.
            open_only: Only those that go on.
            since: Only those that went on at this instant or began later.
            limit: At most so many.
        """
        query = select(INCIDENT)
        if source is not None:
            query = query.where(INCIDENT.c.source == source)
        if open_only:
            query = query.where(INCIDENT.c.closed_at.is_(None))
        if since is not None:
            query = query.where(INCIDENT.c.closed_at.is_(None) | (INCIDENT.c.closed_at >= since))
        query = query.order_by(INCIDENT.c.opened_at.desc(), INCIDENT.c.id.desc()).limit(limit)
        with self._database.reading() as connection:
            return tuple(incident_record(row) for row in connection.execute(query).mappings())

    def known_notices(self, keys: Sequence[str]) -> frozenset[str]:
        """Return those of some keys under which something was told already."""
        found: set[str] = set()
        with self._database.reading() as connection:
            for chunk in chunked(list(keys)):
                found.update(connection.execute(select(NOTICE.c.key).where(NOTICE.c.key.in_(chunk))).scalars())
        return frozenset(found)

    def notices(self, *, since: datetime | None = None, members: bool = False) -> tuple[Notice, ...]:
        """Return notices in the order in which they were recorded; those told within another only with `members`."""
        query = select(NOTICE.c.document).order_by(NOTICE.c.created_at, NOTICE.c.key)
        if since is not None:
            query = query.where(NOTICE.c.created_at >= since)
        if not members:
            query = query.where(NOTICE.c.grouped_into == "")
        with self._database.reading() as connection:
            return tuple(read_notice(document) for document in connection.execute(query).scalars())

    def deliveries(self, *, state: OutboxState | None = None, since: datetime | None = None) -> tuple[DeliveryRow, ...]:
        """Return ways of notices to channels, oldest first."""
        query = select(DELIVERY, NOTICE.c.document).join(NOTICE, NOTICE.c.key == DELIVERY.c.notice_key)
        if state is not None:
            query = query.where(DELIVERY.c.state == state.value)
        if since is not None:
            query = query.where(DELIVERY.c.created_at >= since)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(DELIVERY.c.id)).mappings()
            return tuple(delivery_record(row) for row in rows)

    def count_restore_tests(self, begins_at: datetime, ends_at: datetime) -> dict[str, dict[str, int]]:
        """Count the restore tests that ended in a time, by source and outcome."""
        query = (
            select(RESTORE_TEST.c.source, RESTORE_TEST.c.outcome, func.count())
            .where(RESTORE_TEST.c.finished_at >= begins_at, RESTORE_TEST.c.finished_at < ends_at)
            .group_by(RESTORE_TEST.c.source, RESTORE_TEST.c.outcome)
        )
        found: dict[str, dict[str, int]] = {}
        with self._database.reading() as connection:
            for source, outcome, number in connection.execute(query):
                found.setdefault(source, {})[outcome] = number
        return found

    def attempts(self, channel: str, *, limit: int) -> tuple[AttemptRow, ...]:
        """Return the last attempts to hand something to a channel, newest first."""
        query = select(DELIVERY_ATTEMPT).where(DELIVERY_ATTEMPT.c.channel == channel)
        with self._database.reading() as connection:
            rows = connection.execute(query.order_by(DELIVERY_ATTEMPT.c.id.desc()).limit(limit)).mappings()
            return tuple(simple_record(AttemptRow, row) for row in rows)

    def failures_of_channel(self, channel: str) -> ChannelFailures | None:
        """Return how a channel has failed since it last took anything, or None where it has not."""
        mine = DELIVERY_ATTEMPT.c.channel == channel
        taken = select(func.max(DELIVERY_ATTEMPT.c.id)).where(mine, DELIVERY_ATTEMPT.c.outcome == DELIVERED)
        with self._database.reading() as connection:
            after = connection.execute(taken).scalar() or 0
            since = (mine, DELIVERY_ATTEMPT.c.id > after)
            ids = connection.execute(
                select(func.min(DELIVERY_ATTEMPT.c.id), func.max(DELIVERY_ATTEMPT.c.id), func.count()).where(*since)
            ).one()
            if not ids[2]:
                return None
            ends = select(DELIVERY_ATTEMPT).where(DELIVERY_ATTEMPT.c.id.in_([ids[0], ids[1]]))
            rows = list(connection.execute(ends.order_by(DELIVERY_ATTEMPT.c.id)).mappings())
        return ChannelFailures(
            channel=channel,
            since=rows[0]["at"],
            last_at=rows[-1]["at"],
            count=ids[2],
            is_final=rows[-1]["outcome"] == DeliveryState.FAILED.value,
            error=rows[-1]["error"],
        )

    def reach(self, name: str) -> tuple[Reachability, int] | None:
        """Return what something outside answered last, and how many questions in a row got no good answer."""
        with self._database.reading() as connection:
            row = connection.execute(select(REACH).where(REACH.c.name == name)).mappings().one_or_none()
        if row is None:
            return None
        return reach_record(row), int(row["failures"])
