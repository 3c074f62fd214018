"""Put what a look decided into notices: news of health, one source or many, and events that are told together."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.domain.channel import Channel
from shared.domain.escalation import TIERS, Escalation
from shared.domain.health_reason import Colour, Reason
from shared.domain.incident import Incident
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.notice_health import (
    Ended,
    Standing,
    escalation,
    health_changed,
    no_longer_watched,
    recovered,
    reminder,
)
from shared.domain.notice_words import Links, Protection, age, count, listed, name_of, page_links
from shared.domain.routing import channels_of_news
from shared.domain.source_watch import News, NewsKind
from shared.domain.watch_plan import Group

_MANY = {
    NoticeEvent.BACKUP_COMPLETED: "backups completed",
    NoticeEvent.BACKUP_FAILED: "backups FAILED",
    NoticeEvent.BACKUP_SLOW: "backups took longer than agreed",
    NoticeEvent.BACKUP_LATE: "backups did not come",
    NoticeEvent.RESTORE_TEST_PASSED: "restore tests passed",
    NoticeEvent.RESTORE_TEST_FAILED: "restore tests FAILED",
    NoticeEvent.RESTORE_TEST_NOT_MEASURED: "restore tests prove nothing",
    NoticeEvent.ANOMALY: "looks at backups found something unusual",
    NoticeEvent.CLEANUP_REFUSED: "cleanups refused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What the notices say besides what was decided.

    Attributes:
        protections: What every source could be brought back to.
        escalation: The tiers, to say who is told when.
        channels: The channels, to say who was told before.
        app_url: Where the app is reached; empty where there is none.
    """

    protections: Mapping[str, Protection] = field(default_factory=dict)
    escalation: Escalation = field(default_factory=Escalation)
    channels: tuple[Channel, ...] = ()
    app_url: str = ""

    def links(self, source: str = "", run_url: str = "") -> Links:
        """Return links to the page of a source, or to the first page, and to the Prefect run where there was one."""
        return page_links(self.app_url, source, run_url)


def news_notices(group: Group, words: Words, now: datetime) -> tuple[Notice, tuple[Notice, ...]]:
    """Write the notice of some news, and those that it stands for where there are several.

    Args:
        group: The same news of one source or of several.
        words: What else it says.
        now: Aware instant.
    """
    if len(group) == 1:
        return _write(group, group[0].key, words, now), ()
    members = tuple(_write((item,), item.key, words, now) for item in group)
    return _write(group, _key(members), words, now), members


def event_notices(notices: Sequence[Notice], words: Words, now: datetime) -> tuple[Notice, tuple[Notice, ...]]:
    """Write the notice of several events of one kind, and name those that it stands for; one stands for itself."""
    if len(notices) == 1:
        return notices[0], ()
    first = notices[0]
    sources = tuple(dict.fromkeys(name_of(notice.source) for notice in notices))
    together = Notice(
        key=_key(notices),
        event=first.event,
        severity=first.severity,
        source="",
        title=f"{len(notices):,} {_MANY.get(first.event, f'notices of {first.event.value}')}: {listed(sources)}",
        at=now,
        impact=_common(notices, "impact"),
        action=""
        if first.severity.rank == 0
        else "`goldcopy status` shows how everything stands and what to do first.",
        facts=(("Sources", listed(sources)),),
        findings=tuple(notice.title for notice in notices),
        links=words.links(),
    )
    return together, tuple(notices)


def _common(notices: Sequence[Notice], name: str) -> str:
    found = {getattr(notice, name) for notice in notices}
    return str(found.pop()) if len(found) == 1 else ""


def _key(members: Sequence[Notice]) -> str:
    """Name a notice by those that it stands for."""
    digest = hashlib.sha256("\n".join(sorted(notice.key for notice in members)).encode()).hexdigest()
    return f"together:{members[0].event.value}:{digest[:16]}"


def _write(group: Sequence[News], key: str, words: Words, now: datetime) -> Notice:
    first = group[0]
    links = words.links(first.source if len(group) == 1 else "")
    incidents = [item.incident for item in group if item.incident]
    if first.kind is NewsKind.REMOVED:
        gone = no_longer_watched([name_of(item.source) for item in group], now, key=key, links=links)
        closed = tuple(("Incident closed", f"{item.id}, after {age(item.lasted(now))}") for item in incidents)
        return replace(gone, facts=(*gone.facts, *closed))
    if first.kind is NewsKind.RECOVERED:
        return recovered([_ended(item, now) for item in incidents], now, key=key, held=first.held, links=links)
    standings = [_standing(item.incident, item.because, words) for item in group if item.incident]
    if first.kind is NewsKind.REMINDER:
        return reminder(standings, incidents[0].reminders, now, key=key, links=links)
    changed = health_changed(standings, first.before, now, key=key, held=first.held, links=links)
    if first.kind is NewsKind.ESCALATION:
        return escalation(
            standings, _tiers(first, words), _told_before(group, changed, words), now, key=key, links=links
        )
    return changed


def _tiers(news: News, words: Words) -> list[tuple[str, tuple[str, ...]]]:
    """Return the tiers whose turn it is, each with its channels."""
    steps = range(news.first_step, news.step + 1)
    return [(TIERS[step], words.escalation.channels[step]) for step in steps if words.escalation.channels[step]]


def _told_before(group: Sequence[News], notice: Notice, words: Words) -> tuple[str, ...]:
    """Name the channels that heard of it before: those of earlier tiers, and those that asked for it by themselves."""
    red = replace(notice, severity=NoticeSeverity.CRITICAL)
    earlier = replace(group[0], kind=NewsKind.CHANGED, step=group[0].first_step - 1)
    return channels_of_news(red, earlier, words.channels, words.escalation)


def _standing(incident: Incident, because: Reason | None, words: Words) -> Standing:
    """Say how a source stands; the reason that is told comes first."""
    first = (because,) if because else ()
    return Standing(
        source=incident.source,
        colour=incident.colour,
        reasons=(*first, *(reason for reason in incident.reasons if reason not in first)),
        since=incident.stands_since,
        opened_at=incident.opened_at,
        protection=words.protections.get(incident.source),
    )


def _ended(incident: Incident, now: datetime) -> Ended:
    return Ended(
        source=incident.source,
        worst=incident.worst,
        opened_at=incident.opened_at,
        closed_at=incident.closed_at or now,
        worst_for=incident.was_worst_for(now),
        because=incident.worst_because or (incident.reasons[0].sentence if incident.reasons else ""),
    )


def incident_line(incident: Incident, now: datetime) -> str:
    """Print an incident for a list: what, since when, who is at it."""
    words = {Colour.RED: "RED", Colour.UNKNOWN: "unknown", Colour.YELLOW: "yellow", Colour.GREEN: "green"}
    lasted = age(incident.lasted(now))
    taken = incident.acknowledgement
    state = f"open for {lasted}" if incident.is_open else f"closed after {lasted}: {incident.closed_because}"
    who = f"; {taken.by} is at it: {taken.reason}" if taken and incident.is_open else ""
    sentence = incident.reasons[0].sentence if incident.reasons else count(0, "reason")
    return f"{incident.id}  {words[incident.worst]}  {state}{who}; {sentence}"
