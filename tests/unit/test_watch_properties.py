"""Whatever happens in whatever order: no word twice, none missing, and what is over stays silent."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.escalation import Escalation
from shared.domain.health_reason import Colour
from shared.domain.incident import Acknowledgement
from shared.domain.quiet import MaintenanceWindow, parse_quiet_hours
from shared.domain.source_watch import Audience, News, NewsKind, WatchPolicy
from tests.support.watch_story import COLOURS, Story, at, look

CODES = st.lists(st.sampled_from(sorted(COLOURS)), max_size=3, unique=True)
GAPS = st.sampled_from([-600, -30, 0, 1, 10, 10, 10, 30, 120, 700, 3000])  # minutes; clocks go back, too
STEPS = st.lists(
    st.tuples(
        GAPS,
        st.fixed_dictionaries({"app": CODES, "shop": CODES, "": CODES}),
        st.sampled_from(["", "", "", "acknowledge", "remove shop"]),
    ),
    min_size=1,
    max_size=40,
)
POLICIES = st.builds(
    WatchPolicy,
    escalation=st.sampled_from(
        [Escalation(), Escalation(channels=(("a",), ("b",), ("c",))), Escalation(channels=(("a",), (), ("c",)))]
    ),
    quiet=st.sampled_from([None, parse_quiet_hours("22:00-07:00", "Europe/Berlin")]),
    maintenance=st.sampled_from(
        [
            (),
            (MaintenanceWindow(reason="move", begins_at=at("2026-03-28 08:00"), ends_at=at("2026-03-29 20:00")),),
        ]
    ),
)


def _run(steps: Sequence[tuple[int, dict[str, list[str]], str]], policy: WatchPolicy) -> Story:
    """Live through the steps; the story begins the day before clocks jump in Berlin."""
    story = Story(policy)
    now = at("2026-03-28 00:00")
    for minutes, codes, deed in steps:
        now += timedelta(minutes=minutes)
        if deed == "acknowledge":
            for incident in list(story.memory.incidents.values()):
                taken = Acknowledgement(at=now, by="ada", reason="on it")
                if incident.is_open:
                    story.memory.incidents[incident.id] = replace(incident, acknowledgement=taken)
        looks = {name: look(*found) for name, found in codes.items() if not (deed == "remove shop" and name == "shop")}
        story.look_at(now, looks)
    return story


def _calm_down(story: Story) -> None:
    """Let two quiet weeks pass in which everything is green."""
    now = at("2027-06-01 12:00")
    for _look in range(100):
        story.look_at(now, {name: look() for name in ("app", "shop", "")})
        now += timedelta(hours=3)


BACK_AND_FORTH = [
    (minutes, {"app": codes, "shop": [], "": []}, "")
    for minutes, codes in (
        (-600, []), (-600, []), (-600, ["anomaly", "no-backup"]), (-600, ["anomaly", "backup-stale"]),
        (0, ["anomaly", "no-backup"]), (120, ["backup-stale"]),
    )
]  # fmt: skip


@example(steps=BACK_AND_FORTH, policy=WatchPolicy())
@given(steps=STEPS, policy=POLICIES)
@settings(max_examples=150, deadline=None)
def test_no_word_is_said_twice(steps: Sequence[tuple[int, dict[str, list[str]], str]], policy: WatchPolicy) -> None:
    story = _run(steps, policy)
    _calm_down(story)
    keys = Counter(item.key for _, item in story.memory.told)
    assert [key for key, count in keys.items() if count > 1] == []
    meanings = Counter(_meaning(item) for _, item in story.memory.told if item.kind is not NewsKind.CHANGED)
    assert [meaning for meaning, count in meanings.items() if count > 1] == []


def _meaning(item: News) -> tuple[object, ...]:
    incident = item.incident
    about = incident.id if incident else item.source
    alarms = (incident.alarms, incident.told_version, incident.reminders) if incident else ()
    if item.kind in (NewsKind.RECOVERED, NewsKind.REMOVED):
        alarms = ()
    version = item.key if item.kind is NewsKind.REMOVED and incident is None else ""
    return (item.kind, about, item.step if item.kind is NewsKind.ESCALATION else 0, alarms, item.audience, version)


@given(steps=STEPS, policy=POLICIES)
@settings(max_examples=150, deadline=None)
def test_every_red_incident_is_told_as_red_unless_maintenance_held_it(
    steps: Sequence[tuple[int, dict[str, list[str]], str]], policy: WatchPolicy
) -> None:
    story = _run(steps, policy)
    red = {
        item.incident.id
        for _, item in story.memory.told
        if item.incident
        and item.kind is NewsKind.CHANGED
        and item.after is Colour.RED
        and item.audience is Audience.ALL
    }
    for incident in story.memory.incidents.values():
        if incident.worst is Colour.RED and not incident.maintenance:
            assert incident.id in red


@given(steps=STEPS, policy=POLICIES)
@settings(max_examples=150, deadline=None)
def test_what_is_over_is_told_as_over_and_then_silent(
    steps: Sequence[tuple[int, dict[str, list[str]], str]], policy: WatchPolicy
) -> None:
    story = _run(steps, policy)
    _calm_down(story)
    ended = {item.incident.id for _, item in story.memory.told if item.incident and _is_end(item)}
    for incident in story.memory.incidents.values():
        assert not incident.is_open
        assert incident.is_finished
        assert (incident.id in ended) == (incident.told is not None)
    quiet = len(story.memory.told)
    _calm_down(story)
    assert len(story.memory.told) == quiet


def _is_end(item: News) -> bool:
    return item.kind in (NewsKind.RECOVERED, NewsKind.REMOVED) and item.audience is not Audience.LOUD


@given(steps=STEPS, policy=POLICIES)
@settings(max_examples=100, deadline=None)
def test_acknowledged_incident_is_neither_reminded_of_nor_escalated(
    steps: Sequence[tuple[int, dict[str, list[str]], str]], policy: WatchPolicy
) -> None:
    told = _run(steps, policy).memory.told
    for _, item in told:
        if item.kind in (NewsKind.REMINDER, NewsKind.ESCALATION):
            assert item.incident is not None
            assert item.incident.acknowledgement is None


@given(steps=STEPS, policy=POLICIES)
@settings(max_examples=100, deadline=None)
def test_nothing_mild_is_told_to_everybody_in_quiet_hours_and_nothing_at_all_in_maintenance(
    steps: Sequence[tuple[int, dict[str, list[str]], str]], policy: WatchPolicy
) -> None:
    for now, item in _run(steps, policy).memory.told:
        # Who heard of something at night hears of its end as well.
        is_end_of_early = item.kind is NewsKind.RECOVERED and item.audience is Audience.LOUD
        is_held = any(window.holds(item.source, now) for window in policy.maintenance)
        assert not is_held or is_end_of_early or item.incident is None
        if policy.quiet and policy.quiet.holds(now) and item.audience is not Audience.LOUD and item.incident:
            mild = (None, Colour.YELLOW, Colour.GREEN)
            assert item.before not in mild or item.after not in mild
