"""Decide what one look at everything comes to: what is recorded, and who is told what.

`source_watch` decides for each source; here events that tell of the same thing stand in for the news of a source, and
news of many sources for one reason become one.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.health_reason import Colour, Reason
from shared.domain.incident import Incident
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.quiet import maintenance_of
from shared.domain.source_watch import Audience, News, NewsKind, SourcePlan, SourceView, WatchPolicy, plan_source
from shared.domain.transition import HealthState, Transition

GROUP_FROM = 3
"""So many sources with the same news are told of in one notice."""

SHARED_CAUSES = frozenset({"repository-unreachable", "provider-outage", "catalog-stale"})
"""Reasons that lie outside the sources: two with one of them are told of together."""

Group = tuple[News, ...]
_EventGroup = tuple[NoticeEvent, NoticeSeverity, str, Audience, datetime | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How a source stands now, and why, worst first."""

    colour: Colour
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened once, with the notice that tells it.

    Attributes:
        notice: What is told.
        causes: Codes of the reasons for a bad health that it tells of as well.
        cause: What makes several of them one and the same trouble, such as an error's number; may be empty.
    """

    notice: Notice
    causes: frozenset[str] = frozenset()
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedEvent:
    """Events to be told in one notice.

    Attributes:
        events: One, or several of one kind.
        audience: Who hears it now, as far as quiet hours go.
        later_at: When the others hear it, where they do.
    """

    events: tuple[Event, ...]
    audience: Audience = Audience.ALL
    later_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What earlier looks left behind.

    Attributes:
        states: How every source stood, the system under the empty name.
        incidents: Those that are not finished.
        changes: Changes of health by source within the flapping window.
    """

    states: Mapping[str, HealthState] = field(default_factory=dict)
    incidents: Sequence[Incident] = ()
    changes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPlan:
    """What one look comes to.

    Attributes:
        states: Those that changed.
        transitions: Changes of health, by source.
        incidents: Those that changed.
        news: What people should hear of health; a group of several is told in one notice.
        events: What people should hear of what happened.
    """

    states: tuple[HealthState, ...] = ()
    transitions: tuple[Transition, ...] = ()
    incidents: tuple[Incident, ...] = ()
    news: tuple[Group, ...] = ()
    events: tuple[PlannedEvent, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether nothing changed and nobody has to hear anything."""
        return not (self.states or self.transitions or self.incidents or self.news or self.events)


def plan_watch(
    recorded: Recorded, looks: Mapping[str, Look], events: Sequence[Event], policy: WatchPolicy, now: datetime
) -> WatchPlan:
    """Decide what one look comes to.

    Args:
        recorded: What earlier looks left behind.
        looks: How every source of the configuration stands, and the system under the empty name.
        events: What happened since the last look, oldest first.
        policy: How people are told.
        now: Aware instant.

    Returns:
        What to record and to tell; empty where all is as it was.
    """
    incidents = _by_source(recorded.incidents)
    happened: dict[str, list[Event]] = {}
    for event in events:
        happened.setdefault(event.notice.source, []).append(event)
    plans: list[SourcePlan] = []
    for source in sorted({*looks, *incidents, *(name for name, state in recorded.states.items() if state.colour)}):
        look = looks.get(source)
        loud = _loud_events(happened.get(source, ()), look, maintenance_of(source, policy.maintenance, now))
        view = SourceView(
            source=source,
            colour=look.colour if look else None,
            reasons=look.reasons if look else (),
            state=recorded.states.get(source),
            incidents=tuple(incidents.get(source, ())),
            changes=recorded.changes.get(source, 0),
            told_causes=_causes(loud),
            told_at_once=_causes(event for event in loud if event.notice.severity is NoticeSeverity.CRITICAL),
        )
        plans.append(plan_source(view, policy, now))
    known = {incident.id: incident for incident in recorded.incidents}
    return WatchPlan(
        states=tuple(plan.state for plan in plans if plan.state != recorded.states.get(plan.state.source)),
        transitions=tuple(plan.transition for plan in plans if plan.transition),
        incidents=tuple(item for plan in plans for item in plan.incidents if _is_news(known.get(item.id), item)),
        news=tuple(group_news(news for plan in plans for news in plan.news)),
        events=tuple(_plan_events(events, looks, incidents, policy, now)),
    )


def group_news(news: Iterable[News]) -> Iterable[Group]:
    """Put together what is the same news for the same reason; the order of first appearance stays."""
    groups: dict[tuple[object, ...], list[News]] = {}
    for item in news:
        groups.setdefault(_likeness(item), []).append(item)
    for group in groups.values():
        enough = 2 if group[0].cause in SHARED_CAUSES or group[0].held else GROUP_FROM
        if len(group) >= enough:
            yield tuple(group)
        else:
            yield from ((item,) for item in group)


def _likeness(item: News) -> tuple[object, ...]:
    """Return what news must share to be told in one notice; what lies outside of the sources needs no more."""
    same = (item.kind, item.cause, item.after, item.audience)
    if item.kind is NewsKind.CHANGED and item.cause in SHARED_CAUSES:
        return same
    return (*same, item.step, item.first_step, item.reminds, bool(item.held))


def severity_of(colour: Colour | None) -> NoticeSeverity:
    """How much a colour matters."""
    if colour is Colour.RED:
        return NoticeSeverity.CRITICAL
    return NoticeSeverity.WARNING if colour in (Colour.YELLOW, Colour.UNKNOWN) else NoticeSeverity.INFO


def _by_source(incidents: Iterable[Incident]) -> dict[str, list[Incident]]:
    found: dict[str, list[Incident]] = {}
    for incident in incidents:
        found.setdefault(incident.source, []).append(incident)
    return found


def _is_news(before: Incident | None, after: Incident) -> bool:
    """Say whether an incident is to be written: the numbers in its sentences change with every look and are not."""
    if before is None:
        return True
    named = [[(reason.code, reason.colour, reason.subjects) for reason in item.reasons] for item in (before, after)]
    return named[0] != named[1] or replace(before, reasons=()) != replace(after, reasons=())


def _loud_events(events: Iterable[Event], look: Look | None, maintenance: str) -> list[Event]:
    """Return the events of a source that are told now and are as severe as its health."""
    if look is None or maintenance:
        return []
    needed = severity_of(look.colour).rank
    return [event for event in events if event.notice.severity.rank >= needed]


def _causes(events: Iterable[Event]) -> frozenset[str]:
    return frozenset(code for event in events for code in event.causes)


def _plan_events(
    events: Iterable[Event],
    looks: Mapping[str, Look],
    incidents: Mapping[str, Sequence[Incident]],
    policy: WatchPolicy,
    now: datetime,
) -> Iterable[PlannedEvent]:
    """Leave out what a maintenance window holds back, put off what quiet hours do, and put equal things together."""
    groups: dict[_EventGroup, list[Event]] = {}
    quiet_until = policy.quiet.end_after(now) if policy.quiet and policy.quiet.holds(now) else None
    for event in events:
        notice = event.notice
        is_trouble = notice.severity is not NoticeSeverity.INFO
        if is_trouble and maintenance_of(notice.source, policy.maintenance, now):
            continue
        later_at = quiet_until if notice.severity is NoticeSeverity.WARNING else None
        is_covered = later_at is not None and _is_told_in_the_morning(event, looks, incidents)
        audience = Audience.ALL if later_at is None else Audience.LOUD
        key = (notice.event, notice.severity, event.cause, audience, None if is_covered else later_at)
        groups.setdefault(key, []).append(event)
    for (_, _, _, audience, later_at), group in groups.items():
        enough = 2 if all(event.causes & SHARED_CAUSES for event in group) else GROUP_FROM
        parts = [tuple(group)] if len(group) >= enough else [(event,) for event in group]
        yield from (PlannedEvent(events=part, audience=audience, later_at=later_at) for part in parts)


def _is_told_in_the_morning(
    event: Event, looks: Mapping[str, Look], incidents: Mapping[str, Sequence[Incident]]
) -> bool:
    """Say whether the health of the source, if it is still bad then, will tell of this event anyway."""
    look, known = looks.get(event.notice.source), incidents.get(event.notice.source, ())
    if look is None or look.colour is not Colour.YELLOW:
        return False
    told = [reason for reason in look.reasons if any(incident.knows(reason) for incident in known)]
    return any(reason.code in event.causes and reason not in told for reason in look.reasons)
