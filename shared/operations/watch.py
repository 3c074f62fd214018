"""Look at everything once: judge, record what changed, tell people, once.

What is recorded goes into one transaction that fails when anybody recorded something since this look began; then it
looks again. So of two watchers at once one records, and the other finds nothing new. Whatever kills a watcher, the next
one goes on: before the transaction nothing happened, after it the notices wait in the outbox.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from shared.catalog.engine import Catalog
from shared.catalog.watch_conversion import reason_documents
from shared.catalog.watch_records import OutboxNotice, WatchRecord, WatchResult
from shared.domain.calendar_notices import due_period, period_before
from shared.domain.channel import Channel
from shared.domain.channel_health import CHANNEL_FAILED, DEAD_MANS_SWITCH, ChannelFailures, channel_reason
from shared.domain.cost import Prices
from shared.domain.health import Health
from shared.domain.health_reason import Colour, Reason, worst, worst_first
from shared.domain.notice import Notice, NoticeSeverity
from shared.domain.notice_digest import canary
from shared.domain.notice_health import channel_failed
from shared.domain.notice_words import Protection
from shared.domain.repository_reason import REPOSITORY_CHANGED, repository_reason
from shared.domain.routing import channels_of_event, channels_of_news, tells
from shared.domain.schedule import Cron
from shared.domain.source import Source
from shared.domain.source_watch import Audience, News, WatchPolicy
from shared.domain.transition import SYSTEM, Transition
from shared.domain.watch_plan import Event, Group, Look, PlannedEvent, Recorded, WatchPlan, group_news, plan_watch
from shared.domain.watch_texts import Words, event_notices, news_notices
from shared.errors import CatalogProblem
from shared.operations.anomalies import look_at_clock
from shared.operations.digest import DigestFacts, digest_key, make_digest
from shared.operations.notice_delivery import GIVE_UP_AFTER, Post, Send, Sent, deliver_outbox
from shared.operations.watch_events import EventReader
from shared.units import format_instant

# Every lost try means that somebody else recorded something: with so many, something else is wrong.
_TRIES = 50
_OWN_CODES = (CHANNEL_FAILED, DEAD_MANS_SWITCH, REPOSITORY_CHANGED)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchPlace:
    """What a look needs.

    Attributes:
        catalog: Where everything is recorded.
        sources: The configured sources by name.
        channels: The configured channels by name.
        policy: How people are told.
        read_healths: Judges every source for an instant.
        send: Sends one notice to one channel, in bounded time.
        system_reasons: What is wrong with whoever fires schedules; None where nobody asked, then what was found last
            counts.
        own_reasons: What is wrong with the watch itself, asked for each look.
        app_url: Where the app is reached; empty where there is none.
        digest: When the digest is told; None for never.
        canary: When every channel is proven; None for never.
        prices: What the digest counts the cost with.
        holder: Name of this process, unique among those that watch now.
    """

    catalog: Catalog
    sources: Mapping[str, Source]
    channels: Mapping[str, Channel]
    policy: WatchPolicy
    read_healths: Callable[[datetime], Sequence[Health]]
    send: Send
    system_reasons: tuple[Reason, ...] | None = None
    own_reasons: tuple[Reason, ...] = ()
    app_url: str = ""
    digest: Cron | None = None
    canary: Cron | None = None
    prices: Prices = field(default_factory=Prices)
    holder: str = "watch"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchReport:
    """What one look came to.

    Attributes:
        at: For when it judged.
        healths: How every source stands.
        transitions: Changes of health that it recorded.
        notices: Notices that it put into the outbox.
        sent: How every attempt to deliver ended, also of notices from before.
        lost_runs: Runs whose process was gone, in words.
        unwanted: Those of its notices that no channel gets.
        unheard: Critical notices of the last day that no channel has taken yet.
        own_reasons: What is wrong with the watch itself.
    """

    at: datetime
    healths: tuple[Health, ...]
    transitions: tuple[Transition, ...]
    notices: tuple[Notice, ...]
    sent: tuple[Sent, ...]
    lost_runs: tuple[str, ...]
    unwanted: tuple[Notice, ...] = ()
    unheard: tuple[Notice, ...] = ()
    own_reasons: tuple[Reason, ...] = ()

    def document(self) -> dict[str, Any]:
        """Return it in JSON's own types."""
        return {
            "at": format_instant(self.at),
            "sources": {colour.value: sum(item.colour is colour for item in self.healths) for colour in Colour},
            "transitions": [_transition_document(item) for item in self.transitions],
            "notices": [notice.document() for notice in self.notices],
            "deliveries": [
                {
                    "notice": item.notice_key,
                    "channel": item.channel,
                    "state": item.result.state.value,
                    "error": item.result.error,
                }
                for item in self.sent
            ],
            "unwanted": [notice.key for notice in self.unwanted],
            "unheard": [{"key": notice.key, "title": notice.title} for notice in self.unheard],
            "lost_runs": list(self.lost_runs),
            "own_reasons": reason_documents(self.own_reasons),
        }


def _transition_document(item: Transition) -> dict[str, Any]:
    return {
        "source": item.source,
        "before": item.before.value if item.before else None,
        "after": item.after.value if item.after else None,
        "at": format_instant(item.at),
        "reasons": reason_documents(item.reasons),
    }


def run_watch(place: WatchPlace, *, now: Callable[[], datetime]) -> WatchReport:
    """Look at everything once, and send what is due.

    Args:
        place: What it needs.
        now: Clock, aware UTC.

    Returns:
        What changed and who was told. No channel's failure ends it.

    Raises:
        CatalogProblem: The catalog cannot be read or written; nothing was recorded that is not whole.
    """
    at = now()
    lost = place.catalog.reclaim_lost_runs(at)
    look_at_clock(place.catalog, place.sources.values(), at)
    healths = tuple(place.read_healths(at))
    result = _record(place, healths, at)
    post = Post(catalog=place.catalog, channels=place.channels, send=place.send, now=now, holder=place.holder)
    sent = deliver_outbox(post)
    unheard = place.catalog.unheard(NoticeSeverity.CRITICAL, since=at - GIVE_UP_AFTER)
    return WatchReport(
        at=at,
        healths=healths,
        transitions=result.transitions,
        notices=tuple(item.notice for item in result.outbox),
        sent=sent,
        unwanted=tuple(item.notice for item in result.outbox if not (item.channels or item.later)),
        unheard=tuple(notice for notice, _ways in unheard),
        lost_runs=tuple(f"{run.operation} of {run.source or 'all sources'}" for run in lost),
        own_reasons=place.own_reasons,
    )


def _record(place: WatchPlace, healths: Sequence[Health], at: datetime) -> WatchResult:
    """Decide and record; again when somebody else recorded something in between."""
    for _try in range(_TRIES):
        record = place.catalog.watch_record(changes_since=at - place.policy.flapping_window, now=at)
        if record is None:
            place.catalog.begin_watch(at)
            continue
        if record.started_at > at:
            place.catalog.set_beginning_back(at)
            continue
        result = _Look(place, record, healths, at).result()
        if result == WatchResult(audit_seq=record.audit_seq):
            place.catalog.note_watched(at)
            return result
        if place.catalog.record_watch(record.version, result, at):
            return result
    raise CatalogProblem(
        f"the watch could not record anything in {_TRIES} tries, others were always faster",
        hint="Let fewer watchers run at once; one every ten minutes is enough.",
    )


class _Look:
    """One try: everything is read from one record, and the result fits that record only."""

    def __init__(self, place: WatchPlace, record: WatchRecord, healths: Sequence[Health], at: datetime) -> None:
        self._place, self._record, self._healths, self._at = place, record, healths, at
        self._words = Words(
            protections=_protections(place),
            escalation=place.policy.escalation,
            channels=tuple(place.channels.values()),
            app_url=place.app_url,
        )

    def result(self) -> WatchResult:
        """Decide what to record and to tell."""
        place, record, at = self._place, self._record, self._at
        reader = EventReader(catalog=place.catalog, sources=place.sources, words=self._words, now=at)
        happened, audit_seq = reader.read(record.audit_seq)
        broken = self._broken_channels()
        events = (*happened, *reader.anomalies(record.started_at), *self._channel_events(broken))
        recorded = Recorded(states=record.states, incidents=record.incidents, changes=record.changes)
        looks = self._looks(broken)
        plan = plan_watch(recorded, looks, events, place.policy, at)
        bare = plan_watch(recorded, looks, (), place.policy, at) if events else plan
        periodic, sizes = self._periodic(broken)
        return WatchResult(
            states=plan.states,
            transitions=plan.transitions,
            incidents=plan.incidents,
            outbox=(*self._news(plan), *self._events(plan), *self._told_by_events(plan, bare), *periodic),
            audit_seq=audit_seq,
            sizes=sizes,
        )

    def _broken_channels(self) -> list[ChannelFailures]:
        found = (self._place.catalog.failures_of_channel(name) for name in self._place.channels)
        return [item for item in found if item is not None and item.is_broken]

    def _channel_events(self, broken: Iterable[ChannelFailures]) -> list[Event]:
        notices = [
            channel_failed(
                item.channel,
                item.error,
                item.since,
                self._at,
                undelivered=item.count,
                others=sorted(set(self._place.channels) - {item.channel}),
            )
            for item in broken
        ]
        known = self._place.catalog.known_notices([notice.key for notice in notices])
        return [
            Event(notice=notice, causes=frozenset({CHANNEL_FAILED}), cause=notice.key)
            for notice in notices
            if notice.key not in known
        ]

    def _looks(self, broken: Iterable[ChannelFailures]) -> dict[str, Look]:
        own = (*self._place.own_reasons, *self._repository_reasons(), *map(channel_reason, broken))
        reasons = worst_first((*self._system_reasons(), *own))
        system = Look(colour=worst([*(reason.colour for reason in reasons), Colour.GREEN]), reasons=reasons)
        return {SYSTEM: system} | {
            item.source: Look(colour=item.colour, reasons=item.reasons) for item in self._healths
        }

    def _repository_reasons(self) -> Iterable[Reason]:
        """Return what the last verify run found about the repository's own files, which belong to no source."""
        for last in self._place.catalog.verifications("", limit=1):
            reason = repository_reason(last.findings, last.finished_at)
            yield from (reason,) if reason else ()

    def _system_reasons(self) -> tuple[Reason, ...]:
        """Return what is wrong with whoever fires schedules; where nobody asked, what was found last."""
        if self._place.system_reasons is not None:
            return self._place.system_reasons
        known = (item.reasons for item in self._record.incidents if item.source == SYSTEM and item.is_open)
        return tuple(reason for reasons in known for reason in reasons if reason.code not in _OWN_CODES)

    def _news(self, plan: WatchPlan) -> Iterable[OutboxNotice]:
        for group in plan.news:
            told = self._news_notice(group)
            found = {name for item in group for name in self._hearers(told.notice, item)}
            if found or group[0].audience is Audience.ALL:
                yield replace(told, channels=tuple(sorted(found)))

    def _told_by_events(self, plan: WatchPlan, bare: WatchPlan) -> Iterable[OutboxNotice]:
        """Tell news that events of this look stand for to those channels that do not hear of these events.

        Args:
            plan: What is told.
            bare: What would be told if nothing had happened.
        """
        keys = {item.key for group in plan.news for item in group}
        covered = (item for group in bare.news for item in group if item.key not in keys)
        for group in group_news(covered):
            told = self._news_notice(group)
            found = {name for item in group for name in self._hearers(told.notice, item) - self._know(plan, item)}
            if found:
                yield replace(told, channels=tuple(sorted(found)))

    def _news_notice(self, group: Group) -> OutboxNotice:
        notice, members = news_notices(group, self._words, self._at)
        incident = group[0].incident if len(group) == 1 else None
        return OutboxNotice(notice=notice, incident_id=incident.id if incident else "", members=members)

    def _hearers(self, notice: Notice, item: News) -> set[str]:
        return set(channels_of_news(notice, item, self._place.channels.values(), self._words.escalation))

    def _know(self, plan: WatchPlan, item: News) -> set[str]:
        """Name the channels for which an event tells the same, and the one that this event is about."""
        found: set[str] = set()
        for planned in plan.events:
            if any(tells(event.notice, event.causes, item) for event in planned.events):
                event = self._event_notice(planned)
                found.update(event.channels, event.later, self._failing(event.notice))
        return found

    def _events(self, plan: WatchPlan) -> Iterable[OutboxNotice]:
        for planned in plan.events:
            event = self._event_notice(planned)
            if event.channels or event.later or planned.audience is Audience.ALL:
                yield event

    def _event_notice(self, planned: PlannedEvent) -> OutboxNotice:
        notice, members = event_notices([event.notice for event in planned.events], self._words, self._at)
        return OutboxNotice(
            notice=notice,
            channels=self._channels(notice, planned.audience),
            later=self._channels(notice, Audience.KEEPING) if planned.later_at else (),
            later_at=planned.later_at,
            members=members,
        )

    def _channels(self, notice: Notice, audience: Audience) -> tuple[str, ...]:
        """Name the channels of an event; what a channel failed to take does not go to itself."""
        names = channels_of_event(notice, self._place.channels.values(), self._words.escalation, audience)
        return tuple(name for name in names if name not in self._failing(notice))

    def _failing(self, notice: Notice) -> set[str]:
        return {name for name in self._place.channels if notice.key.startswith(f"{CHANNEL_FAILED}:{name}:")}

    def _periodic(self, broken: Iterable[ChannelFailures]) -> tuple[list[OutboxNotice], Mapping[str, int] | None]:
        """Write what the calendar says is due and was not told yet."""
        due: list[OutboxNotice] = []
        period = due_period(self._place.canary, self._record.started_at, self._at)
        if period is not None:
            notice = canary(f"{period:%G-W%V}", self._at)
            if not self._place.catalog.known_notices([notice.key]):
                due.append(OutboxNotice(notice=notice, channels=tuple(sorted(self._place.channels))))
        cron = self._place.digest
        period = due_period(cron, self._record.started_at, self._at)
        if cron is None or period is None or self._place.catalog.known_notices([digest_key(period)]):
            return due, None
        facts = DigestFacts(
            begins_at=period_before(cron, period),
            ends_at=period,
            sizes_before=self._record.sizes,
            failing_channels=tuple(item.channel for item in broken),
            prices=self._place.prices,
            links=self._words.links(),
        )
        made = make_digest(self._place.catalog, self._place.sources, self._healths, facts)
        due.append(OutboxNotice(notice=made.notice, channels=self._channels(made.notice, Audience.ALL)))
        return due, made.sizes


def _protections(place: WatchPlace) -> dict[str, Protection]:
    standing = {row.source: row for row in place.catalog.source_statuses()}
    return {
        name: Protection(
            newest_at=standing[name].newest_complete_at if name in standing else None,
            proven_at=standing[name].newest_proven_at if name in standing else None,
            rpo=source.objectives.rpo,
        )
        for name, source in place.sources.items()
    }
