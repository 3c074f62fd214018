"""Who is told next while an incident is open: tiers that hear of it after growing times, and reminders."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

TIERS = ("primary", "secondary", "escalation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalation:
    """Channels by tier, and when each of them is told of a red incident that nobody has acknowledged.

    Attributes:
        after: Time from the first word to each tier, the first of them 0; never falling.
        channels: Names of the channels of each tier; a tier without any is passed over.
    """

    after: tuple[timedelta, ...] = (timedelta(0), timedelta(hours=1), timedelta(hours=2))
    channels: tuple[tuple[str, ...], ...] = ((), (), ())

    def due_steps(self, reached: int, waited: timedelta) -> Iterator[int]:
        """Yield the tiers whose time has come since the last look, in order.

        Args:
            reached: Last tier that was told.
            waited: Time since the first word.
        """
        for step in range(reached + 1, len(self.after)):
            if self.channels[step] and waited >= self.after[step]:
                yield step

    def is_later_only(self, channel: str) -> bool:
        """Say whether a channel belongs to later tiers only: it hears of an incident when its turn has come."""
        return channel not in self.channels[0] and any(channel in names for names in self.channels[1:])

    def hears(self, channel: str, reached: int) -> bool:
        """Say whether a channel hears of an incident that has gone as far as the tier `reached`."""
        return not self.is_later_only(channel) or any(channel in names for names in self.channels[: reached + 1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminders:
    """Growing times between two words about the same thing; the last one goes on for ever.

    Attributes:
        red: While it is red, or unknown.
        yellow: While it is yellow.
    """

    red: tuple[timedelta, ...] = (
        timedelta(hours=4),
        timedelta(hours=8),
        timedelta(hours=16),
        timedelta(days=1),
    )
    yellow: tuple[timedelta, ...] = (timedelta(days=1), timedelta(days=3), timedelta(days=7))

    def is_due(self, count: int, last_at: datetime, now: datetime, *, yellow: bool) -> bool:
        """Say whether the next reminder is due.

        Args:
            count: Reminders so far.
            last_at: When the last word was.
            now: Aware instant.
            yellow: Which of the two rows of times.
        """
        gaps = self.yellow if yellow else self.red
        return bool(gaps) and now - last_at >= gaps[min(count, len(gaps) - 1)]
