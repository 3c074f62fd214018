"""Small rules of the watch: who hears what, when it is quiet, what may be configured, what a lost question means."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from shared.config.watch_model import EscalationSection, WatchSection
from shared.domain.calendar_notices import due_period, period_before
from shared.domain.channel import EVERY_EVENT, Channel
from shared.domain.channel_health import ChannelFailures
from shared.domain.escalation import Escalation
from shared.domain.notice import Notice, NoticeEvent, NoticeSeverity
from shared.domain.quiet import MaintenanceWindow, QuietHours, maintenance_of, parse_quiet_hours
from shared.domain.reach import settle_reach
from shared.domain.routing import channels_of_event, channels_of_news, unheard_events
from shared.domain.schedule import Cron
from shared.domain.source_facts import Reachability
from shared.domain.source_watch import Audience, News
from tests.support.watch_story import Story, at, look

NOW = at("2026-03-02 12:00")
ESCALATION = Escalation(channels=(("pager",), ("lead",), ("boss",)))
CHANNELS = (
    Channel(name="pager", url="x", severity=NoticeSeverity.CRITICAL),
    Channel(name="lead", url="x"),
    Channel(name="boss", url="x", events=frozenset({NoticeEvent.DIGEST})),
    Channel(name="chat", url="x", severity=NoticeSeverity.WARNING),
    Channel(name="log", url="x", quiet_hours=False),
)


def _notice(event: NoticeEvent, severity: NoticeSeverity) -> Notice:
    return Notice(key="k", event=event, severity=severity, source="app", title="t", at=NOW)


def _news(*codes: str, hours: int) -> list[News]:
    """What is told after so many hours with these reasons, and after that in green."""
    story = Story()
    story.policy = story.policy.__class__(escalation=ESCALATION)
    for hour in range(hours):
        story.look_at(NOW + timedelta(hours=hour), {"app": look(*codes)})
    story.look_at(NOW + timedelta(hours=hours), {"app": look()})
    return [news for _, news in story.memory.told]


def _heard(news: News, event: NoticeEvent, severity: NoticeSeverity) -> tuple[str, ...]:
    return channels_of_news(_notice(event, severity), news, CHANNELS, ESCALATION)


def test_red_incident_goes_from_tier_to_tier_and_its_end_to_all_who_heard_of_it() -> None:
    opened, second, third, over = _news("backup-stale", hours=3)
    critical = NoticeSeverity.CRITICAL
    assert _heard(opened, NoticeEvent.HEALTH_CHANGED, critical) == ("pager", "chat", "log")
    assert _heard(second, NoticeEvent.ESCALATION, critical) == ("lead",)
    assert _heard(third, NoticeEvent.ESCALATION, critical) == ("boss",)
    assert _heard(over, NoticeEvent.RECOVERED, NoticeSeverity.INFO) == ("pager", "lead", "boss", "chat", "log")


def test_yellow_incident_and_its_end_stay_away_from_who_asked_for_critical_only() -> None:
    opened, over = _news("anomaly", hours=1)
    assert _heard(opened, NoticeEvent.HEALTH_CHANGED, NoticeSeverity.WARNING) == ("chat", "log")
    assert _heard(over, NoticeEvent.RECOVERED, NoticeSeverity.INFO) == ("chat", "log")


def test_later_tiers_hear_of_events_only_by_name_and_canaries_go_everywhere() -> None:
    digest = _notice(NoticeEvent.DIGEST, NoticeSeverity.INFO)
    assert channels_of_event(digest, CHANNELS, ESCALATION) == ("boss", "log")
    canary = _notice(NoticeEvent.CANARY, NoticeSeverity.INFO)
    assert channels_of_event(canary, CHANNELS, ESCALATION) == tuple(channel.name for channel in CHANNELS)
    slow = _notice(NoticeEvent.BACKUP_SLOW, NoticeSeverity.WARNING)
    assert channels_of_event(slow, CHANNELS, ESCALATION, Audience.LOUD) == ("log",)
    assert channels_of_event(slow, CHANNELS, ESCALATION, Audience.KEEPING) == ("chat",)


@pytest.mark.parametrize(
    ("events", "tiers", "unheard"),
    [
        ("", ((), (), ()), ""),
        ("digest", ((), (), ()), "health-changed backup-failed restore-test-failed"),
        ("health-changed", ((), (), ()), "backup-failed restore-test-failed"),
        ("digest", (("it",), (), ()), "backup-failed restore-test-failed"),
        ("", ((), ("it",), ()), "health-changed backup-failed restore-test-failed"),
        ("", ((), ("gone",), ()), "escalation"),
    ],
)
def test_filters_that_swallow_what_is_critical_are_found(
    events: str, tiers: tuple[tuple[str, ...], ...], unheard: str
) -> None:
    wanted = frozenset(map(NoticeEvent, events.split())) or EVERY_EVENT
    found = unheard_events([Channel(name="it", url="x", events=wanted)], Escalation(channels=tiers))
    assert " ".join(found) == unheard


@pytest.mark.parametrize(
    ("instant", "is_quiet"),
    [
        ("2026-03-28 20:59", False),
        ("2026-03-28 21:00", True),  # 22:00 in winter
        ("2026-03-29 04:59", True),
        ("2026-03-29 05:00", False),  # 07:00 in summer: the clock jumped in the night
        ("2026-03-29 20:00", True),  # 22:00 in summer
        ("2026-10-25 05:59", True),
        ("2026-10-25 06:00", False),
    ],
)
def test_quiet_hours_are_those_of_the_wall_clock(instant: str, is_quiet: bool) -> None:
    assert parse_quiet_hours("22:00-07:00", "Europe/Berlin").holds(at(instant)) is is_quiet


def test_quiet_hours_within_a_day_and_their_end() -> None:
    noon = parse_quiet_hours("12:00 - 13:30")
    assert [noon.holds(at(f"2026-03-02 {hour}")) for hour in ("11:59", "12:00", "13:29", "13:30")] == [
        False,
        True,
        True,
        False,
    ]
    assert noon.end_after(at("2026-03-02 12:00")) == at("2026-03-02 13:30")
    berlin = QuietHours(begin=noon.begin, end=noon.end, timezone="Europe/Berlin")
    assert berlin.end_after(at("2026-03-28 12:30")) == at("2026-03-29 11:30")


def test_maintenance_comes_once_or_again_and_again_for_some_or_for_all() -> None:
    windows = (
        MaintenanceWindow(reason="move", sources=frozenset({"app"}), begins_at=NOW, ends_at=NOW + timedelta(hours=1)),
        MaintenanceWindow(reason="patches", cron=Cron("0 22 * * 6"), lasts=timedelta(hours=4)),
    )
    assert maintenance_of("app", windows, NOW) == "move"
    assert maintenance_of("shop", windows, NOW) == ""
    assert maintenance_of("", windows, at("2026-03-08 01:59")) == "patches"
    assert maintenance_of("app", windows, at("2026-03-08 02:00")) == ""


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({"quiet_hours": "22-7"}, "write for example 22:00-07:00"),
        ({"quiet_hours": "22:00-22:00"}, "has no length"),
        ({"timezone": "Mars"}, "is not a time zone"),
        ({"digest": "monday"}, "is not a schedule"),
        ({"reminders": ["0m"]}, "greater than"),
        ({"maintenance": [{"reason": "move"}]}, "either from and to, or cron and for"),
        ({"maintenance": [{"reason": "move", "from": NOW, "to": NOW}]}, "to is not after from"),
        ({"maintenance": [{"reason": "move", "from": NOW.replace(tzinfo=None), "to": NOW}]}, "need a zone"),
        ({"canaries": ""}, "not permitted"),
    ],
)
def test_watch_section_says_what_is_wrong(section: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        WatchSection.model_validate(section)


@pytest.mark.parametrize("after", [["0m", "1h"], ["1m", "1h", "2h"], ["0m", "2h", "1h"]])
def test_escalation_times_begin_at_once_and_grow(after: list[str]) -> None:
    with pytest.raises(ValidationError, match="one time for each tier"):
        EscalationSection.model_validate({"after": after})


def test_defaults_are_those_of_the_documentation() -> None:
    policy = WatchSection().policy(EscalationSection())
    assert [wait.total_seconds() / 3600 for wait in policy.reminders.red] == [4, 8, 16, 24]
    assert [wait.total_seconds() / 3600 for wait in policy.escalation.after] == [0, 1, 2]
    assert (policy.quiet, policy.maintenance) == (None, ())


def test_one_lost_question_is_no_outage() -> None:
    def answer(minute: int, *, good: bool) -> Reachability:
        return Reachability(is_reachable=good, asked_at=NOW + timedelta(minutes=minute), message="" if good else "no")

    good, failures = settle_reach(None, 0, answer(0, good=True))
    still, failures = settle_reach(good, failures, answer(10, good=False))
    assert (still.is_reachable, failures) == (True, 1)
    gone, failures = settle_reach(still, failures, answer(20, good=False))
    assert (gone.is_reachable, gone.since) == (False, NOW + timedelta(minutes=20))
    gone, failures = settle_reach(gone, failures, answer(30, good=False))
    assert (gone.since, failures) == (NOW + timedelta(minutes=20), 3)
    back, failures = settle_reach(gone, failures, answer(40, good=True))
    assert (back.is_reachable, back.since, failures) == (True, NOW + timedelta(minutes=40), 0)
    first, _ = settle_reach(None, 0, answer(0, good=False))
    assert first.is_reachable is False, "what was never reached is believed at once"


def test_channel_is_broken_by_one_final_refusal_or_by_an_hour_of_others() -> None:
    def failing(count: int, minutes: int, *, final: bool = False) -> bool:
        return ChannelFailures(
            channel="mail",
            since=NOW,
            last_at=NOW + timedelta(minutes=minutes),
            count=count,
            is_final=final,
            error="no",
        ).is_broken

    assert failing(1, 0, final=True)
    assert not failing(2, 90)
    assert not failing(5, 59)
    assert failing(3, 60)


def test_period_is_due_from_its_instant_on_and_never_from_before_the_first_look() -> None:
    cron = Cron("0 8 * * 1", "Europe/Berlin")
    began = datetime(2026, 3, 24, tzinfo=UTC)
    assert due_period(cron, began, at("2026-03-30 05:59")) is None
    assert due_period(cron, began, at("2026-03-30 06:00")) == at("2026-03-30 06:00")
    assert due_period(cron, began, at("2026-04-05 23:00")) == at("2026-03-30 06:00")
    assert period_before(cron, at("2026-03-30 06:00")) == at("2026-03-23 07:00")
    assert due_period(None, began, NOW) is None
