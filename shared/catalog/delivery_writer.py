"""Hand notices to those who send them, one sender per channel and notice, and record every attempt."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, insert, or_, select, update

from shared.catalog.connection import Database
from shared.catalog.statements import cut, upsert
from shared.catalog.watch_conversion import delivery_record, delivery_values
from shared.catalog.watch_models import DELIVERY, DELIVERY_ATTEMPT, NOTICE
from shared.catalog.watch_records import DeliveryRow, OutboxState
from shared.domain.notice import NoticeSeverity

# Longer than a sender can take; whoever holds a lease for longer is dead.
LEASE = timedelta(minutes=3)
# Nothing waits longer, neither between two attempts nor for the end of quiet hours.
LONGEST_WAIT = timedelta(days=1)


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

    def reroute(self, keys: Sequence[str], channels: Sequence[str], severity: NoticeSeverity, now: datetime) -> int:
        """Send notices that a channel refused to others as well, those of one severity that nobody got yet.

        Returns:
            How many new ways there are.
        """
        taken = select(DELIVERY.c.notice_key).where(
            DELIVERY.c.notice_key.in_(list(keys)), DELIVERY.c.state != OutboxState.FAILED.value
        )
        lost = select(NOTICE.c.key).where(
            NOTICE.c.key.in_(list(keys)), NOTICE.c.severity == severity.value, NOTICE.c.key.not_in(taken)
        )
        with self._database.writing() as connection:
            found = connection.execute(lost).scalars().all()
            known = select(DELIVERY.c.notice_key, DELIVERY.c.channel).where(DELIVERY.c.notice_key.in_(found))
            tried = {tuple(row) for row in connection.execute(known)}
            ways = [(key, channel) for key in found for channel in channels if (key, channel) not in tried]
            for key, channel in ways:
                upsert(
                    connection, DELIVERY, delivery_values(key, channel, now), keys=("notice_key", "channel"), update={}
                )
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
        or_(next_at <= now, next_at > now + LONGEST_WAIT),
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
