"""Which channels get a notice: what they asked for, their tier, and whether they keep quiet hours."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime

from shared.domain.channel import Channel
from shared.domain.escalation import Escalation
from shared.domain.health_reason import Colour
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.source_watch import Audience, News, NewsKind
from shared.domain.watch_plan import severity_of

Channels = Iterable[Channel]

_ANY = datetime(2000, 1, 1, tzinfo=UTC)


def channels_of_news(notice: Notice, news: News, channels: Channels, escalation: Escalation) -> tuple[str, ...]:
    """Name the channels that hear news of health.

    A red incident goes to the tiers that its escalation has reached, whatever else their channels asked for, and to
    every channel outside the tiers that asked for it. An escalation goes to the tiers whose turn it is, and to the
    others where it is a reminder as well.

    Args:
        notice: What is told.
        news: What it is made from.
        channels: The configured ones.
        escalation: The tiers.
    """
    found = [channel for channel in channels if keeps_audience(channel, news.audience)]
    if news.kind is NewsKind.ESCALATION and not news.reminds:
        turn = {name for tier in escalation.channels[news.first_step : news.step + 1] for name in tier}
        return tuple(channel.name for channel in found if channel.name in turn)
    worst = news.incident.worst if news.incident else None
    reached = {name for tier in escalation.channels[: news.step + 1] for name in tier} if worst is Colour.RED else set()
    return tuple(
        channel.name
        for channel in found
        if channel.name in reached
        or (escalation.hears(channel.name, news.step) and _wants(channel, notice, news, worst))
    )


def channels_of_event(
    notice: Notice, channels: Channels, escalation: Escalation, audience: Audience = Audience.ALL
) -> tuple[str, ...]:
    """Name the channels that hear of something that happened; later tiers do only where they asked for it by name."""
    return tuple(
        channel.name
        for channel in channels
        if keeps_audience(channel, audience) and channel.wants(notice) and _asked(channel, notice, escalation)
    )


def tells(event: Notice, causes: Collection[str], news: News) -> bool:
    """Say whether the notice of an event tells some news as well, and as loudly.

    Args:
        event: What happened.
        causes: Codes of the reasons for a bad health that it tells of.
        news: What is new about the health of a source.
    """
    if event.source != news.source or news.incident is None or event.severity.rank < severity_of(news.after).rank:
        return False
    return any(reason.code in causes for reason in news.incident.reasons)


def unheard_events(channels: Channels, escalation: Escalation) -> tuple[NoticeEvent, ...]:
    """Name what is critical and would reach nobody: failed backups and tests, red, and tiers that nobody is in.

    Args:
        channels: Those that are in use.
        escalation: The tiers.
    """
    known = list(channels)
    names = {channel.name for channel in known}

    def is_heard(event: NoticeEvent) -> bool:
        if event is NoticeEvent.ESCALATION:
            return all(not tier or names.intersection(tier) for tier in escalation.channels[1:])
        notice = Notice(key="", event=event, severity=NoticeSeverity.CRITICAL, source="", title="", at=_ANY)
        is_red = event is NoticeEvent.HEALTH_CHANGED
        return any(
            (is_red and channel.name in escalation.channels[0])
            or (is_red and channel.wants(notice) and not escalation.is_later_only(channel.name))
            or (not is_red and channels_of_event(notice, [channel], escalation))
            for channel in known
        )

    critical = (
        NoticeEvent.HEALTH_CHANGED,
        NoticeEvent.BACKUP_FAILED,
        NoticeEvent.RESTORE_TEST_FAILED,
        NoticeEvent.ESCALATION,
    )
    return tuple(event for event in critical if not is_heard(event))


def keeps_audience(channel: Channel, audience: Audience) -> bool:
    """Say whether a channel is meant, as far as quiet hours go."""
    return audience is Audience.ALL or channel.quiet_hours is (audience is Audience.KEEPING)


def _wants(channel: Channel, notice: Notice, news: News, worst: Colour | None) -> bool:
    """Say whether a channel asked for it; of an end hears who asked for as much as the worst of it."""
    if news.kind is NewsKind.RECOVERED and worst is not None and severity_of(worst).rank < channel.severity.rank:
        return False
    return channel.wants(notice)


def _asked(channel: Channel, notice: Notice, escalation: Escalation) -> bool:
    tests_channels = notice.event in (NoticeEvent.CANARY, NoticeEvent.TEST)
    return tests_channels or not escalation.is_later_only(channel.name) or channel.events != frozenset(NoticeEvent)
