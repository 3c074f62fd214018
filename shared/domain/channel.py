"""A channel: one way to people, what it wants to hear, and how a delivery ended."""

from dataclasses import dataclass, field
from enum import StrEnum

from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity

EVERY_EVENT = frozenset(NoticeEvent)

_ALWAYS = frozenset({NoticeEvent.CANARY, NoticeEvent.TEST})
"""They ask whether the channel works, so no filter of its own keeps them back."""

_ENDS_TROUBLE = frozenset({NoticeEvent.RECOVERED})
"""Who was told of trouble is told of its end, although that is good news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One channel of the configuration.

    Attributes:
        name: As in `[channels.NAME]`.
        url: Apprise URL with its secrets; never printed.
        events: What it wants to hear of.
        severity: The least that it wants to hear.
        quiet_hours: Whether it keeps the quiet hours.
        problem: Why its URL could not be read here; then nothing can be delivered.
    """

    name: str
    url: str = field(repr=False)
    events: frozenset[NoticeEvent] = EVERY_EVENT
    severity: NoticeSeverity = NoticeSeverity.INFO
    quiet_hours: bool = True
    problem: str = ""

    def wants(self, notice: Notice) -> bool:
        """Say whether this notice is for this channel."""
        if notice.event in _ALWAYS:
            return True
        if notice.event not in self.events:
            return False
        return notice.event in _ENDS_TROUBLE or notice.severity.rank >= self.severity.rank


class DeliveryState(StrEnum):
    """How one attempt ended."""

    DELIVERED = "delivered"
    RETRY = "retry"
    FAILED = "failed"


class Arrival(StrEnum):
    """How far a notice came that was not delivered."""

    NOWHERE = "nowhere"
    UNSENT = "unsent"
    """This process cannot use the channel at all: another one, or a corrected configuration, may."""
    PARTLY = "partly"
    """Some of those behind the channel have it: sent again, they would have it twice."""
    PERHAPS = "perhaps"
    """All of it was sent, and nobody said that it was taken."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryResult:
    """The end of one attempt.

    Attributes:
        state: `retry` where the same attempt may succeed later without a person, `failed` where it cannot.
        error: One sentence without a secret; empty when it was delivered.
        retry_after_seconds: How long the receiver asked to be left alone, where it did.
        arrival: How far it came, where it was not delivered.
    """

    state: DeliveryState
    error: str = ""
    retry_after_seconds: float | None = None
    arrival: Arrival = Arrival.NOWHERE
