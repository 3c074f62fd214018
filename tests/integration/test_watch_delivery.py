"""Whom a notice reaches: tiers, filters, and every other way where a channel does not take it."""

from datetime import timedelta

import pytest

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupKind
from shared.domain.channel import EVERY_EVENT, Channel, DeliveryResult, DeliveryState
from shared.domain.escalation import Escalation
from shared.domain.notice import NoticeEvent
from shared.domain.source_watch import WatchPolicy
from shared.errors import StoreUnreachable
from tests.support.catalogs import make_id
from tests.support.watch_scene import WatchScene

HOUR = timedelta(hours=1)
REFUSED = DeliveryResult(state=DeliveryState.FAILED, error="wrong password")
BUSY = DeliveryResult(state=DeliveryState.RETRY, error="500 internal server error")
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
