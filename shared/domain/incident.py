"""An incident: the time from when something stopped being green until it is green again, and what people were told."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Self

from shared.domain.health_reason import Colour, Reason, worst

SYSTEM_NAME = "SYSTEM"
"""Stands for the system in ids of incidents; names of sources have no capital letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledgement:
    """Somebody knows and is at it: reminders and escalation stop."""

    at: datetime
    by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """One incident of one source, or of the system.

    Attributes:
        id: Such as `app#17`; unique.
        source: What it is about; empty for the system.
        opened_at: When it was noticed.
        colour: How it stands, or stood last.
        worst: The worst colour it had.
        reasons: Why, worst first; never green ones.
        told: What people were told last; None while nothing was told, green once the recovery was.
        told_at: When.
        told_version: Version of the health state that was told.
        told_causes: Codes of all reasons that were told.
        alarms: How often the escalation began.
        alarm_at: When it began last; None while there is nothing to escalate.
        step: Last tier that was told, 0 for the first.
        reminders: Reminders since the last new word.
        reminded_at: When the last one was.
        acknowledgement: Who is at it, for as long as nothing worse comes.
        held: Why the last news was not told yet; empty when there is none.
        held_version: Version of the health state that only channels without quiet hours were told.
        maintenance: Reason of the last maintenance window that it fell into.
        closed_at: When it was green again.
        closed_because: Why it ended, in words.
    """

    id: str
    source: str
    opened_at: datetime
    colour: Colour
    worst: Colour
    reasons: tuple[Reason, ...] = ()
    told: Colour | None = None
    told_at: datetime | None = None
    told_version: int = 0
    told_causes: tuple[str, ...] = ()
    alarms: int = 0
    alarm_at: datetime | None = None
    step: int = 0
    reminders: int = 0
    reminded_at: datetime | None = None
    acknowledgement: Acknowledgement | None = None
    held: str = ""
    held_version: int = 0
    maintenance: str = ""
    closed_at: datetime | None = None
    closed_because: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it goes on."""
        return self.closed_at is None

    @property
    def is_finished(self) -> bool:
        """Whether it is over and nothing about it is left to tell."""
        return self.closed_at is not None and self.told in (None, Colour.GREEN)

    @property
    def cause(self) -> str:
        """Code of the worst reason."""
        return self.reasons[0].code if self.reasons else ""

    @property
    def wanted(self) -> Colour:
        """What people should know."""
        return self.colour if self.is_open else Colour.GREEN

    @property
    def new_causes(self) -> tuple[str, ...]:
        """Codes of the reasons that make its present colour and that nobody was told of yet."""
        if not self.is_open:
            return ()
        codes = (reason.code for reason in self.reasons if reason.colour is self.colour)
        return tuple(code for code in dict.fromkeys(codes) if code not in self.told_causes)

    @property
    def last_word_at(self) -> datetime:
        """When people heard of it last."""
        return max(self.told_at or self.opened_at, self.reminded_at or self.opened_at)

    def lasted(self, now: datetime) -> timedelta:
        """How long it has lasted, or lasted."""
        return max(timedelta(0), (self.closed_at or now) - self.opened_at)

    def clamped(self, now: datetime) -> Self:
        """Bring instants from before the clock was put back into the present, so that nothing waits for them."""

        def past(at: datetime | None) -> datetime | None:
            return min(at, now) if at else None

        return replace(
            self,
            opened_at=min(self.opened_at, now),
            told_at=past(self.told_at),
            alarm_at=past(self.alarm_at),
            reminded_at=past(self.reminded_at),
            closed_at=past(self.closed_at),
        )

    def seen(self, colour: Colour, reasons: Iterable[Reason]) -> Self:
        """Note how it stands now."""
        return replace(self, colour=colour, worst=worst((self.worst, colour)), reasons=tuple(bad(reasons)))

    def closed(self, because: str, now: datetime) -> Self:
        """End it."""
        return replace(self, closed_at=now, closed_because=because)

    def held_back(self, why: str, *, version: int = 0, maintenance: str = "") -> Self:
        """Note that what is new could not be told now.

        Args:
            why: In words.
            version: Of the health state, where channels without quiet hours are told all the same.
            maintenance: Reason of the maintenance window, where one is why.
        """
        return replace(
            self,
            held=why,
            held_version=version or self.held_version,
            maintenance=maintenance or self.maintenance,
        )

    def told_now(self, version: int, now: datetime) -> Self:
        """Note that people were told how it stands; what is worse or new makes an acknowledgement void.

        Args:
            version: Of the health state that was told.
            now: Aware instant.
        """
        colour = self.wanted
        is_better = self.told is not None and colour is not worst((self.told, colour))
        told = replace(
            self,
            told=colour,
            told_at=now,
            told_version=version,
            told_causes=(*self.told_causes, *self.new_causes),
            held="",
            held_version=0,
            reminders=self.reminders if colour is self.told else 0,
            acknowledgement=self.acknowledgement if is_better else None,
        )
        if colour is not Colour.RED:
            return replace(told, alarm_at=None)
        if self.told is Colour.RED and self.acknowledgement is None:
            return told
        return replace(told, alarms=self.alarms + 1, alarm_at=now, step=0)


def bad(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Leave out what is good."""
    return tuple(reason for reason in reasons if reason.colour is not Colour.GREEN)


def open_incident(source: str, version: int, colour: Colour, reasons: Iterable[Reason], now: datetime) -> Incident:
    """Open an incident; the number of the change that began it makes its id unique, whatever clocks say."""
    return Incident(
        id=f"{source or SYSTEM_NAME}#{version}",
        source=source,
        opened_at=now,
        colour=colour,
        worst=colour,
        reasons=bad(reasons),
    )
