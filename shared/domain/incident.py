"""An incident: the time from when something stopped being green until it is green again, and what people were told."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self

from shared.domain.health_reason import Colour, Reason, worst

FORGOTTEN_AFTER = timedelta(hours=1)
"""A reason that was away for so long is a new one when it comes back; shorter gaps are flapping and stay quiet."""

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
        colour_since: Since when it has this colour; None means from its beginning on.
        worst: The worst colour it had.
        worst_because: The worst reason of the time in which it had that colour, one sentence.
        worst_seconds: How long it had that colour, as far as that time is over.
        reasons: Why, worst first; never green ones.
        told: What people were told last; None while nothing was told, green once the recovery was.
        told_at: When.
        words: How often people were told something new of it.
        told_version: Version of the health state that was told.
        told_causes: Names of all reasons that were told, each with its colour, and with what it is about if it can be
            about several things.
        absent: Those of them that are no reasons any more, and since when.
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
    colour_since: datetime | None = None
    worst_because: str = ""
    worst_seconds: float = 0.0
    reasons: tuple[Reason, ...] = ()
    told: Colour | None = None
    told_at: datetime | None = None
    words: int = 0
    told_version: int = 0
    told_causes: tuple[str, ...] = ()
    absent: Mapping[str, datetime] = field(default_factory=dict)
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
    def new_reasons(self) -> tuple[Reason, ...]:
        """Reasons that make its present colour and that nobody was told of yet."""
        if not self.is_open:
            return ()
        return tuple(item for item in self.reasons if item.colour is self.colour and not self.knows(item))

    @property
    def new_causes(self) -> tuple[str, ...]:
        """Their codes."""
        return tuple(dict.fromkeys(reason.code for reason in self.new_reasons))

    @property
    def stands_since(self) -> datetime:
        """Since when it has the colour that it has, or had last."""
        return self.colour_since or self.opened_at

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
            colour_since=past(self.colour_since),
            absent={cause: min(at, now) for cause, at in self.absent.items()},
            told_at=past(self.told_at),
            alarm_at=past(self.alarm_at),
            reminded_at=past(self.reminded_at),
            closed_at=past(self.closed_at),
        )

    def was_worst_for(self, now: datetime) -> timedelta:
        """How long it has had, or had, the worst of its colours."""
        going_on = self._seconds_of_colour(now) if self.is_open else 0.0
        return timedelta(seconds=self.worst_seconds + (going_on if self.colour is self.worst else 0.0))

    def _seconds_of_colour(self, now: datetime) -> float:
        return max(0.0, (now - self.stands_since).total_seconds())

    def knows(self, reason: Reason) -> bool:
        """Say whether people were told of a reason, at least as bad as it is now."""
        bad_enough = [colour for colour in Colour if worst((colour, reason.colour)) is colour]
        return all(
            any(_name(colour, cause) in self.told_causes for colour in bad_enough) for cause in causes_of(reason)
        )

    def seen(self, colour: Colour, reasons: Iterable[Reason], now: datetime) -> Self:
        """Note how it stands now."""
        after = replace(self, colour=colour, reasons=bad(reasons))
        if colour is not self.colour:
            after = replace(after, colour_since=now)
            if self.colour is self.worst:
                after = replace(after, worst_seconds=self.worst_seconds + self._seconds_of_colour(now))
        if worst((self.worst, colour)) is not self.worst:
            after = replace(after, worst=colour, worst_because=_sentence(after.reasons), worst_seconds=0.0)
        return after.remembering(now)

    def remembering(self, now: datetime) -> Self:
        """Forget what people were told of reasons that went away, so that these are new when they come back.

        A reason that is there and less bad than it was told is known as what it is now.
        """
        colours = {cause: reason.colour for reason in reversed(self.reasons) for cause in causes_of(reason)}
        told: list[str] = []
        absent: dict[str, datetime] = {}
        for name in self.told_causes:
            colour, cause = Colour(name.partition(":")[0]), name.partition(":")[2]
            now_is = colours.get(cause)
            is_there = now_is is not None and worst((now_is, colour)) is now_is
            since = self.absent.get(name, now)
            if now - since < FORGOTTEN_AFTER:
                told.append(name)
                if not is_there:
                    absent[name] = since
            elif now_is is not None and not is_there:
                told.append(_name(now_is, cause))
        return replace(self, told_causes=tuple(dict.fromkeys(told)), absent=absent)

    def acknowledged(self, taken: Acknowledgement) -> Self:
        """Note that somebody is at it; that covers the reasons that stand now, also the less bad ones."""
        return replace(self, acknowledgement=taken, told_causes=self._with_causes(self.reasons))

    def voided(self) -> Self:
        """End an acknowledgement because it got worse: how it stands is new to everybody, and the escalation begins."""
        return replace(self, acknowledgement=None, told_causes=(), absent={}, alarm_at=None, reminders=0)

    def told_of(self, codes: Iterable[str]) -> Self:
        """Note that notices of events told of reasons with these codes."""
        wanted = set(codes)
        return replace(self, told_causes=self._with_causes(item for item in self.reasons if item.code in wanted))

    def _with_causes(self, reasons: Iterable[Reason]) -> tuple[str, ...]:
        names = (_name(reason.colour, cause) for reason in reasons for cause in causes_of(reason))
        return tuple(dict.fromkeys((*self.told_causes, *names)))

    def closed(self, because: str, now: datetime) -> Self:
        """End it."""
        return replace(
            self, worst_seconds=self.was_worst_for(now).total_seconds(), closed_at=now, closed_because=because
        )

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
        is_covered = is_better and not self.new_causes
        taken = self.acknowledgement if is_covered else None
        is_void = self.acknowledgement is not None and taken is None
        now_said = (reason for reason in self.reasons if reason.colour is self.colour) if self.is_open else ()
        told = replace(
            self,
            told=colour,
            told_at=now,
            words=self.words + 1,
            told_version=version,
            told_causes=self._with_causes(now_said),
            held="",
            held_version=0,
            reminders=self.reminders if colour is self.told and not is_void else 0,
            acknowledgement=taken,
        )
        if colour is Colour.UNKNOWN:
            return told  # what was red may be red: its escalation goes on
        if colour is not Colour.RED:
            return replace(told, alarm_at=None)
        if self.alarm_at is not None and not is_void:
            return told
        return replace(told, alarms=self.alarms + 1, alarm_at=now, step=0)


def bad(reasons: Iterable[Reason]) -> tuple[Reason, ...]:
    """Leave out what is good."""
    return tuple(reason for reason in reasons if reason.colour is not Colour.GREEN)


def causes_of(reason: Reason) -> tuple[str, ...]:
    """Name a reason once for each thing that it is about: more of the same is another one."""
    return tuple(f"{reason.code}:{item}" for item in reason.subjects) or (reason.code,)


def _name(colour: Colour, cause: str) -> str:
    return f"{colour.value}:{cause}"


def _sentence(reasons: tuple[Reason, ...]) -> str:
    return reasons[0].sentence if reasons else ""


def open_incident(source: str, version: int, colour: Colour, reasons: Iterable[Reason], now: datetime) -> Incident:
    """Open an incident; the number of the change that began it makes its id unique, whatever clocks say."""
    return Incident(
        id=f"{source or SYSTEM_NAME}#{version}",
        source=source,
        opened_at=now,
        colour=colour,
        worst=colour,
        colour_since=now,
        worst_because=_sentence(bad(reasons)),
        reasons=bad(reasons),
    )
