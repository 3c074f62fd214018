"""The notices about how sources stand: changes of health, recovery, reminders, escalation, and failed channels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.health_reason import Colour, Reason
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.notice_words import Links, Protection, age, count, cut_fact, first_words, listed, moment, name_of

_SEVERITY = {
    Colour.RED: NoticeSeverity.CRITICAL,
    Colour.UNKNOWN: NoticeSeverity.WARNING,
    Colour.YELLOW: NoticeSeverity.WARNING,
    Colour.GREEN: NoticeSeverity.INFO,
}
_WORD = {Colour.RED: "RED", Colour.UNKNOWN: "UNKNOWN", Colour.YELLOW: "yellow", Colour.GREEN: "green"}
_LOOK = "`goldcopy status` shows how everything stands."


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one source stands; the empty name is Goldcopy itself.

    Attributes:
        reasons: Why, worst first.
        since: Since when it has this colour.
        opened_at: Since when it has not been green; None where that is the same.
        protection: What it could be brought back to now; None for Goldcopy itself.
    """

    source: str
    colour: Colour
    reasons: tuple[Reason, ...]
    since: datetime
    opened_at: datetime | None = None
    protection: Protection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An incident that is over.

    Attributes:
        worst: The worst colour that it had.
        worst_for: How long it had that colour; None where it was all the time.
        because: The worst reason, one sentence; may be empty.
    """

    source: str
    worst: Colour
    opened_at: datetime
    closed_at: datetime
    worst_for: timedelta | None = None
    because: str = ""

    @property
    def lasted(self) -> str:
        """How long it lasted, and how long of that it was at its worst."""
        all_of_it, word = age(self.closed_at - self.opened_at), _WORD[self.worst]
        at_worst = all_of_it if self.worst_for is None else age(self.worst_for)
        return f"{all_of_it} {word}" if at_worst == all_of_it else f"{all_of_it}, {at_worst} of it {word}"


def health_changed(
    standings: Sequence[Standing], before: Colour | None, now: datetime, *, key: str, held: str = "", links: Links = ()
) -> Notice:
    """Tell that sources have another colour than people were told, all of them the same and for one reason.

    Args:
        standings: At least one.
        before: What people were told before; None where nothing.
        now: Aware instant.
        key: Unique name.
        held: Why this was not told earlier; empty where it was not held back.
        links: Pages that say more.
    """
    first = standings[0]
    verb = "is better, and still" if before is Colour.RED and first.colour is Colour.YELLOW else _verb(standings)
    title = f"{_subject(standings)} {verb} {_WORD[first.colour]}: {first_words(_cause(first).sentence)}"
    facts = (*((("Before", _WORD[before]),) if before else ()), *_facts(standings, now))
    return _about(
        NoticeEvent.HEALTH_CHANGED,
        standings,
        now,
        key=key,
        title=title,
        facts=(*facts, *((("Held back", held),) if held else ())),
        links=links,
    )


def reminder(standings: Sequence[Standing], number: int, now: datetime, *, key: str, links: Links = ()) -> Notice:
    """Tell once more what nobody has acknowledged; `number` counts the reminders from 1 on."""
    first = standings[0]
    title = (
        f"{_subject(standings)} {_verb(standings)} still {_WORD[first.colour]} after {age(now - first.since)}:"
        f" {first_words(_cause(first).sentence, 100)}"
    )
    return _about(
        NoticeEvent.REMINDER,
        standings,
        now,
        key=key,
        title=title,
        before_action=_acknowledge(standings),
        facts=(*_facts(standings, now), ("Reminder", f"number {number}")),
        links=links,
    )


def escalation(
    standings: Sequence[Standing],
    tiers: Sequence[tuple[str, Sequence[str]]],
    told: Sequence[str],
    now: datetime,
    *,
    key: str,
    links: Links = (),
) -> Notice:
    """Tell the next people, because nobody has acknowledged; it is critical also where what was red is unknown now.

    Args:
        standings: At least one.
        tiers: Those that hear it now: name and channels.
        told: Names of the channels that heard it before.
        now: Aware instant.
        key: Unique name.
        links: Pages that say more.
    """
    first = standings[0]
    was_red = ", was RED before," if first.colour is not Colour.RED else ""
    title = (
        f"ESCALATION: {_subject(standings)} {_verb(standings)} {_WORD[first.colour]} for {age(now - first.since)}"
        f"{was_red} and nobody has acknowledged it: {first_words(_cause(first).sentence, 90)}"
    )
    names = [f"{name} ({tier})" for tier, channels in tiers for name in channels]
    notice = _about(
        NoticeEvent.ESCALATION,
        standings,
        now,
        key=key,
        title=title,
        before_action=_acknowledge(standings),
        facts=(*_facts(standings, now), ("Told before", listed(told) or "nobody"), ("Told now", listed(names))),
        links=links,
    )
    return replace(notice, severity=NoticeSeverity.CRITICAL)


def recovered(ended: Sequence[Ended], now: datetime, *, key: str, held: str = "", links: Links = ()) -> Notice:
    """Tell that it is over, and how long it lasted; `held` says why this was not told earlier."""
    first = ended[0]
    is_one = len(ended) == 1
    if is_one:
        title = f"{name_of(first.source)} is green again, after {first.lasted}"
    else:
        title = f"{count(len(ended), 'source')} are green again, after at most {_longest(ended)}"
    lines = tuple(
        f"{name_of(item.source)}: {item.lasted}, from {moment(item.opened_at)} to {moment(item.closed_at)}"
        for item in ended
    )
    facts = (
        ("Began", moment(first.opened_at)),
        ("Ended", moment(first.closed_at)),
        ("Lasted", first.lasted),
        *((("It was", first.because),) if first.because else ()),
    )
    late = (("Held back", held),) if held else ()
    return Notice(
        key=key,
        event=NoticeEvent.RECOVERED,
        severity=NoticeSeverity.INFO,
        source=first.source if is_one else "",
        title=title,
        at=now,
        facts=(*(facts if is_one else ()), *late),
        findings=() if is_one else lines,
        links=links,
    )


def no_longer_watched(sources: Sequence[str], now: datetime, *, key: str, links: Links = ()) -> Notice:
    """Tell that sources left the configuration: meant or not, nobody backs them up now."""
    named, their = listed(sources), "its" if len(sources) == 1 else "their"
    return Notice(
        key=key,
        event=NoticeEvent.HEALTH_CHANGED,
        severity=NoticeSeverity.WARNING,
        source=sources[0] if len(sources) == 1 else "",
        title=f"No longer backed up: {named} left the configuration",
        at=now,
        impact=f"No new backups are made, and {their} existing ones stay until cleanup lets them go.",
        action=f"If that is not meant, put [sources.{sources[0]}] back into goldcopy.toml and run `goldcopy check`.",
        facts=(("Noticed", moment(now)),),
        links=links,
    )


def channel_failed(
    channel: str, error: str, since: datetime, now: datetime, *, undelivered: int, others: Sequence[str] = ()
) -> Notice:
    """Tell through the other channels that one of them reaches nobody.

    Args:
        channel: Its name.
        error: Why, without a secret.
        since: When it failed first.
        now: Aware instant.
        undelivered: How many notices did not arrive.
        others: Names of the channels that this goes to.
    """
    instead = f" This comes through {listed(others)}." if others else ""
    return Notice(
        key=f"channel-failed:{channel}:{since:%Y%m%dT%H%M%SZ}",
        event=NoticeEvent.CHANNEL_FAILED,
        severity=NoticeSeverity.WARNING,
        source="",
        title=f"Channel {channel} FAILED: {first_words(error)}",
        at=now,
        impact=f"{count(undelivered, 'notice')} did not reach those who read it.{instead}",
        action=f"Mend what the error names (for the URL channels.{channel}), then prove it:"
        f" `goldcopy notify-test {channel}`.",
        facts=(*cut_fact("Error", error), ("Failing since", f"{moment(since)}, {age(now - since)}")),
    )


def _about(
    event: NoticeEvent,
    standings: Sequence[Standing],
    now: datetime,
    *,
    key: str,
    title: str,
    facts: tuple[tuple[str, str], ...],
    before_action: str = "",
    links: Links = (),
) -> Notice:
    first = standings[0]
    is_one = len(standings) == 1
    if is_one:
        lines = [f"{_WORD[reason.colour]}: {reason.sentence}" for reason in first.reasons]
        impact = first.protection.sentence(now) if first.protection else ""
    else:
        lines = [f"{name_of(item.source)}: {_own_words(item, first, now)}" for item in standings]
        impact = _worst_impact(standings, now)
    return Notice(
        key=key,
        event=event,
        severity=_SEVERITY[first.colour],
        source=first.source if is_one else "",
        title=title,
        at=now,
        impact=impact,
        action=f"{before_action}{_ended(_cause(first).action or _LOOK)}",
        facts=facts,
        findings=tuple(lines) if len(lines) > 1 else (),
        links=links,
    )


def _own_words(standing: Standing, first: Standing, now: datetime) -> str:
    """Say of one of many what the title does not say already."""
    if _cause(standing).sentence != _cause(first).sentence or standing.protection is None:
        return _cause(standing).sentence
    newest = standing.protection.newest_at
    complete = f"newest complete backup {age(now - newest)} old" if newest else "no complete backup"
    return f"{complete}. {standing.protection.proven_sentence(now)}"


def _worst_impact(standings: Sequence[Standing], now: datetime) -> str:
    """Say what would be lost of the source that would lose most."""
    known = [item for item in standings if item.protection is not None]
    if not known:
        return ""
    bare = [item.source for item in known if item.protection and item.protection.newest_at is None]
    if bare:
        return f"Without any complete backup: {listed(bare)}. If one of these is lost now, all of it is lost."
    dated = [
        (item.protection.newest_at, item.source) for item in known if item.protection and item.protection.newest_at
    ]
    oldest, source = min(dated)
    return f"Worst is {source}, whose newest complete backup is {age(now - oldest)} old ({moment(oldest)})."


def _facts(standings: Sequence[Standing], now: datetime) -> tuple[tuple[str, str], ...]:
    first = min(standings, key=lambda item: item.since)
    opened = min((item.opened_at or item.since for item in standings), default=first.since)
    longer = (("Not green since", f"{moment(opened)}, {age(now - opened)}"),) if opened < first.since else ()
    about = (("Sources", listed([name_of(item.source) for item in standings])),) if len(standings) > 1 else ()
    return (*about, ("Since", f"{moment(first.since)}, {age(now - first.since)}"), *longer)


def _ended(text: str) -> str:
    """End a sentence."""
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _acknowledge(standings: Sequence[Standing]) -> str:
    whom = standings[0].source or "system"
    return f"Say that you are at it, which stops this: `goldcopy ack {whom} --reason 'on it'`. "


def _subject(standings: Sequence[Standing]) -> str:
    return name_of(standings[0].source) if len(standings) == 1 else count(len(standings), "source")


def _verb(standings: Sequence[Standing]) -> str:
    return "is" if len(standings) == 1 else "are"


def _cause(standing: Standing) -> Reason:
    nothing = Reason(code="unknown", colour=standing.colour, sentence="no reason is known")
    return standing.reasons[0] if standing.reasons else nothing


def _longest(ended: Sequence[Ended]) -> str:
    return age(max((item.closed_at - item.opened_at for item in ended), default=timedelta(0)))
