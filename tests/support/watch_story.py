"""A story in which sources change their health, looked at every ten minutes by a clock that the story sets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.health_reason import Colour, Reason, worst
from shared.domain.incident import Acknowledgement, Incident
from shared.domain.source_watch import News, WatchPolicy
from shared.domain.transition import HealthState, Transition
from shared.domain.watch_plan import Event, Look, Recorded, WatchPlan, plan_watch

EVERY = timedelta(minutes=10)
COLOURS = {
    "no-backup": Colour.RED,
    "backup-stale": Colour.RED,
    "test-failed": Colour.RED,
    "repository-unreachable": Colour.RED,
    "backup-overdue": Colour.YELLOW,
    "last-run-failed": Colour.YELLOW,
    "anomaly": Colour.YELLOW,
    "test-overdue": Colour.YELLOW,
    "catalog-stale": Colour.UNKNOWN,
}


def at(text: str) -> datetime:
    """Read `2026-03-02 01:50` as UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def look(*codes: str) -> Look:
    """How a source stands for these reasons; green for none."""
    reasons = [Reason(code=code, colour=COLOURS[code], sentence=f"{code}.", action="Look.") for code in codes]
    reasons.sort(key=lambda reason: list(Colour).index(reason.colour))
    if not reasons:
        return Look(colour=Colour.GREEN, reasons=(Reason(code="good", colour=Colour.GREEN, sentence="good."),))
    return Look(colour=worst(reason.colour for reason in reasons), reasons=tuple(reasons))


@dataclass
class Memory:
    """What a catalog would keep."""

    states: dict[str, HealthState] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    transitions: list[Transition] = field(default_factory=list)
    told: list[tuple[datetime, News]] = field(default_factory=list)

    def recorded(self, policy: WatchPolicy, now: datetime) -> Recorded:
        changes: dict[str, int] = {}
        for item in self.transitions:
            if item.at > now - policy.flapping_window and item.version > 1:
                changes[item.source] = changes.get(item.source, 0) + 1
        unfinished = [incident for incident in self.incidents.values() if not incident.is_finished]
        return Recorded(states=dict(self.states), incidents=unfinished, changes=changes)

    def keep(self, plan: WatchPlan, now: datetime) -> None:
        self.states |= {state.source: state for state in plan.states}
        self.incidents |= {incident.id: incident for incident in plan.incidents}
        self.transitions += plan.transitions
        self.told += [(now, item) for group in plan.news for item in group]


@dataclass
class Story:
    """Looks at the same instants as a watch would, and writes down who was told what."""

    policy: WatchPolicy = field(default_factory=WatchPolicy)
    memory: Memory = field(default_factory=Memory)
    lines: list[str] = field(default_factory=list)

    def look_at(self, now: datetime, looks: Mapping[str, Look], events: Sequence[Event] = ()) -> WatchPlan:
        """Look once."""
        plan = plan_watch(self.memory.recorded(self.policy, now), looks, events, self.policy, now)
        self.memory.keep(plan, now)
        self.lines += [_line(now, group) for group in plan.news]
        self.lines += [
            f"{now:%m-%d %H:%M} event {' '.join(event.notice.key for event in item.events)} {item.audience.value}"
            + (f" later {item.later_at:%m-%d %H:%M}" if item.later_at else "")
            for item in plan.events
        ]
        return plan

    def run(self, begin: str, end: str, looks: Callable[[datetime], Mapping[str, Look]]) -> list[str]:
        """Look every ten minutes from one instant up to, and without, another; return what was told."""
        now, lines = at(begin), len(self.lines)
        while now < at(end):
            self.look_at(now, looks(now))
            now += EVERY
        return self.lines[lines:]

    def stay(self, begin: str, end: str, **codes: Iterable[str]) -> list[str]:
        """Look every ten minutes while nothing changes; keywords are sources and the codes of their reasons."""
        looks = {name: look(*found) for name, found in codes.items()}
        return self.run(begin, end, lambda _now: looks)

    def acknowledge(self, incident_id: str, now: str) -> None:
        """Say that somebody is at it."""
        taken = Acknowledgement(at=at(now), by="ada", reason="on it")
        self.memory.incidents[incident_id] = self.memory.incidents[incident_id].acknowledged(taken)


def _line(now: datetime, group: Sequence[News]) -> str:
    first = group[0]
    names = ",".join(item.source or "system" for item in group)
    after = first.after.value if first.after else "gone"
    extra = f" step {first.step}" if first.kind.value == "escalation" else ""
    audience = "" if first.audience.value == "all" else f" ({first.audience.value})"
    return f"{now:%m-%d %H:%M} {first.kind.value} {names} {after} {first.cause}{extra}{audience}"
