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
from shared.domain.channel import Channel, DeliveryResult, DeliveryState
from shared.domain.notice import Notice, NoticeSeverity
from shared.errors import CatalogProblem

Send = Callable[[Channel, Notice], DeliveryResult]

WAITS = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 10, 20, 30, 60))
"""Between the first attempts; the last one between all others."""

GIVE_UP_AFTER = timedelta(hours=24)
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
            if result.state is DeliveryState.RETRY:
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
    if result.state is DeliveryState.DELIVERED:
        return OutboxState.DELIVERED, None
    if result.state is DeliveryState.FAILED or at - row.created_at >= GIVE_UP_AFTER:
        return OutboxState.FAILED, None
    wait = WAITS[min(row.attempts, len(WAITS) - 1)]
    asked = timedelta(seconds=min(result.retry_after_seconds or 0.0, WAITS[-1].total_seconds()))
    return OutboxState.PENDING, at + max(wait, asked)


def _take_other_ways(post: Post, sent: Sequence[Sent]) -> bool:
    """Send critical notices that a channel refused for good to all the others; say whether there is anything to do."""
    lost = {item.notice_key for item in sent if item.result.state is DeliveryState.FAILED}
    working = [name for name in post.channels if name not in {item.channel for item in sent if _is_failed(item)}]
    if not lost or not working:
        return False
    return post.catalog.reroute(sorted(lost), working, NoticeSeverity.CRITICAL, post.now()) > 0


def _is_failed(item: Sent) -> bool:
    return item.result.state is DeliveryState.FAILED
