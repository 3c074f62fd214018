"""Hand notices to those who send them, one sender per channel and notice, and record every attempt."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update

from shared.catalog.connection import Database
from shared.catalog.statements import cut, upsert
from shared.catalog.watch_conversion import delivery_record, delivery_values
from shared.catalog.watch_models import DELIVERY, DELIVERY_ATTEMPT, NOTICE
from shared.catalog.watch_records import DeliveryRow, OutboxState
from shared.domain.notice import Notice, NoticeSeverity, read_notice

# Longer than a sender can take; whoever holds a lease for longer is dead.
LEASE = timedelta(minutes=3)
# Nothing waits longer: for the end of quiet hours, and between two attempts.
LONGEST_WAIT = timedelta(days=1)
LONGEST_BETWEEN_ATTEMPTS = timedelta(hours=1)


class DeliveryWriter:
    """Claims deliveries and records attempts."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due_deliveries(self, now: datetime) -> tuple[DeliveryRow, ...]:
        """Return what should be sent now, the most severe first, then in the order in which it was recorded."""
        query = (
            select(DELIVERY, NOTICE.c.document)
            .join(NOTICE, NOTICE.c.key == DELIVERY.c.notice_key)
            .where(*_due(now))
            .order_by(DELIVERY.c.id)
        )
        with self._database.reading() as connection:
            rows = [delivery_record(row) for row in connection.execute(query).mappings()]
        return tuple(sorted(rows, key=lambda row: (-row.notice.severity.rank, row.id)))

    def claim_delivery(self, delivery: DeliveryRow, holder: str, now: datetime) -> bool:
        """Take a delivery for sending; only one of several who try gets it.

        Returns:
            Whether it is the holder's now.
        """
        with self._database.writing() as connection:
            changed = connection.execute(
                update(DELIVERY)
                .where(DELIVERY.c.id == delivery.id, *_due(now))
                .values(lease_holder=holder, lease_until=now + LEASE, attempts=DELIVERY.c.attempts + 1)
            )
            return changed.rowcount == 1

    def record_attempt(
        self,
        delivery: DeliveryRow,
        state: OutboxState,
        *,
        outcome: str,
        error: str,
        at: datetime,
        duration_seconds: float,
        next_attempt_at: datetime | None = None,
    ) -> None:
        """Record how an attempt ended, and with it how the delivery stands.

        Args:
            delivery: What was to be sent.
            state: Pending where it is tried again.
            outcome: delivered, retry or failed.
            error: Why not, without a secret.
            at: When it began.
            duration_seconds: How long it took.
            next_attempt_at: When it is tried again, for a pending one.
        """
        values = {
            "state": state.value,
            "error": cut(error),
            "lease_holder": "",
            "lease_until": None,
            "finished_at": None if state is OutboxState.PENDING else at,
        }
        if next_attempt_at is not None:
            values["next_attempt_at"] = next_attempt_at
        with self._database.writing() as connection:
            _insert_attempt(connection, delivery.notice_key, delivery.channel, outcome, error, at, duration_seconds)
            # What somebody else delivered meanwhile stays delivered.
            open_ = DELIVERY.c.state != OutboxState.DELIVERED.value
            connection.execute(update(DELIVERY).where(DELIVERY.c.id == delivery.id, open_).values(values))

    def record_trial(self, channel: str, key: str, *, outcome: str, error: str, at: datetime, seconds: float) -> None:
        """Record an attempt that had no delivery: a test of a channel by hand."""
        with self._database.writing() as connection:
            _insert_attempt(connection, key, channel, outcome, error, at, seconds)

    def unheard(
        self, severity: NoticeSeverity, *, since: datetime
    ) -> tuple[tuple[Notice, tuple[DeliveryRow, ...]], ...]:
        """Return notices of a severity that no channel has taken, oldest first, each with its ways so far.

        Args:
            severity: Which ones.
            since: Only those that were made at this instant or later.
        """
        taken = select(DELIVERY.c.notice_key).where(DELIVERY.c.state == OutboxState.DELIVERED.value)
        wanted = (
            NOTICE.c.severity == severity.value,
            NOTICE.c.created_at >= since,
            NOTICE.c.grouped_into == "",
            NOTICE.c.key.not_in(taken),
        )
        query = select(NOTICE.c.key, NOTICE.c.document).where(*wanted).order_by(NOTICE.c.created_at, NOTICE.c.key)
        rows = select(DELIVERY, NOTICE.c.document).join(NOTICE, NOTICE.c.key == DELIVERY.c.notice_key).where(*wanted)
        ways: dict[str, list[DeliveryRow]] = {}
        with self._database.reading() as connection:
            notices = [read_notice(document) for _key, document in connection.execute(query)]
            for row in connection.execute(rows.order_by(DELIVERY.c.id)).mappings():
                ways.setdefault(row["notice_key"], []).append(delivery_record(row))
        return tuple((notice, tuple(ways.get(notice.key, ()))) for notice in notices)

    def add_ways(self, ways: Sequence[tuple[str, str]], now: datetime) -> int:
        """Send notices to channels as well that they were not meant for.

        Args:
            ways: Keys of notices, each with the name of a channel; one that is known already stays as it is.
            now: Aware instant.

        Returns:
            How many there are.
        """
        with self._database.writing() as connection:
            for key, channel in ways:
                values = delivery_values(key, channel, now)
                upsert(connection, DELIVERY, values, keys=("notice_key", "channel"), update={})
        return len(ways)

    def drop_deliveries(self, channel: str, reason: str, now: datetime) -> int:
        """Give up what is on its way to a channel that is not configured any more; returns how many that were."""
        waiting = (DELIVERY.c.channel == channel, DELIVERY.c.state == OutboxState.PENDING.value)
        values = {"state": OutboxState.FAILED.value, "error": cut(reason), "finished_at": now}
        with self._database.writing() as connection:
            return connection.execute(update(DELIVERY).where(*waiting).values(values)).rowcount


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    """What may be sent now; an instant that is further away than any can be was set by a clock that ran ahead."""
    next_at, lease = DELIVERY.c.next_attempt_at, DELIVERY.c.lease_until
    return (
        DELIVERY.c.state == OutboxState.PENDING.value,
        or_(
            next_at <= now,
            next_at > now + LONGEST_WAIT,
            and_(DELIVERY.c.attempts > 0, next_at > now + LONGEST_BETWEEN_ATTEMPTS),
        ),
        or_(lease.is_(None), lease <= now, lease > now + LEASE),
    )


def _insert_attempt(
    connection: Connection, key: str, channel: str, outcome: str, error: str, at: datetime, duration_seconds: float
) -> None:
    values = {
        "notice_key": key,
        "channel": channel,
        "at": at,
        "duration_seconds": duration_seconds,
        "outcome": outcome,
        "error": cut(error),
    }
    connection.execute(insert(DELIVERY_ATTEMPT).values(values))
