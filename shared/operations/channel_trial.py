"""Try channels by hand: send a test notice to each, all at once, and record every attempt."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.clock import monotonic_seconds
from shared.domain.channel import Channel, DeliveryResult, DeliveryState
from shared.domain.notice import Notice
from shared.domain.notice_digest import notify_test

_AT_ONCE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """How the attempt on one channel ended."""

    channel: str
    notice_key: str
    result: DeliveryResult
    duration_seconds: float

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "channel": self.channel,
            "outcome": self.result.state.value,
            "error": self.result.error,
            "retry_after_seconds": self.result.retry_after_seconds,
            "duration_seconds": round(self.duration_seconds, 3),
        }

    @property
    def is_delivered(self) -> bool:
        """Whether the service took it."""
        return self.result.state is DeliveryState.DELIVERED


def try_channels(
    channels: Sequence[Channel],
    send: Callable[[Channel, Notice], DeliveryResult],
    record: Callable[[Trial], None],
    *,
    at: datetime,
    by: str,
) -> tuple[Trial, ...]:
    """Send a test to every channel, whatever it wants to hear otherwise.

    Args:
        channels: Which ones.
        send: Sends one notice, in bounded time, and raises nothing.
        record: Keeps an attempt; called for one after another, in the order of `channels`.
        at: Now, aware.
        by: Who asked for it.
    """
    notice = notify_test(at, by)

    def attempt(channel: Channel) -> Trial:
        began = monotonic_seconds()
        result = send(channel, notice)
        return Trial(
            channel=channel.name,
            notice_key=notice.key,
            result=result,
            duration_seconds=monotonic_seconds() - began,
        )

    with ThreadPoolExecutor(max_workers=_AT_ONCE) as senders:
        trials = tuple(senders.map(attempt, channels))
    for trial in trials:
        record(trial)
    return trials
