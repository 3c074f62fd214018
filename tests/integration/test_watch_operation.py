"""The watch on real catalogs: what is recorded, what is told, and to whom."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from shared.catalog.engine import Catalog
from shared.catalog.watch_records import WatchResult
from shared.domain.backup import BackupKind
from shared.domain.channel import Channel, DeliveryResult, DeliveryState
from shared.domain.channel_health import switch_reason
from shared.domain.cost import Prices, format_money
from shared.domain.escalation import Escalation
from shared.domain.health import Health
from shared.domain.notice import NoticeEvent, NoticeSeverity
from shared.domain.proof import Finding, Outcome, Severity
from shared.domain.quiet import parse_quiet_hours
from shared.domain.schedule import Cron
from shared.domain.source_watch import WatchPolicy
from shared.errors import SourceUnreachable
from shared.operations.storage import read_storage
from shared.operations.watch_events import noting_refusals
from tests.support.catalogs import complete, make_id, make_manifest, prove
from tests.support.watch_scene import WatchScene

HOUR = timedelta(hours=1)
REFUSED = DeliveryResult(state=DeliveryState.FAILED, error="wrong password")
BUSY = DeliveryResult(state=DeliveryState.RETRY, error="429 too many requests", retry_after_seconds=900)


@pytest.fixture
def scene(catalog: Catalog) -> WatchScene:
    return WatchScene(catalog, "mail")


def test_incident_is_told_once_reminded_of_and_closed(scene: WatchScene, catalog: Catalog) -> None:
    assert scene.watch().notices == ()
    scene.codes["app"] = ("backup-stale",)
    [notice] = scene.watch().notices
    assert (notice.severity, notice.source) == (NoticeSeverity.CRITICAL, "app")
    assert scene.watch().notices == ()
    assert scene.watch_for(4 * HOUR) == ["reminder:app#2:1:1"]
    scene.codes["app"] = ()
    [over] = scene.watch().notices
    assert over.event is NoticeEvent.RECOVERED
    assert scene.receivers.keys("mail") == [notice.key, "reminder:app#2:1:1", over.key]
    [incident] = catalog.incidents()
    assert (incident.id, incident.is_open, incident.closed_because) == ("app#2", False, "green again")
    assert [item.version for item in catalog.transitions("app")] == [3, 2, 1]


def test_first_look_at_an_old_catalog_tells_no_history(scene: WatchScene, catalog: Catalog) -> None:
    complete(catalog, make_manifest(at=scene.now - HOUR))
    assert scene.watch().notices == ()
    complete(catalog, make_manifest(at=scene.now))
    assert [notice.event for notice in scene.watch().notices] == [NoticeEvent.BACKUP_COMPLETED]
    assert scene.watch().notices == ()


def test_empty_catalog_and_no_source_are_nothing_to_tell(catalog: Catalog) -> None:
    report = WatchScene(catalog, "mail", sources=()).watch()
    assert (report.transitions[0].source, report.notices) == ("", ())
    assert catalog.watched_at() == report.at


def test_failed_backup_stands_for_the_change_of_health_it_causes(scene: WatchScene, catalog: Catalog) -> None:
    scene.watch()
    backup_id = make_id(scene.now)
    catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=scene.now)
    catalog.backup_failed(backup_id, SourceUnreachable("db:5432 does not answer", hint="Start it."), scene.now)
    scene.codes["app"] = ("last-run-failed",)
    report = scene.watch()
    assert [notice.key for notice in report.notices] == [f"backup-failed:{backup_id}"]
    assert "does not answer" in report.notices[0].title
    assert [item.after for item in report.transitions] == ["yellow"]
    assert scene.watch_for(2 * HOUR) == []


def test_failed_restore_test_is_critical_and_names_what_differs(scene: WatchScene, catalog: Catalog) -> None:
    scene.watch()
    manifest = complete(catalog, make_manifest(at=scene.now))
    finding = Finding(check="table-content", severity=Severity.ERROR, object="public.orders", message="3 rows differ")
    prove(catalog, manifest.backup_id, Outcome.FAILED, scene.now, findings=(finding,))
    scene.codes["app"] = ("test-failed",)
    completed, failed = scene.watch().notices
    assert (completed.event, failed.event) == (NoticeEvent.BACKUP_COMPLETED, NoticeEvent.RESTORE_TEST_FAILED)
    assert failed.severity is NoticeSeverity.CRITICAL
    assert "public.orders" in "\n".join(failed.findings)


def test_run_that_was_killed_is_found_and_told(scene: WatchScene, catalog: Catalog) -> None:
    scene.watch()
    run = catalog.begin_run("backup", "app", exclusive=True, now=scene.now)
    backup_id = make_id(scene.now)
    catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=scene.now, run=run)
    with catalog._database.writing() as connection:
        connection.exec_driver_sql("UPDATE run SET pid = 999999999")
    report = scene.watch()
    assert report.lost_runs == ("backup of app",)
    assert [notice.key for notice in report.notices] == [f"backup-failed:{backup_id}"]
    assert scene.watch().notices == ()


@pytest.mark.parametrize("page", ["http://prefect.example:4200/runs/flow-run/5b1c", ""])
def test_notice_of_a_run_leads_to_the_source_and_to_the_run(page: str, scene: WatchScene, catalog: Catalog) -> None:
    scene.change(app_url="https://goldcopy.example")
    scene.watch()
    worker = Catalog(catalog._database, "worker", page)
    run = worker.begin_run("backup", "app", exclusive=True, now=scene.now)
    backup_id = make_id(scene.now)
    worker.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=scene.now, run=run)
    worker.backup_failed(backup_id, SourceUnreachable("db:5432 does not answer", hint="Start it."), scene.now)
    (notice,) = scene.watch().notices
    source = ("Open Goldcopy", "https://goldcopy.example/source?source=app")
    assert notice.links == ((source, ("Prefect run", page)) if page else (source,))


def test_acknowledgement_is_in_the_audit_trail_and_stops_the_escalation(scene: WatchScene, catalog: Catalog) -> None:
    scene.change(policy=WatchPolicy(escalation=Escalation(channels=(("mail",), ("phone",), ()))))
    scene.change(channels={name: Channel(name=name, url="json://x") for name in ("mail", "phone")})
    scene.watch()
    scene.codes["app"] = scene.codes["shop"] = ("backup-stale",)
    scene.watch()
    [taken] = catalog.acknowledge(["app#2", "app#9"], by="ada", reason="on it", now=scene.now)
    assert taken.id == "app#2"
    scene.watch_for(6 * HOUR)
    assert scene.receivers.keys("phone") == ["escalation:shop#2:1:1", "reminder:shop#2:1:1"]
    assert [key for key in scene.receivers.keys("mail") if "reminder" in key] == ["reminder:shop#2:1:1"]
    entry = catalog.newest_audit_entries(1)[0]
    assert (entry.actor, entry.action, entry.object, entry.reason) == ("ada", "incident.acknowledge", "app#2", "on it")


def test_channel_that_refuses_turns_the_system_yellow_and_is_told_through_the_others(
    scene: WatchScene, catalog: Catalog
) -> None:
    scene.change(channels={name: Channel(name=name, url="json://x") for name in ("mail", "chat")})
    scene.watch()
    scene.receivers.answers["chat"] = REFUSED
    scene.codes["app"] = ("backup-stale",)
    scene.watch()
    [notice] = scene.watch().notices
    assert notice.event is NoticeEvent.CHANNEL_FAILED
    assert "wrong password" in notice.title
    assert scene.receivers.keys("mail")[-1] == notice.key
    [state] = [state for state in catalog.health_states() if state.source == ""]
    assert (state.colour, state.codes) == ("yellow", ("channel-failed",))
    assert [row.outcome for row in catalog.attempts("chat", limit=5)] == ["failed"]
    del scene.receivers.answers["chat"]
    scene.codes["app"] = ()
    scene.watch()
    assert [notice.source for notice in scene.watch().notices] == [""], "the channel works again"


def test_what_is_wrong_with_the_watch_itself_is_told_once_and_over_when_it_is(scene: WatchScene) -> None:
    scene.watch()
    scene.change(own_reasons=(switch_reason("it answered 404 Not Found"),))
    [notice] = scene.watch().notices
    assert "404 Not Found" in f"{notice.title} {notice.findings}"
    assert scene.watch().notices == ()
    scene.change(own_reasons=(), system_reasons=None)
    [over] = scene.watch().notices
    assert over.event is NoticeEvent.RECOVERED


def test_critical_notice_that_its_channel_refuses_takes_the_other_ways(scene: WatchScene) -> None:
    quiet = Channel(name="log", url="json://x", events=frozenset({NoticeEvent.DIGEST}))
    scene.change(channels={"mail": Channel(name="mail", url="json://x"), "log": quiet})
    scene.watch()
    scene.receivers.answers["mail"] = REFUSED
    scene.codes["app"] = ("backup-stale",)
    [notice] = scene.watch().notices
    assert scene.receivers.keys("log") == [notice.key]


def test_delivery_is_tried_again_not_before_it_was_asked_and_given_up_after_a_day(
    scene: WatchScene, catalog: Catalog
) -> None:
    scene.watch()
    scene.receivers.answers["mail"] = BUSY
    scene.codes["app"] = ("backup-stale",)
    scene.watch()
    [waiting] = catalog.deliveries()
    assert waiting.next_attempt_at == scene.now + timedelta(minutes=15)
    assert scene.watch().sent == ()
    assert len(scene.watch().sent) == 1
    scene.watch_for(26 * HOUR)
    first = catalog.deliveries()[0]
    assert (first.state, first.error) == ("failed", "429 too many requests")
    assert first.attempts > 20


def test_notices_to_a_channel_that_was_removed_are_given_up(scene: WatchScene, catalog: Catalog) -> None:
    scene.watch()
    scene.receivers.answers["mail"] = BUSY
    scene.codes["app"] = ("backup-stale",)
    scene.watch()
    scene.change(channels={})
    scene.watch(after=HOUR)
    assert [(row.state, row.error) for row in catalog.deliveries()] == [
        ("failed", "the channel was removed from the configuration")
    ]


def test_warning_in_quiet_hours_waits_for_the_morning_and_red_does_not(scene: WatchScene, catalog: Catalog) -> None:
    scene.change(policy=WatchPolicy(quiet=parse_quiet_hours("22:00-07:00")))
    loud = Channel(name="log", url="json://x", quiet_hours=False)
    scene.change(channels={"mail": Channel(name="mail", url="json://x"), "log": loud})
    scene.watch(after=15 * HOUR)
    scene.codes["app"] = ("backup-overdue",)
    scene.watch()
    assert scene.receivers.keys("mail") == []
    assert scene.receivers.keys("log") == ["early:changed:app:2:backup-overdue"]
    scene.codes["shop"] = ("test-failed",)
    scene.watch()
    assert scene.receivers.keys("mail") == ["changed:shop:2:test-failed"]
    scene.watch_for(9 * HOUR)
    assert "changed:app:2:backup-overdue" in scene.receivers.keys("mail")
    assert "changed:app:2:backup-overdue" not in scene.receivers.keys("log")


def test_many_sources_with_one_reason_are_one_notice_that_names_them(catalog: Catalog) -> None:
    names = [f"s{number}" for number in range(5)]
    scene = WatchScene(catalog, "mail", sources=names)
    scene.watch()
    scene.codes = dict.fromkeys(names, ("repository-unreachable",))
    [notice] = scene.watch().notices
    assert (notice.source, len(notice.findings)) == ("", 5)
    assert len(scene.receivers.keys("mail")) == 1
    assert len(catalog.notices(members=True)) == 6
    assert len(catalog.incidents(open_only=True)) == 5


def test_digest_and_canary_come_once_a_week_whatever_the_clock_does(scene: WatchScene, catalog: Catalog) -> None:
    scene.change(digest=Cron("0 8 * * 1"), canary=Cron("0 9 * * 1"))
    deaf = Channel(name="log", url="json://x", events=frozenset({NoticeEvent.REPORT_READY}))
    scene.change(channels={"mail": Channel(name="mail", url="json://x"), "log": deaf})
    complete(catalog, make_manifest(at=scene.now))
    scene.watch()
    scene.watch_for(timedelta(days=6), every=3 * HOUR)
    assert scene.receivers.keys("log") == ["canary:2026-W10"], "the watch began on a Monday, between the two"
    scene.watch_for(timedelta(days=2), every=3 * HOUR)
    assert scene.receivers.keys("log") == ["canary:2026-W10", "canary:2026-W11"]
    assert scene.receivers.keys("mail").count("digest:20260309T080000Z") == 1
    scene.now -= timedelta(hours=12)
    scene.watch_for(24 * HOUR, every=HOUR)
    assert scene.receivers.twice() == {}
    digest = next(notice for _, notice in scene.receivers.taken if notice.event is NoticeEvent.DIGEST)
    assert any("app" in line for line in digest.findings)


def test_digest_tells_the_cost_that_everything_else_tells(scene: WatchScene, catalog: Catalog) -> None:
    prices = Prices(currency="EUR", storage_per_gb_month=Decimal(1_000_000))
    scene.change(digest=Cron("0 8 * * 1"), prices=prices)
    complete(catalog, make_manifest(at=scene.now))
    scene.watch()
    digest = next(item for item in scene.watch(after=timedelta(days=8)).notices if item.event is NoticeEvent.DIGEST)
    total = read_storage(catalog, scene.place.sources, prices, digest.at).cost.total
    assert total
    told = f"{format_money(total, 'EUR')} in the last 30 days, without writes, reads, egress: no price is configured"
    assert dict(digest.facts)["Cost"] == told


def test_a_thousand_sources_are_watched_in_one_look(catalog: Catalog) -> None:
    names = [f"s{number:04}" for number in range(1000)]
    scene = WatchScene(catalog, "mail", sources=names)
    scene.watch()
    scene.codes = dict.fromkeys(names, ("backup-stale",))
    report = scene.watch()
    assert (len(report.transitions), len(report.notices)) == (1000, 1)
    scene.codes = dict.fromkeys(names, ())
    assert len(scene.watch().notices) == 1
    assert len(scene.receivers.taken) == 2


def test_clock_that_ran_ahead_keeps_no_notice_waiting(scene: WatchScene, catalog: Catalog) -> None:
    scene.watch()
    scene.receivers.answers["mail"] = BUSY
    scene.codes["app"] = ("backup-stale",)
    scene.now += timedelta(days=400)
    scene.watch()
    del scene.receivers.answers["mail"]
    scene.now -= timedelta(days=400)
    scene.watch()
    assert scene.receivers.keys("mail") == ["changed:app:2:backup-stale"]
    assert scene.watch_for(4 * HOUR) == ["reminder:app#2:1:1"]


def test_backup_that_never_came_is_told_as_late_and_what_is_odd_as_unusual(scene: WatchScene, catalog: Catalog) -> None:
    complete(catalog, make_manifest(at=scene.now))
    scene.watch()
    scene.now = scene.now.replace(hour=5) + timedelta(days=1)
    scene.codes["app"] = ("backup-overdue",)
    [late] = scene.watch().notices
    assert (late.event, late.severity) == (NoticeEvent.BACKUP_LATE, NoticeSeverity.WARNING)
    assert late.key == "backup-late:app:daily:20260303T020000Z"
    assert scene.watch_for(2 * HOUR) == []


def test_cleanup_that_refused_is_told_once_a_week(scene: WatchScene, catalog: Catalog) -> None:
    scene.watch()
    told: list[str] = []
    for _day in range(9):
        finding = Finding(
            check="manifest",
            severity=Severity.ERROR,
            object="sources/app/backups/x/manifest.json",
            message="the manifest is cut",
            hint="Put it back.",
        )
        with noting_refusals(catalog, None, now=lambda: scene.now) as refusals:
            refusals.append(finding)
        told += [notice.title for notice in scene.watch(after=timedelta(days=1)).notices]
    assert told == ["Cleanup of app refused: the manifest is cut"] * 2


def test_plan_made_before_an_acknowledgement_is_not_recorded_but_made_again(
    scene: WatchScene, catalog: Catalog
) -> None:
    scene.watch()
    scene.codes["app"] = ("backup-stale",)
    scene.watch()
    told = scene.place.read_healths

    def acknowledged_meanwhile(at: datetime) -> Sequence[Health]:
        record = catalog.watch_record(changes_since=at)
        assert record is not None
        catalog.acknowledge(["app#2"], by="ada", reason="on it", now=at)
        assert catalog.record_watch(record.version, WatchResult(), at) is False
        return told(at)

    scene.change(read_healths=acknowledged_meanwhile)
    assert scene.watch(after=5 * HOUR).notices == (), "neither a reminder nor an escalation"
    [incident] = catalog.incidents(open_only=True)
    assert incident.acknowledgement is not None
