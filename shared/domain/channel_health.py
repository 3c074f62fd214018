"""Whether a channel still reaches anybody: delivery is watched like everything else."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.domain.health_reason import Colour, Reason
from shared.domain.notice_words import moment

CHANNEL_FAILED = "channel-failed"
"""Code of the reason that a failing channel gives."""

DEAD_MANS_SWITCH = "dead-mans-switch"
"""Code of the reason that a monitor elsewhere gives which is not pinged."""

# What may mend itself is called broken when it has failed so often, for so long.
_PATIENCE = timedelta(hours=1)
_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFailures:
    """How a channel has failed since it last took anything.

    Attributes:
        channel: Its name.
        since: First failure.
        last_at: Last failure.
        count: How many there were.
        is_final: Whether the last one cannot mend itself, such as a wrong password.
        error: What the last one said, without a secret.
    """

    channel: str
    since: datetime
    last_at: datetime
    count: int
    is_final: bool
    error: str

    @property
    def is_broken(self) -> bool:
        """Whether it should count as reaching nobody."""
        return self.is_final or (self.count >= _FAILURES and self.last_at - self.since >= _PATIENCE)


def channel_reason(failures: ChannelFailures) -> Reason:
    """Say why a broken channel makes the system yellow."""
    since = moment(failures.since)
    return Reason(
        code=CHANNEL_FAILED,
        colour=Colour.YELLOW,
        sentence=f"Channel {failures.channel} has reached nobody since {since}: {failures.error}",
        action=f"Mend that (for the URL channels.{failures.channel}) and prove it:"
        f" `goldcopy notify-test {failures.channel}`.",
        since=failures.since,
    )


def switch_reason(problem: str) -> Reason:
    """Say why a dead man's switch that hears nothing makes the system yellow."""
    return Reason(
        code=DEAD_MANS_SWITCH,
        colour=Colour.YELLOW,
        sentence=f"The dead man's switch cannot be used: {problem}",
        action="Mend watch.dead_mans_switch, or what it refers to, where `goldcopy watch` runs; until then nobody hears"
        " when the watch itself dies.",
    )
