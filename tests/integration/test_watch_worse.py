"""The watch on real catalogs when it gets worse: what was told and acknowledged is not what is there now."""

from datetime import timedelta

import pytest

from shared.catalog.engine import Catalog
from shared.domain.backup import BackupKind
from shared.domain.channel import Channel
from shared.domain.escalation import Escalation
from shared.domain.manifest import Manifest
from shared.domain.notice import Notice, NoticeEvent
from shared.domain.quiet import parse_quiet_hours
from shared.domain.schedule import Cron
from shared.domain.source import Source
from shared.domain.source_watch import WatchPolicy
from shared.errors import SourceUnreachable, StoreUnreachable
from shared.operations.acknowledging import acknowledge
from shared.operations.anomalies import look_at_backup
from shared.postgres.schema import Schema
from tests.support.catalogs import complete, make_id, make_manifest, make_table
from tests.support.watch_scene import WatchScene

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SCHEMA: Schema = {"reader": {"format": "1"}}


@pytest.fixture
def scene(catalog: Catalog) -> WatchScene:
    return WatchScene(catalog, "mail")


def _fail(scene: WatchScene, source: str, error: SourceUnreachable | StoreUnreachable) -> None:
    catalog, backup_id = scene.place.catalog, make_id(scene.now, source=source)
    catalog.backup_started(backup_id=backup_id, source=source, kind=BackupKind.DAILY, reason="", now=scene.now)
    catalog.backup_failed(backup_id, error, scene.now)


def _backup(scene: WatchScene, rows: int) -> Manifest:
    manifest = complete(scene.place.catalog, make_manifest(at=scene.now, tables=(make_table("orders", rows=rows),)))
    look_at_backup(scene.place.catalog, Source(name="app"), manifest, SCHEMA, b"k" * 32, scene.now)
    return manifest


def test_far_greater_loss_is_told_although_a_smaller_one_is_open(scene: WatchScene, catalog: Catalog) -> None:
    def unusual() -> list[str]:
        return [item.title for item in scene.watch(after=HOUR).notices if item.event is NoticeEvent.ANOMALY]

    scene.watch()
    _backup(scene, 20_000)
    scene.watch(after=HOUR)
    _backup(scene, 9_000)
    assert unusual() == ["Unusual in app: public.orders has 9,000 rows, 55 % fewer than the 20,000 before"]
    _backup(scene, 30)
    assert unusual() == ["Unusual in app: public.orders has 30 rows, 99 % fewer than the 20,000 before"]
    assert len(acknowledge(catalog, "app", by="ada", reason="meant", now=scene.now).anomalies) == 1
    _backup(scene, 30)
    assert unusual() == []


def test_failed_backup_at_night_is_told_at_once_and_not_again_in_the_morning(scene: WatchScene) -> None:
    scene.change(policy=WatchPolicy(quiet=parse_quiet_hours("22:00-07:00")))
    scene.now += 17 * HOUR  # one o'clock at night
    scene.watch()
    _fail(scene, "app", SourceUnreachable("db:5432 does not answer", hint="Start it."))
    scene.codes["app"] = ("last-run-failed",)
    assert [notice.event for notice in scene.watch().notices] == [NoticeEvent.BACKUP_FAILED]
    assert [key for key in scene.watch_for(8 * HOUR) if key.startswith("changed")] == []
    scene.codes["app"] = ("last-run-failed", "anomaly")
    assert [notice.event for notice in scene.watch().notices] == [NoticeEvent.HEALTH_CHANGED]


def test_end_of_red_is_told_although_an_event_tells_what_is_left(scene: WatchScene) -> None:
    scene.watch()
    scene.codes["app"] = ("no-backup",)
    scene.watch()
    _backup(scene, 20_000)
    scene.watch(after=DAY)
    _backup(scene, 30)
    scene.codes["app"] = ("anomaly",)
    told = scene.watch().notices
    assert {notice.event for notice in told} >= {NoticeEvent.HEALTH_CHANGED, NoticeEvent.ANOMALY}
    [better] = [notice for notice in told if notice.event is NoticeEvent.HEALTH_CHANGED]
    assert better.title == "app is better, and still yellow: anomaly."
    scene.codes["app"] = ()
    [over] = scene.watch(after=2 * HOUR).notices
    assert over.title == "app is green again, after 26 h, 24 h of it RED"
    assert dict(over.facts)["It was"] == "no-backup."


def test_two_backups_that_fail_for_the_repository_are_one_notice(scene: WatchScene) -> None:
    scene.watch()
    for source in ("app", "shop"):
        _fail(scene, source, StoreUnreachable("the store does not answer", hint="Start it."))
        scene.codes[source] = ("repository-unreachable",)
    assert [notice.title for notice in scene.watch().notices] == ["2 backups FAILED: app, shop"]


def test_escalation_says_who_was_told_and_who_is_told_now(scene: WatchScene) -> None:
    def told() -> Notice:
        [notice] = scene.watch(after=HOUR).notices
        return notice

    names = ("hook", "phone", "boss", "ops")
    scene.change(
        channels={name: Channel(name=name, url="json://x") for name in names},
        policy=WatchPolicy(escalation=Escalation(channels=(("hook",), ("phone",), ("boss",)))),
    )
    scene.watch()
    scene.codes["app"] = ("anomaly",)
    scene.watch(after=3 * HOUR)
    scene.codes["app"] = ("no-backup",)
    told()
    second = told()
    assert second.title.startswith("ESCALATION: app is RED for 1 h and nobody")
    facts = dict(second.facts)
    assert (facts["Told before"], facts["Told now"]) == ("hook, ops", "phone (secondary)")
    assert facts["Not green since"].endswith(", 2 h")
    assert dict(told().facts)["Told before"] == "hook, phone, ops"


def test_first_look_with_a_clock_far_ahead_keeps_neither_canary_nor_digest_away(scene: WatchScene) -> None:
    scene.change(canary=Cron("0 9 * * 1"), digest=Cron("0 9 * * 1"))
    right = scene.now
    scene.now = right + timedelta(days=365)
    scene.watch()
    scene.now = right
    keys = scene.watch_for(timedelta(days=15), every=timedelta(hours=6))
    assert len([key for key in keys if key.startswith("canary")]) == 2
    assert len([key for key in keys if key.startswith("digest")]) == 2
