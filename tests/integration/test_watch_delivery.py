"""Whom a notice reaches: tiers, filters, and every other way where a channel does not take it."""

from datetime import timedelta

import pytest

from shared.catalog.engine import Catalog
from shared.catalog.watch_records import OutboxState
from shared.cli.watch_commands import _watch_lines
from shared.domain.backup import BackupKind
from shared.domain.channel import EVERY_EVENT, Arrival, Channel, DeliveryResult, DeliveryState
from shared.domain.escalation import Escalation
from shared.domain.notice import NoticeEvent
from shared.domain.source_watch import WatchPolicy
from shared.errors import StoreUnreachable
from tests.support.catalogs import make_id
from tests.support.watch_scene import WatchScene

HOUR = timedelta(hours=1)
REFUSED = DeliveryResult(state=DeliveryState.FAILED, error="wrong password")
BUSY = DeliveryResult(state=DeliveryState.RETRY, error="500 internal server error")
UNSENT = DeliveryResult(state=DeliveryState.FAILED, error="X is not set", arrival=Arrival.UNSENT)
PERHAPS = DeliveryResult(state=DeliveryState.RETRY, error="no answer", arrival=Arrival.PERHAPS)
PARTLY = DeliveryResult(state=DeliveryState.RETRY, error="451 greylisted", arrival=Arrival.PARTLY)
RED = "changed:app:2:backup-stale"


def fail_a_backup(scene: WatchScene) -> str:
    """Let a backup fail, and return the key of the notice that tells it."""
    backup_id = make_id(scene.now)
    catalog = scene.place.catalog
    catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=scene.now)
    catalog.backup_failed(backup_id, StoreUnreachable("s3 does not answer", hint="Wait."), scene.now)
    return f"backup-failed:{backup_id}"


def use(scene: WatchScene, *channels: Channel, tiers: tuple[tuple[str, ...], ...] = ((), (), ())) -> None:
    scene.change(
        channels={channel.name: channel for channel in channels},
        policy=WatchPolicy(escalation=Escalation(channels=tiers)),
    )


def channel(name: str, *events: NoticeEvent) -> Channel:
    return Channel(name=name, url=f"json://{name}", events=frozenset(events) or EVERY_EVENT)


@pytest.fixture
def scene(catalog: Catalog) -> WatchScene:
    return WatchScene(catalog, "mail")


class TestEventThatStandsForHealth:
    """Who asked for the event hears the event; who is to hear of health hears of health; nobody hears both."""

    def test_primary_tier_hears_of_red_although_an_event_tells_it(self, scene: WatchScene) -> None:
        pager = channel("pager", NoticeEvent.HEALTH_CHANGED, NoticeEvent.REMINDER, NoticeEvent.ESCALATION)
        use(scene, channel("all"), pager, channel("bare", NoticeEvent.DIGEST), tiers=(("pager", "bare"), (), ()))
        scene.watch()
        failed = fail_a_backup(scene)
        scene.codes["app"] = ("repository-unreachable",)
        scene.watch()
        assert scene.receivers.keys("all") == [failed]
        assert scene.receivers.keys("pager") == scene.receivers.keys("bare") == ["changed:app:2:repository-unreachable"]
        assert scene.watch().notices == ()

    def test_channel_that_asked_for_changes_of_health_only_hears_of_them(self, scene: WatchScene) -> None:
        use(scene, channel("all"), channel("board", NoticeEvent.HEALTH_CHANGED))
        scene.watch()
        failed = fail_a_backup(scene)
        scene.codes["app"] = ("last-run-failed",)
        scene.watch()
        assert scene.receivers.keys("all") == [failed]
        assert scene.receivers.keys("board") == ["changed:app:2:last-run-failed"]


class TestOtherWays:
    """A critical notice that its channel does not take reaches people all the same, and once."""

    @pytest.fixture(autouse=True)
    def deaf_others(self, scene: WatchScene) -> None:
        """Only `mail` is meant to hear of red."""
        use(scene, channel("mail"), channel("log", NoticeEvent.DIGEST), channel("lead"), tiers=((), ("lead",), ()))
        scene.watch()
        scene.codes["app"] = ("backup-stale",)

    def took(self, scene: WatchScene) -> dict[str, int]:
        return {name: scene.receivers.keys(name).count(RED) for name in ("mail", "log", "lead")}

    def test_channel_that_cannot_be_used_from_here_is_not_given_up(self, scene: WatchScene) -> None:
        scene.receivers.answers["mail"] = UNSENT
        report = scene.watch()
        assert self.took(scene) == {"mail": 0, "log": 1, "lead": 1}
        assert report.unheard == ()
        del scene.receivers.answers["mail"]
        scene.watch()
        assert self.took(scene) == {"mail": 1, "log": 1, "lead": 1}

    def test_channel_with_another_name_leaves_the_notice_to_all_the_others(self, scene: WatchScene) -> None:
        scene.receivers.answers["mail"] = BUSY
        assert [notice.key for notice in scene.watch().unheard] == [RED]
        use(scene, channel("ops"), channel("log", NoticeEvent.DIGEST))
        scene.watch()
        assert RED in scene.receivers.keys("ops")
        assert RED in scene.receivers.keys("log")

    def test_channel_that_has_trouble_for_an_hour_leaves_it_to_the_others_long_before_it_is_given_up(
        self, scene: WatchScene
    ) -> None:
        scene.receivers.answers["mail"] = BUSY
        for _look in range(6):
            assert [notice.key for notice in scene.watch().unheard] == [RED], "at every look"
        scene.watch()
        assert self.took(scene) == {"mail": 0, "log": 1, "lead": 1}
        del scene.receivers.answers["mail"]
        scene.watch_for(2 * HOUR)
        assert self.took(scene) == {"mail": 1, "log": 1, "lead": 1}

    def test_watcher_that_dies_after_a_refusal_leaves_the_other_ways_to_the_next(
        self, scene: WatchScene, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        scene.receivers.answers["mail"] = REFUSED
        with monkeypatch.context() as patched:
            patched.setattr("shared.operations.notice_delivery._take_other_ways", lambda *_args: False)
            scene.watch()
        assert [row.state for row in catalog.deliveries()] == [OutboxState.FAILED]
        scene.watch()
        scene.watch()
        assert self.took(scene) == {"mail": 0, "log": 1, "lead": 1}

    def test_channel_in_trouble_keeps_nobody_else_from_hearing_what_another_refused(self, scene: WatchScene) -> None:
        use(
            scene,
            channel("mail"),
            channel("chat"),
            channel("lead"),
            channel("log"),
            tiers=(("mail", "chat"), ("lead",), ("log",)),
        )
        scene.receivers.answers |= {"mail": REFUSED, "chat": BUSY}
        report = scene.watch()
        assert self.took(scene) == {"mail": 0, "log": 1, "lead": 1}
        assert report.unheard == ()

    def test_what_some_of_a_channel_have_is_not_sent_to_them_again(self, scene: WatchScene, catalog: Catalog) -> None:
        scene.receivers.answers["mail"] = PARTLY
        scene.watch()
        scene.watch_for(3 * HOUR)
        [row] = [row for row in catalog.deliveries() if row.notice_key == RED]
        assert (row.state, row.attempts, row.error) == (OutboxState.DELIVERED, 1, "451 greylisted")
        assert [item.outcome for item in catalog.attempts("mail", limit=1)] == ["retry"]

    def test_what_may_have_arrived_is_sent_three_times_more_and_the_others_hear_of_it(
        self, scene: WatchScene, catalog: Catalog
    ) -> None:
        scene.receivers.answers["mail"] = PERHAPS
        scene.watch()
        scene.watch_for(20 * HOUR)
        row = next(row for row in catalog.deliveries() if (row.notice_key, row.channel) == (RED, "mail"))
        assert (row.state, row.attempts) == (OutboxState.FAILED, 4)
        assert self.took(scene) == {"mail": 0, "log": 1, "lead": 1}


def test_clock_that_ran_hours_ahead_keeps_no_notice_waiting(scene: WatchScene) -> None:
    scene.watch()
    scene.receivers.answers["mail"] = BUSY
    scene.codes["app"] = ("backup-stale",)
    scene.watch(after=20 * HOUR)
    del scene.receivers.answers["mail"]
    scene.watch(after=-20 * HOUR)
    assert scene.receivers.keys("mail") == [RED]


def test_critical_notice_that_no_channel_asked_for_is_unheard_and_not_told(scene: WatchScene) -> None:
    use(scene, channel("mail", NoticeEvent.DIGEST))
    scene.watch()
    scene.codes["app"] = ("backup-stale",)
    document = scene.watch().document()
    assert (document["unwanted"], [item["key"] for item in document["unheard"]]) == ([RED], [RED])
    assert "nobody gets this: " in "\n".join(_watch_lines(document))
