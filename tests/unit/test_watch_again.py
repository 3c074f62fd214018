"""What comes again or gets worse is told again: an acknowledgement covers what was known, and nothing after it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from shared.domain.escalation import Escalation
from shared.domain.health_reason import Colour, Reason
from shared.domain.quiet import MaintenanceWindow, parse_quiet_hours
from shared.domain.source_watch import NewsKind, WatchPolicy
from shared.domain.watch_plan import Look
from tests.support.watch_story import Story, at, look

TIERS = WatchPolicy(escalation=Escalation(channels=(("mail",), ("phone",), ("boss",))))
OUTAGE, DAMAGE, LATE, ODD = "repository-unreachable", "test-failed", "test-overdue", "anomaly"


def _about(code: str, colour: Colour, *subjects: str) -> Look:
    return Look(
        colour=colour,
        reasons=(Reason(code=code, colour=colour, sentence=f"{len(subjects)} {code}", subjects=subjects),),
    )


def test_second_outage_under_an_acknowledged_first_is_told_and_escalated() -> None:
    story = Story(TIERS)
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=[DAMAGE])
    story.acknowledge("app#1", "2026-01-01 09:00")
    assert story.stay("2026-01-01 09:00", "2026-01-01 10:00", app=[OUTAGE, DAMAGE]) == [
        "01-01 09:00 changed app red repository-unreachable"
    ]
    story.acknowledge("app#1", "2026-01-01 10:00")
    assert story.stay("2026-01-01 10:00", "2026-01-02 02:00", app=[DAMAGE]) == []
    assert story.stay("2026-01-02 02:00", "2026-01-02 04:10", app=[OUTAGE, DAMAGE]) == [
        "01-02 02:00 changed app red repository-unreachable",
        "01-02 03:00 escalation app red repository-unreachable step 1",
        "01-02 04:00 escalation app red repository-unreachable step 2",
    ]
    assert story.memory.incidents["app#1"].acknowledgement is None


def test_reason_that_comes_back_under_an_acknowledged_yellow_is_told_again() -> None:
    story = Story()
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=[LATE])
    story.stay("2026-01-01 09:00", "2026-01-01 10:00", app=[LATE, ODD])
    story.acknowledge("app#1", "2026-01-01 10:00")
    assert story.stay("2026-01-01 10:00", "2026-01-08 10:00", app=[LATE]) == []
    assert story.stay("2026-01-08 10:00", "2026-01-08 12:00", app=[LATE, ODD]) == [
        "01-08 10:00 changed app yellow anomaly"
    ]
    assert story.memory.incidents["app#1"].acknowledgement is None


def test_reason_that_comes_and_goes_every_ten_minutes_is_told_once() -> None:
    story = Story()
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=[LATE])
    for minute in range(0, 600, 10):
        now = at("2026-01-01 09:00") + timedelta(minutes=minute)
        story.look_at(now, {"app": look(LATE, ODD) if minute % 20 == 0 else look(LATE)})
    assert story.lines[1:] == ["01-01 09:00 changed app yellow anomaly"]


def test_every_word_about_one_change_has_a_name_of_its_own() -> None:
    story = Story()
    for day in range(1, 6):
        story.stay(f"2026-01-0{day} 08:00", f"2026-01-0{day} 09:00", app=[LATE, ODD])
        story.stay(f"2026-01-0{day} 09:00", f"2026-01-0{day} 12:00", app=[LATE])
        story.acknowledge("app#1", f"2026-01-0{day} 12:00")
    keys = [news.key for _, news in story.memory.told]
    assert len(keys) == len(set(keys)) == 5


def test_second_outage_after_a_better_time_voids_the_acknowledgement_of_the_first() -> None:
    story = Story(TIERS)
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=[LATE])
    story.stay("2026-01-01 09:00", "2026-01-01 10:00", app=[OUTAGE])
    story.acknowledge("app#1", "2026-01-01 10:00")
    story.stay("2026-01-01 10:00", "2026-01-01 10:30", app=[LATE])
    told = story.stay("2026-01-01 10:30", "2026-01-01 15:00", app=[OUTAGE])
    assert told == [
        "01-01 10:30 changed app red repository-unreachable",
        "01-01 11:30 escalation app red repository-unreachable step 1",
        "01-01 12:30 escalation app red repository-unreachable step 2",
        "01-01 14:30 reminder app red repository-unreachable",
    ]
    assert story.memory.incidents["app#1"].acknowledgement is None


def test_flapping_source_is_told_again_once_for_each_acknowledgement_and_no_more() -> None:
    story = Story(TIERS)
    for minute in range(0, 180, 10):
        now = at("2026-01-01 08:00") + timedelta(minutes=minute)
        story.look_at(now, {"app": look(OUTAGE) if minute % 20 else look(LATE)})
        if minute == 70:
            story.acknowledge("app#1", "2026-01-01 09:11")
    after = [line for line in story.lines if line > "01-01 09:11"]
    assert after == [
        "01-01 09:30 changed app red repository-unreachable",
        "01-01 10:30 escalation app red repository-unreachable step 1",
    ]


def test_more_of_what_was_acknowledged_is_told_and_shown() -> None:
    story = Story()
    story.look_at(at("2026-01-01 08:00"), {"app": _about("backup-damaged", Colour.YELLOW, "b1")})
    story.acknowledge("app#1", "2026-01-01 08:05")
    story.look_at(at("2026-01-01 08:10"), {"app": _about("backup-damaged", Colour.YELLOW, "b1")})
    story.look_at(at("2026-01-01 08:20"), {"app": _about("backup-damaged", Colour.YELLOW, "b2", "b1")})
    incident = story.memory.incidents["app#1"]
    assert story.lines[1:] == ["01-01 08:20 changed app yellow backup-damaged"]
    assert (incident.acknowledgement, incident.reasons[0].sentence) == (None, "2 backup-damaged")
    story.acknowledge("app#1", "2026-01-01 08:25")
    story.look_at(at("2026-01-01 08:30"), {"app": _about("backup-damaged", Colour.YELLOW, "b1")})
    assert story.lines[2:] == []


def test_better_colour_of_a_known_reason_keeps_the_acknowledgement_and_a_worse_one_voids_it() -> None:
    def both(colour: Colour) -> Look:
        proof = Reason(code="proven-stale", colour=colour, sentence="Old.")
        return Look(colour=Colour.RED, reasons=(Reason(code=OUTAGE, colour=Colour.RED, sentence="Away."), proof))

    story = Story()
    story.look_at(at("2026-01-01 08:00"), {"app": both(Colour.YELLOW)})
    story.acknowledge("app#1", "2026-01-01 08:05")
    story.look_at(at("2026-01-01 08:10"), {"app": both(Colour.RED)})
    assert story.lines[1:] == ["01-01 08:10 changed app red proven-stale"]
    story.acknowledge("app#1", "2026-01-01 08:15")
    for hour in range(9, 14):
        story.look_at(at(f"2026-01-01 {hour:02}:00"), {"app": both(Colour.YELLOW)})
    only = Look(colour=Colour.YELLOW, reasons=both(Colour.YELLOW).reasons[1:])
    story.look_at(at("2026-01-01 14:00"), {"app": only})
    assert story.memory.incidents["app#1"].acknowledgement is not None


def test_improvement_with_something_new_voids_the_acknowledgement() -> None:
    story = Story()
    story.stay("2026-01-01 08:00", "2026-01-01 09:00", app=[OUTAGE])
    story.acknowledge("app#1", "2026-01-01 09:00")
    assert story.stay("2026-01-01 09:00", "2026-01-02 10:00", app=[ODD]) == [
        "01-01 09:00 changed app yellow anomaly",
        "01-02 09:00 reminder app yellow anomaly",
    ]


def test_escalation_goes_on_while_what_was_red_is_unknown() -> None:
    story = Story(TIERS)
    story.stay("2026-01-01 08:00", "2026-01-01 08:50", app=[OUTAGE])
    told = story.stay("2026-01-01 08:50", "2026-01-01 11:00", app=["catalog-stale"])
    assert told == [
        "01-01 08:50 changed app unknown catalog-stale",
        "01-01 09:00 escalation app unknown catalog-stale step 1",
        "01-01 10:00 escalation app unknown catalog-stale step 2",
    ]
    assert story.stay("2026-01-01 11:00", "2026-01-01 13:00", app=[OUTAGE]) == [
        "01-01 11:00 changed app red repository-unreachable"
    ]


def test_what_was_never_red_is_not_escalated_when_it_is_unknown() -> None:
    story = Story(TIERS)
    assert story.stay("2026-01-01 08:00", "2026-01-01 11:50", app=["catalog-stale"]) == [
        "01-01 08:00 changed app unknown catalog-stale"
    ]


def test_late_watch_sends_one_notice_for_all_tiers_and_the_reminder() -> None:
    story = Story(TIERS)
    story.stay("2026-01-01 08:00", "2026-01-01 08:10", app=[OUTAGE])
    story.stay("2026-01-01 13:00", "2026-01-01 13:20", app=[OUTAGE])
    [(_, news)] = story.memory.told[1:]
    assert (news.kind, news.first_step, news.step, news.reminds) == (NewsKind.ESCALATION, 1, 2, True)
    assert story.stay("2026-01-01 13:20", "2026-01-01 20:50", app=[OUTAGE]) == []


def test_colour_is_counted_from_when_it_began() -> None:
    story = Story(TIERS)
    story.stay("2026-01-01 11:40", "2026-01-01 15:50", app=[LATE])
    story.stay("2026-01-01 15:50", "2026-01-01 17:00", app=[OUTAGE])
    story.stay("2026-01-01 17:00", "2026-01-01 18:00", app=[LATE])
    open_ = story.memory.incidents["app#1"]
    assert open_.stands_since == at("2026-01-01 17:00")
    story.look_at(at("2026-01-01 18:00"), {"app": look()})
    over = story.memory.incidents["app#1"]
    assert over.was_worst_for(at("2026-01-01 20:00")) == timedelta(minutes=70)
    assert (over.worst_because, over.reasons[0].code) == ("repository-unreachable.", LATE)


def test_two_sources_without_the_repository_are_one_notice_whatever_else_they_have() -> None:
    story = Story()
    story.look_at(at("2026-01-01 08:00"), {"app": look(), "shop": look(LATE)})
    plan = story.look_at(at("2026-01-01 08:10"), {"app": look(OUTAGE), "shop": look(OUTAGE, DAMAGE)})
    assert [[item.source for item in group] for group in plan.news] == [["app", "shop"]]
    story = Story(TIERS)
    story.stay("2026-01-01 08:00", "2026-01-01 10:00", app=[], shop=[DAMAGE])
    plan = story.look_at(at("2026-01-01 10:10"), {"app": look(OUTAGE), "shop": look(DAMAGE, OUTAGE)})
    assert [[item.source for item in group] for group in plan.news if group[0].kind is NewsKind.CHANGED] == [
        ["app", "shop"]
    ]


def test_finished_maintenance_is_named_once_and_never_again() -> None:
    window = MaintenanceWindow(reason="the move", begins_at=at("2026-01-01 08:00"), ends_at=at("2026-01-01 10:00"))
    story = Story(replace(TIERS, maintenance=(window,)))
    story.stay("2026-01-01 08:00", "2026-01-01 10:10", app=[LATE])
    story.stay("2026-01-01 10:10", "2026-01-01 10:20", app=[OUTAGE])
    assert [news.held for _, news in story.memory.told] == ["maintenance: the move", ""]


def _night(codes: Sequence[str]) -> Story:
    story = Story(WatchPolicy(quiet=parse_quiet_hours("22:00-07:00")))
    story.stay("2026-01-01 20:00", "2026-01-01 20:10", app=[])
    story.stay("2026-01-02 01:00", "2026-01-02 08:00", app=codes)
    return story


def test_yellow_at_night_is_held_back_until_the_morning() -> None:
    assert [line for line in _night([ODD]).lines if "(loud)" not in line] == [
        "01-02 07:00 changed app yellow anomaly (keeping)"
    ]
