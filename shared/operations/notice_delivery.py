"""Send what is in the outbox: all channels at once, each notice once, in bounded time, every attempt recorded.

A delivery is claimed by a lease before it is sent, and its end is recorded after it. So a notice can arrive twice only
where its sender dies between the two: whoever comes next cannot know whether it arrived, and one too many is better.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Thread

from shared.catalog.engine import Catalog
from shared.catalog.watch_records import DeliveryRow, OutboxState
from shared.clock import monotonic_seconds
from shared.domain.channel import Arrival, Channel, DeliveryResult, DeliveryState
from shared.domain.notice import Notice, NoticeSeverity
from shared.errors import CatalogProblem

Send = Callable[[Channel, Notice], DeliveryResult]

WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 10, 20, 30, 60))
"""Between the first attempts; the last one between all others."""

UNSURE_WAITS = tuple(timedelta(minutes=minutes) for minutes in (10, 30, 60))
"""After attempts that may have arrived: each one more may be a copy, so there are no others."""

GIVE_UP_AFTER = timedelta(hours=24)
OTHER_WAYS_AFTER = timedelta(hours=1)
"""So long a critical notice waits for its own channels before it goes to all the others."""

BUDGET_SECONDS = 60.0
"""No attempt begins later than this after the first."""

ATTEMPT_SECONDS = 20.0
"""The longest that one attempt takes."""

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """How one attempt ended."""

    notice_key: str
    channel: str
    result: DeliveryResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """What is needed to send notices.

    Attributes:
        catalog: Where the outbox is.
        channels: The configured channels by name.
        send: Sends one notice to one channel; never raises for what a network does, and ends in time.
        now: Clock, aware UTC.
        holder: Name of this process for its leases, unique among those that send now.
    """

    catalog: Catalog
    channels: Mapping[str, Channel]
    send: Send
    now: Callable[[], datetime]
    holder: str


def deliver_outbox(post: Post, *, budget_seconds: float = BUDGET_SECONDS) -> tuple[Sent, ...]:
    """Send everything that is due.

    Args:
        post: What is needed for it.
        budget_seconds: No attempt begins later than this; what is left waits for the next call.

    Returns:
        How every attempt ended, in the order in which they did.

    Raises:
        CatalogProblem: The outbox cannot be read.
    """
    deadline = monotonic_seconds() + budget_seconds
    sent: list[Sent] = []
    _take_other_ways(post, sent)  # what an earlier look left behind
    for _round in range(2):  # the second one for critical notices that had to take another way
        due = _by_channel(post)
        senders = [Thread(target=_send_all, args=(post, *item, deadline, sent), daemon=True) for item in due]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join(max(0.0, deadline - monotonic_seconds()) + ATTEMPT_SECONDS)
        if not _take_other_ways(post, sent):
            break
    return tuple(sent)


def _by_channel(post: Post) -> list[tuple[Channel, list[DeliveryRow]]]:
    """Sort what is due by channel; what goes to a channel that was removed is given up."""
    found: dict[str, list[DeliveryRow]] = {}
    for row in post.catalog.due_deliveries(post.now()):
        found.setdefault(row.channel, []).append(row)
    for name in set(found) - set(post.channels):
        post.catalog.drop_deliveries(name, "the channel was removed from the configuration", post.now())
    return [(post.channels[name], rows) for name, rows in found.items() if name in post.channels]


def _send_all(post: Post, channel: Channel, rows: Sequence[DeliveryRow], deadline: float, sent: list[Sent]) -> None:
    """Send the notices of one channel, one after another; stop where it does not take them now."""
    try:
        for row in rows:
            if monotonic_seconds() > deadline:
                return
            if not post.catalog.claim_delivery(row, post.holder, post.now()):
                continue  # somebody else is sending it
            result = _send_one(post, channel, row)
            sent.append(Sent(notice_key=row.notice_key, channel=channel.name, result=result))
            if result.arrival is Arrival.UNSENT or (
                result.state is DeliveryState.RETRY and result.arrival is not Arrival.PARTLY
            ):
                return
    except CatalogProblem:
        # What was sent and not recorded is sent again once the lease is over.
        _LOG.warning("deliveries to channel %s could not be recorded", channel.name, exc_info=True)


def _send_one(post: Post, channel: Channel, row: DeliveryRow) -> DeliveryResult:
    at, began = post.now(), monotonic_seconds()
    result = post.send(channel, row.notice)
    state, next_at = _verdict(row, result, at)
    post.catalog.record_attempt(
        row,
        state,
        outcome=result.state.value,
        error=result.error,
        at=at,
        duration_seconds=monotonic_seconds() - began,
        next_attempt_at=next_at,
    )
    return result


def _verdict(row: DeliveryRow, result: DeliveryResult, at: datetime) -> tuple[OutboxState, datetime | None]:
    """Decide how a delivery goes on after an attempt."""
    if result.state is DeliveryState.DELIVERED or result.arrival is Arrival.PARTLY:
        return OutboxState.DELIVERED, None
    is_final = result.state is DeliveryState.FAILED and result.arrival is not Arrival.UNSENT
    is_repeated = row.attempts >= len(UNSURE_WAITS) and row.error == result.error
    if is_final or at - row.created_at >= GIVE_UP_AFTER or (result.arrival is Arrival.PERHAPS and is_repeated):
        return OutboxState.FAILED, None
    if result.arrival is Arrival.UNSENT:
        return OutboxState.PENDING, at + WAITS[0]
    waits = UNSURE_WAITS if result.arrival is Arrival.PERHAPS else WAITS
    wait = waits[min(row.attempts, len(waits) - 1)]
    asked = timedelta(seconds=min(result.retry_after_seconds or 0.0, WAITS[-1].total_seconds()))
    return OutboxState.PENDING, at + max(wait, asked)


def needs_other_ways(rows: Sequence[DeliveryRow], now: datetime) -> bool:
    """Say whether a critical notice that nobody got should go to all the other channels.

    Args:
        rows: All its ways so far.
        now: Aware instant.

    Returns:
        False while one of them is still to be tried, or being tried, for the first time.
    """

    def is_young(row: DeliveryRow) -> bool:
        return now - OTHER_WAYS_AFTER < row.created_at <= now

    pending = [row for row in rows if row.state is OutboxState.PENDING]
    if any(is_young(row) and (row.attempts == 0 or row.lease_holder) for row in pending):
        return False
    return len(pending) < len(rows) or any(row.attempts and not is_young(row) for row in pending)


def _take_other_ways(post: Post, sent: Sequence[Sent]) -> bool:
    """Send critical notices that nobody got to all the other channels; say whether there is anything to do.

    What was recorded decides, not what this look did: so the next one makes up for one that was killed. Only that a
    channel cannot be used from here is known here alone.
    """
    now = post.now()
    unusable = {item.notice_key for item in sent if item.result.arrival is Arrival.UNSENT}
    ways = [
        (notice.key, channel)
        for notice, rows in post.catalog.unheard(NoticeSeverity.CRITICAL, since=now - 2 * GIVE_UP_AFTER)
        if rows and (notice.key in unusable or needs_other_ways(rows, now))
        for channel in sorted(set(post.channels) - {row.channel for row in rows})
    ]
    return post.catalog.add_ways(ways, now) > 0
