"""Decide for one source what changed, which incident that begins or ends, and what people should hear of it now.

It looks at levels, not at edges: an incident knows what people were told, and they are told whenever that is no longer
how it stands. So quiet hours, maintenance windows and watchers that died only make it later, never twice or not at all.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from shared.domain.escalation import Escalation, Reminders
from shared.domain.health_reason import Colour, Reason, worst
from shared.domain.incident import Incident, open_incident
from shared.domain.quiet import MaintenanceWindow, QuietHours, maintenance_of
from shared.domain.transition import HealthState, Transition, follow

QUIET = "quiet hours"
GREEN_AGAIN = "green again"
REMOVED = "the source was removed from the configuration"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPolicy:
    """How people are told.

    Attributes:
        escalation: Who hears of red incidents, and after what time.
        reminders: How often they are reminded.
        quiet: Hours in which only red is told.
        maintenance: Windows in which nothing is told.
        flapping_changes: So many changes within `flapping_window` make a source a flapping one.
        flapping_window: See above.
        settle: How long a flapping source must be better before that is believed.
    """

    escalation: Escalation = field(default_factory=Escalation)
    reminders: Reminders = field(default_factory=Reminders)
    quiet: QuietHours | None = None
    maintenance: tuple[MaintenanceWindow, ...] = ()
    flapping_changes: int = 4
    flapping_window: timedelta = timedelta(hours=6)
    settle: timedelta = timedelta(hours=1)


class Audience(StrEnum):
    """Which channels hear of something, as far as quiet hours go."""

    ALL = "all"
    LOUD = "loud"
    """Those without quiet hours: they hear now what the others hear in the morning."""
    KEEPING = "keeping"
    """Those that keep quiet hours: the others have heard it."""


class NewsKind(StrEnum):
    """What kind of word it is."""

    CHANGED = "changed"
    RECOVERED = "recovered"
    REMOVED = "removed"
    REMINDER = "reminder"
    ESCALATION = "escalation"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing that people should hear now.

    Attributes:
        key: Unique name of it.
        kind: What kind of word it is.
        source: What it is about; empty for the system.
        cause: Code of the reason that counts; sources with the same one are told of together.
        because: That reason, where there is one.
        before: What was told before, where anything was.
        after: How it stands; None where it is not watched any more.
        incident: As it stands after this was told; None for a source that left while it was green.
        step: Last tier that hears it now, for an escalation; else the last tier that has heard of the incident.
        first_step: First tier whose turn it is, for an escalation.
        reminds: Whether an escalation is a reminder as well, to all who heard of the incident before.
        held: Why it was not told earlier, if it was held back.
        audience: Who hears it, as far as quiet hours go.
    """

    key: str
    kind: NewsKind
    source: str
    cause: str
    before: Colour | None
    after: Colour | None
    incident: Incident | None
    because: Reason | None = None
    step: int = 0
    first_step: int = 0
    reminds: bool = False
    held: str = ""
    audience: Audience = Audience.ALL


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceView:
    """What is recorded and known of one source.

    Attributes:
        source: Its name; empty for the system.
        colour: How it stands; None where it left the configuration.
        reasons: Why, worst first.
        state: How it stood when it was last looked at.
        incidents: Those that are not finished: at most one open one, and closed ones whose end was not told yet.
        changes: Changes of its health within the flapping window.
        told_causes: Codes of reasons that a notice of this very look tells of already, with a severity that does.
        told_at_once: Those of them that everybody is told of now, also in quiet hours.
    """

    source: str
    colour: Colour | None
    reasons: tuple[Reason, ...] = ()
    state: HealthState | None = None
    incidents: tuple[Incident, ...] = ()
    changes: int = 0
    told_causes: Collection[str] = ()
    told_at_once: Collection[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePlan:
    """What to record and to tell of one source."""

    state: HealthState
    transition: Transition | None
    incidents: tuple[Incident, ...]
    news: tuple[News, ...]


def plan_source(view: SourceView, policy: WatchPolicy, now: datetime) -> SourcePlan:
    """Decide what to record and to tell of one source.

    Args:
        view: What is recorded and known of it.
        policy: How people are told.
        now: Aware instant.

    Returns:
        Its state, its change if there was one, its incidents as they stand now, and the news that are due.
    """
    state, transition = follow(view.state, view.source, view.colour, view.reasons, now)
    changes = view.changes + (transition is not None)
    is_settled = changes < policy.flapping_changes or now - state.since >= policy.settle
    incidents = [incident.clamped(now) for incident in view.incidents]
    if not any(incident.is_open for incident in incidents) and view.colour not in (None, Colour.GREEN):
        incidents.append(open_incident(view.source, state.version, view.colour or Colour.RED, view.reasons, now))
    teller = _Teller(view, policy, state, now, is_settled=is_settled)
    if transition is not None and _is_worse(transition):
        incidents = [incident.voided() if incident.acknowledgement else incident for incident in incidents]
    told = tuple(teller.tell(teller.advance(incident)) for incident in incidents)
    if transition is not None and view.colour is None and not any(item.closed_because == REMOVED for item in told):
        teller.note_removal(transition.before)
    return SourcePlan(state=state, transition=transition, incidents=told, news=tuple(teller.news))


def _is_worse(transition: Transition) -> bool:
    before, after = transition.before, transition.after
    return before is not None and after is not None and worst((before, after)) is after


class _Teller:
    """Brings incidents up to date and collects the news of one source."""

    def __init__(
        self, view: SourceView, policy: WatchPolicy, state: HealthState, now: datetime, *, is_settled: bool
    ) -> None:
        self._view, self._policy, self._state, self._now = view, policy, state, now
        self._is_settled = is_settled
        self._maintenance = maintenance_of(view.source, policy.maintenance, now)
        self._is_quiet = policy.quiet is not None and policy.quiet.holds(now)
        self._just_closed: set[str] = set()
        self.news: list[News] = []

    def advance(self, incident: Incident) -> Incident:
        """Note how an incident stands now."""
        colour = self._view.colour
        if not incident.is_open:
            return incident
        if colour is None or (colour is Colour.GREEN and self._is_settled):
            self._just_closed.add(incident.id)
            return incident.closed(GREEN_AGAIN if colour else REMOVED, self._now)
        return incident if colour is Colour.GREEN else incident.seen(colour, self._view.reasons, self._now)

    def tell(self, incident: Incident) -> Incident:
        """Tell what is new about an incident, or why it is not told now; else remind and escalate."""
        if incident.is_open and self._view.colour is Colour.GREEN:
            return incident  # it flaps: neither news nor a reminder before it is clear where it ends
        if incident.closed_at is not None and incident.told is None:
            return self._end_untold(incident)
        if incident.wanted is not incident.told or incident.new_causes:
            return self._tell_news(incident)
        return self._urge(incident) if incident.is_open else incident

    def note_removal(self, before: Colour | None) -> None:
        """Tell that a source left the configuration without an open incident."""
        self.news.append(
            News(
                key=f"removed:{self._view.source}:{self._state.version}",
                kind=NewsKind.REMOVED,
                source=self._view.source,
                cause="removed",
                before=before,
                after=None,
                incident=None,
            )
        )

    def _tell_news(self, incident: Incident) -> Incident:
        wanted, told = incident.wanted, incident.told
        is_better = told is not None and wanted is not told and wanted is not worst((told, wanted))
        if incident.is_open and is_better and not self._is_settled:
            return incident
        why = self._why_not_now(incident)
        if why == QUIET:
            incident = incident.told_of(self._view.told_at_once)
            if not self._is_told_at_once(incident):
                return self._tell_early(incident)
            return incident.told_now(self._state.version, self._now)
        if why:
            return incident.held_back(why, maintenance=self._maintenance)
        after = incident.told_now(self._state.version, self._now)
        if not self._is_told_by_event(incident):
            audience = Audience.KEEPING if self._was_told_early(incident) else Audience.ALL
            self.news.append(self._word(incident, after, audience))
        return after

    def _is_told_by_event(self, incident: Incident) -> bool:
        """Say whether a notice of this very look tells of all that is new; that something was worse is told anyway."""
        fresh = set(incident.new_causes)
        is_better = incident.told is not None and incident.wanted is not worst((incident.told, incident.wanted))
        return bool(fresh) and fresh <= set(self._view.told_causes) and not is_better

    def _is_told_at_once(self, incident: Incident) -> bool:
        """Say whether everybody hears of all of it in this very look although it is quiet."""
        return incident.is_open and bool(self._view.told_at_once) and not incident.new_causes

    def _tell_early(self, incident: Incident) -> Incident:
        """Hold something back in quiet hours; only channels that have none hear of it now."""
        is_new = incident.held_version != self._state.version if incident.is_open else incident.id in self._just_closed
        if not is_new:
            return incident.held_back(QUIET)
        after = incident.held_back(QUIET, version=self._state.version)
        if not self._is_told_by_event(incident):
            self.news.append(self._word(incident, after, Audience.LOUD))
        return after

    def _was_told_early(self, incident: Incident) -> bool:
        """Say whether channels without quiet hours know already what was held back."""
        if incident.held != QUIET:
            return False
        if incident.is_open:
            return incident.held_version == self._state.version
        return incident.held_version > incident.told_version

    def _end_untold(self, incident: Incident) -> Incident:
        """End what was over before people heard of it; channels without quiet hours may have heard."""
        if incident.held_version:
            self.news.append(self._word(incident, incident, Audience.LOUD))
        return incident

    def _word(self, before: Incident, after: Incident, audience: Audience) -> News:
        if before.is_open:
            kind, because = NewsKind.CHANGED, next(iter((*before.new_reasons, *before.reasons)), None)
            cause = because.code if because else ""
            key = f"changed:{before.source or 'system'}:{self._state.version}:{cause}{self._again(before)}"
        else:
            is_removed = before.closed_because == REMOVED
            because = None
            kind, cause = (NewsKind.REMOVED if is_removed else NewsKind.RECOVERED), before.cause
            key = f"{kind.value}:{before.id}"
        return News(
            key=f"early:{key}" if audience is Audience.LOUD else key,
            kind=kind,
            source=before.source,
            cause=cause,
            before=before.told,
            after=None if kind is NewsKind.REMOVED else before.wanted,
            incident=after,
            because=because,
            step=after.step if before.wanted is Colour.RED else before.step,
            held="" if audience is Audience.LOUD else before.held,
            audience=audience,
        )

    def _again(self, incident: Incident) -> str:
        """Tell another word about the same change from the one before it, also where a clock was set back."""
        is_other = incident.told_at is not None and incident.told_version == self._state.version
        return f":{incident.words}" if is_other else ""

    def _why_not_now(self, incident: Incident) -> str:
        """Say why this is not told now: a maintenance window holds back all, quiet hours what was never red."""
        if self._maintenance:
            return f"maintenance: {self._maintenance}"
        mild = (Colour.YELLOW, Colour.GREEN)
        if self._is_quiet and incident.wanted in mild and incident.told in (None, *mild):
            return QUIET
        return ""

    def _urge(self, incident: Incident) -> Incident:
        """Remind and escalate; where both are due at once, one notice does both."""
        if incident.acknowledgement or self._maintenance:
            return incident
        is_due, steps = self._is_reminder_due(incident), self._due_steps(incident)
        after = replace(incident, reminders=incident.reminders + 1, reminded_at=self._now) if is_due else incident
        if steps:
            after = replace(after, step=steps[-1])
            key = f"escalation:{incident.id}:{incident.alarms}:{after.step}"
            news = self._about(NewsKind.ESCALATION, key, after)
            self.news.append(replace(news, first_step=steps[0], reminds=is_due))
        elif is_due:
            key = f"reminder:{incident.id}:{incident.words}:{after.reminders}"
            self.news.append(self._about(NewsKind.REMINDER, key, after))
        return after

    def _is_reminder_due(self, incident: Incident) -> bool:
        is_yellow = incident.colour is Colour.YELLOW
        if is_yellow and self._is_quiet:
            return False
        return self._policy.reminders.is_due(incident.reminders, incident.last_word_at, self._now, yellow=is_yellow)

    def _due_steps(self, incident: Incident) -> list[int]:
        """Return the tiers whose time has come; what was red and is unknown now may still be red."""
        if incident.colour not in (Colour.RED, Colour.UNKNOWN) or incident.alarm_at is None:
            return []
        return list(self._policy.escalation.due_steps(incident.step, self._now - incident.alarm_at))

    def _about(self, kind: NewsKind, key: str, incident: Incident) -> News:
        return News(
            key=key,
            kind=kind,
            source=incident.source,
            cause=incident.cause,
            before=incident.told,
            after=incident.colour,
            incident=incident,
            step=incident.step,
        )
