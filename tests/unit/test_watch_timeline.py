"""Months of simulated history against a timeline that was written by hand: what people hear, when, and nothing else."""

from datetime import datetime, timedelta

from shared.domain.escalation import Escalation
from shared.domain.health_reason import Colour
from shared.domain.quiet import MaintenanceWindow, parse_quiet_hours
from shared.domain.source_watch import WatchPolicy
from shared.domain.watch_plan import Look
from tests.support.watch_story import Story, at, look

TIERS = Escalation(channels=(("mail",), ("phone",), ("boss",)))
POLICY = WatchPolicy(
    escalation=TIERS,
    quiet=parse_quiet_hours("22:00-07:00", "Europe/Berlin"),
    maintenance=(
        MaintenanceWindow(
            reason="the store moves",
            sources=frozenset({"shop", "web"}),
            begins_at=at("2026-02-14 08:00"),
            ends_at=at("2026-02-14 12:00"),
        ),
    ),
)

# Source, from, up to, reasons. What is not named is green. Berlin is UTC+1 until 29 March 2026, then UTC+2.
HISTORY = (
    ("app", "2026-01-12 04:00", "2026-01-12 09:20", ["backup-overdue"]),  # begins in the night, lasts into the morning
    ("shop", "2026-01-13 23:00", "2026-01-14 03:00", ["anomaly"]),  # over before the morning
    ("app", "2026-01-20 10:00", "2026-01-20 10:40", ["backup-overdue"]),
    ("app", "2026-01-20 10:40", "2026-01-22 14:00", ["backup-stale"]),  # nobody acknowledges it
    ("app", "2026-01-22 14:00", "2026-01-22 15:00", ["test-overdue"]),
    ("shop", "2026-02-03 01:00", "2026-02-03 05:00", ["test-failed"]),  # red in the night, acknowledged at 01:30
    ("web", "2026-02-14 09:00", "2026-02-14 11:00", ["repository-unreachable"]),  # within maintenance
    ("shop", "2026-02-14 11:30", "2026-02-14 13:00", ["backup-stale"]),  # outlives maintenance
    ("app", "2026-03-02 12:00", "2026-03-02 16:00", ["repository-unreachable"]),  # all of them
    ("shop", "2026-03-02 12:00", "2026-03-02 16:00", ["repository-unreachable"]),
    ("web", "2026-03-02 12:00", "2026-03-02 16:00", ["repository-unreachable"]),
    ("web", "2026-03-28 22:30", "2026-03-29 05:40", ["anomaly"]),  # the night in which the clock jumps
)

EXPECTED = """
01-12 06:00 changed app yellow backup-overdue (keeping)
01-12 09:20 recovered app green backup-overdue
01-20 10:00 changed app yellow backup-overdue
01-20 10:40 changed app red backup-stale
01-20 11:40 escalation app red backup-stale step 1
01-20 12:40 escalation app red backup-stale step 2
01-20 14:40 reminder app red backup-stale
01-20 22:40 reminder app red backup-stale
01-21 14:40 reminder app red backup-stale
01-22 14:00 changed app yellow test-overdue
01-22 15:00 recovered app green test-overdue
02-03 01:00 changed shop red test-failed
02-03 05:00 recovered shop green test-failed
02-14 12:00 changed shop red backup-stale
02-14 13:00 recovered shop green backup-stale
03-02 12:00 changed app,shop,web red repository-unreachable
03-02 13:00 escalation app,shop,web red repository-unreachable step 1
03-02 14:00 escalation app,shop,web red repository-unreachable step 2
03-02 16:00 recovered app,shop,web green repository-unreachable
03-29 05:00 changed web yellow anomaly (keeping)
03-29 05:40 recovered web green anomaly
"""


def _looks(now: datetime) -> dict[str, Look]:
    good = {source: look() for source in ("app", "shop", "web")}
    return good | {source: look(*found) for source, begin, end, found in HISTORY if at(begin) <= now < at(end)}


def test_three_months_are_told_exactly_as_the_timeline_says() -> None:
    story = Story(POLICY)
    now = at("2026-01-05 00:00")
    acknowledged = False
    while now < at("2026-04-05 00:00"):
        if now >= at("2026-02-03 01:30") and not acknowledged:
            [open_] = [item for item in story.memory.incidents.values() if item.is_open]
            story.acknowledge(open_.id, "2026-02-03 01:30")
            acknowledged = True
        story.look_at(now, _looks(now))
        now += timedelta(minutes=10)
    told = [line for line in story.lines if "(loud)" not in line]
    assert told == EXPECTED.strip().splitlines()
    assert [item for item in story.memory.incidents.values() if item.is_open] == []


def test_transitions_are_recorded_whatever_is_told() -> None:
    story = Story(POLICY)
    story.run("2026-02-14 08:00", "2026-02-14 14:00", _looks)
    changes = [
        (item.source, f"{item.at:%H:%M}", item.before, item.after)
        for item in story.memory.transitions
        if item.source != "app"
    ]
    assert changes == [
        ("shop", "08:00", None, Colour.GREEN),
        ("web", "08:00", None, Colour.GREEN),
        ("web", "09:00", Colour.GREEN, Colour.RED),
        ("web", "11:00", Colour.RED, Colour.GREEN),
        ("shop", "11:30", Colour.GREEN, Colour.RED),
        ("shop", "13:00", Colour.RED, Colour.GREEN),
    ]
    first, second = story.memory.incidents.values()
    assert (first.told, first.maintenance, first.is_finished) == (None, "the store moves", True)
    assert (second.told, second.maintenance) == (Colour.GREEN, "the store moves")
    assert second.lasted(at("2026-02-14 14:00")) == timedelta(minutes=90)


def test_channels_without_quiet_hours_hear_at_night_what_the_others_hear_in_the_morning() -> None:
    story = Story(POLICY)
    story.stay("2026-01-12 20:00", "2026-01-12 23:00", app=[])
    night = story.stay("2026-01-12 23:00", "2026-01-13 06:30", app=["anomaly"])
    assert night == [
        "01-12 23:00 changed app yellow anomaly (loud)",
        "01-13 06:00 changed app yellow anomaly (keeping)",
    ]
    assert story.stay("2026-01-13 23:00", "2026-01-13 23:30", app=[]) == [
        "01-13 23:00 recovered app green anomaly (loud)"
    ]
    assert story.stay("2026-01-14 06:00", "2026-01-14 07:00", app=[]) == [
        "01-14 06:00 recovered app green anomaly (keeping)"
    ]


def test_what_is_over_before_the_morning_ends_for_those_who_heard_of_it() -> None:
    story = Story(POLICY)
    story.stay("2026-01-12 20:00", "2026-01-12 23:00", app=[])
    told = story.stay("2026-01-12 23:00", "2026-01-13 02:00", app=["anomaly"])
    told += story.stay("2026-01-13 02:00", "2026-01-13 12:00", app=[])
    assert told == [
        "01-12 23:00 changed app yellow anomaly (loud)",
        "01-13 02:00 recovered app green anomaly (loud)",
    ]


def test_acknowledging_stops_reminders_and_escalation_until_something_worse_comes() -> None:
    story = Story(WatchPolicy(escalation=TIERS))
    story.stay("2026-01-12 08:00", "2026-01-12 09:00", app=[])
    assert story.stay("2026-01-12 09:00", "2026-01-12 09:30", app=["test-failed"]) == [
        "01-12 09:00 changed app red test-failed"
    ]
    story.acknowledge("app#2", "2026-01-12 09:30")
    assert story.stay("2026-01-12 09:30", "2026-01-15 09:30", app=["test-failed"]) == []
    worse = story.stay("2026-01-15 09:30", "2026-01-15 12:00", app=["test-failed", "backup-stale"])
    assert worse == [
        "01-15 09:30 changed app red backup-stale",
        "01-15 10:30 escalation app red test-failed step 1",
        "01-15 11:30 escalation app red test-failed step 2",
    ]
    assert story.memory.incidents["app#2"].acknowledgement is None


def test_yellow_is_reminded_of_after_a_day_three_days_and_then_weekly() -> None:
    story = Story(WatchPolicy())
    told = story.stay("2026-01-01 09:00", "2026-01-31 09:00", app=["test-overdue"])
    assert told == [
        "01-01 09:00 changed app yellow test-overdue",
        "01-02 09:00 reminder app yellow test-overdue",
        "01-05 09:00 reminder app yellow test-overdue",
        "01-12 09:00 reminder app yellow test-overdue",
        "01-19 09:00 reminder app yellow test-overdue",
        "01-26 09:00 reminder app yellow test-overdue",
    ]


def test_new_reason_of_the_same_colour_is_told_once_unless_it_was_away_for_an_hour() -> None:
    story = Story(WatchPolicy())
    told = story.stay("2026-01-01 09:00", "2026-01-01 10:00", app=["test-overdue"])
    told += story.stay("2026-01-01 10:00", "2026-01-01 11:00", app=["test-overdue", "backup-overdue"])
    told += story.stay("2026-01-01 11:00", "2026-01-01 11:50", app=["test-overdue"])
    told += story.stay("2026-01-01 11:50", "2026-01-01 12:40", app=["backup-overdue"])
    told += story.stay("2026-01-01 12:40", "2026-01-01 14:00", app=["test-overdue"])
    assert told == [
        "01-01 09:00 changed app yellow test-overdue",
        "01-01 10:00 changed app yellow backup-overdue",
    ]
    assert story.stay("2026-01-01 14:00", "2026-01-01 15:00", app=["test-overdue", "backup-overdue"]) == [
        "01-01 14:00 changed app yellow backup-overdue"
    ]


def test_flapping_source_is_told_of_twice_and_then_only_when_it_has_settled() -> None:
    story = Story(WatchPolicy())
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=[])
    bad = True
    for minute in range(0, 240, 10):
        now = at("2026-01-01 09:00") + timedelta(minutes=minute)
        story.look_at(now, {"app": look("backup-stale") if bad else look()})
        bad = not bad
    assert story.lines == [
        "01-01 09:00 changed app red backup-stale",
        "01-01 09:10 recovered app green backup-stale",
        "01-01 09:20 changed app red backup-stale",
    ]
    assert story.stay("2026-01-01 13:00", "2026-01-01 20:00", app=[]) == [
        "01-01 13:50 recovered app green backup-stale"
    ]
    assert len(story.memory.transitions) == 25


def test_removed_source_closes_its_incident_with_the_reason_and_may_come_back() -> None:
    story = Story(WatchPolicy())
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=["backup-stale"], shop=[])
    assert story.stay("2026-01-01 09:00", "2026-01-01 10:00") == [
        "01-01 09:00 removed app gone backup-stale",
        "01-01 09:00 removed shop gone removed",
    ]
    incident = story.memory.incidents["app#1"]
    assert (incident.closed_because, incident.is_finished) == ("the source was removed from the configuration", True)
    assert story.stay("2026-01-01 10:00", "2026-01-01 11:00", app=["backup-stale"]) == [
        "01-01 10:00 changed app red backup-stale"
    ]
    assert "app#3" in story.memory.incidents


def test_first_look_tells_how_things_stand_and_nothing_of_what_is_green() -> None:
    assert Story(WatchPolicy()).stay("2026-01-01 08:00", "2026-01-01 08:30", app=[], shop=["no-backup"]) == [
        "01-01 08:00 changed shop red no-backup"
    ]


def test_nothing_configured_is_nothing_to_tell() -> None:
    story = Story(WatchPolicy())
    assert story.look_at(at("2026-01-01 08:00"), {}).is_empty


def test_clock_that_goes_back_neither_repeats_nor_loses_a_reminder() -> None:
    story = Story(WatchPolicy(escalation=TIERS))
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=["backup-stale"])
    ahead = story.stay("2027-01-01 08:00", "2027-01-01 08:30", app=["backup-stale"])
    assert ahead == [
        "01-01 08:00 escalation app red backup-stale step 2",
    ]
    back = story.stay("2026-01-01 09:00", "2026-01-01 18:00", app=["backup-stale"])
    assert back == ["01-01 17:00 reminder app red backup-stale"]
    assert story.stay("2026-01-01 08:30", "2026-01-01 08:40", app=[]) == [
        "01-01 08:30 recovered app green backup-stale"
    ]


def test_watcher_that_was_away_escalates_through_every_tier() -> None:
    story = Story(WatchPolicy(escalation=TIERS))
    story.stay("2026-01-01 08:00", "2026-01-01 08:10", app=["backup-stale"])
    assert story.stay("2026-01-01 11:00", "2026-01-01 11:10", app=["backup-stale"]) == [
        "01-01 11:00 escalation app red backup-stale step 2",
    ]


def test_a_thousand_sources_with_one_reason_make_one_notice() -> None:
    story = Story(WatchPolicy())
    names = [f"s{number:04}" for number in range(1000)]
    story.look_at(at("2026-01-01 08:00"), {name: look() for name in names})
    plan = story.look_at(at("2026-01-01 08:10"), {name: look("repository-unreachable") for name in names})
    assert [len(group) for group in plan.news] == [1000]
    assert len(plan.incidents) == len(plan.transitions) == 1000
