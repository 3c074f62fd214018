"""From rows to facts to a verdict, on a real catalog of both kinds; exposure of past days; a fleet in a few queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event

from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.models import BACKUP, RESTORE_TEST
from shared.demo.generated_history import HistoryShape, fill_catalog
from shared.domain.backup import BackupKind
from shared.domain.health import Colour, evaluate
from shared.domain.proof import Outcome
from shared.domain.source import Source
from shared.domain.source_facts import Reachability, SourceFacts
from shared.errors import CatalogRefused, GoldcopyError, SourceUnreachable, StoreUnreachable
from shared.operations.exposure_history import read_exposure_history
from shared.operations.facts_reading import REPOSITORY, provider_of, read_facts
from shared.operations.status import read_status
from tests.support.catalogs import NOW, complete, make_id, make_manifest, make_object, prove

APP = Source(name="app")
H, D = timedelta(hours=1), timedelta(days=1)


def facts_of(catalog: Catalog, now: object = NOW, **reaches: Reachability) -> SourceFacts:
    return read_facts(catalog, [APP], now, reaches=reaches or None).facts["app"]  # type: ignore[arg-type]


def test_an_unknown_source_has_no_backups_and_that_is_a_fact(catalog: Catalog) -> None:
    facts = facts_of(catalog)
    assert facts == SourceFacts(read_at=NOW)
    assert evaluate(APP, facts, NOW).colour is Colour.RED


def test_facts_are_what_the_catalog_knows(catalog: Catalog) -> None:
    old = complete(catalog, make_manifest(at=NOW - 3 * D, kind=BackupKind.WEEKLY))
    new = complete(catalog, make_manifest(at=NOW - 2 * H, suffix="aaaa"))
    prove(catalog, old.backup_id, Outcome.PASSED, NOW - D)
    failed = make_id(NOW - H, suffix="bbbb")
    catalog.backup_started(backup_id=failed, source="app", kind=BackupKind.DAILY, reason="", now=NOW - H)
    catalog.backup_failed(failed, StoreUnreachable("the store\ndoes not answer", hint="Look."), NOW - H)
    run = catalog.begin_run("restore-test", "app", exclusive=False, now=NOW - H / 2)

    facts = facts_of(catalog)
    assert facts.first_backup_at == NOW - 3 * D
    assert facts.newest is not None
    assert (facts.newest.backup_id, facts.newest.recovery_point_at) == (new.backup_id, new.recovery_point_at)
    assert facts.proven is not None
    assert (facts.proven.backup_id, facts.proven.tested_at) == (old.backup_id, NOW - D)
    assert facts.last_started == {BackupKind.WEEKLY: NOW - 3 * D, BackupKind.DAILY: NOW - H}
    assert facts.failures_since_complete == 1
    assert facts.last_failure is not None
    assert facts.last_failure.code == StoreUnreachable.code
    assert "\n" not in facts.last_failure.message
    [running] = facts.running
    assert (running.operation, running.started_at, running.heartbeat_at) == (
        "restore-test",
        NOW - H / 2,
        run.heartbeat_at,
    )
    [test] = facts.tests
    assert facts.last_test == facts.last_decisive == test
    assert (test.outcome, test.dumped_bytes, test.rows_dumped, test.rows_proven) == (Outcome.PASSED, 91, 13, 13)
    reasons = {reason.code: reason.colour for reason in evaluate(APP, facts, NOW).reasons}
    assert reasons["repository-unreachable"] is Colour.RED
    assert reasons["last-run-failed"] is Colour.YELLOW


def test_a_damaged_newest_backup_counts_as_none(catalog: Catalog) -> None:
    complete(catalog, make_manifest(at=NOW - 30 * H, objects=(make_object("old"),)))
    bad = make_object("bad")
    complete(catalog, make_manifest(at=NOW - 2 * H, suffix="aaaa", objects=(bad,)))
    catalog.mark_object_damaged(bad.key, "gone", NOW - H)
    facts = facts_of(catalog)
    assert facts.newest is not None
    assert facts.newest.recovery_point_at == NOW - 30 * H + timedelta(seconds=1)
    [damaged] = facts.damaged
    assert damaged.damaged_at == NOW - H
    assert {"backup-damaged", "backup-overdue"} <= {reason.code for reason in evaluate(APP, facts, NOW).reasons}


def fail(catalog: Catalog, at: datetime, suffix: str, error: GoldcopyError) -> None:
    failed = make_id(at, suffix=suffix)
    catalog.backup_started(backup_id=failed, source="app", kind=BackupKind.DAILY, reason="", now=at)
    catalog.backup_failed(failed, error, at)


def test_damage_does_not_bring_a_finished_outage_back(catalog: Catalog) -> None:
    complete(catalog, make_manifest(at=NOW - 30 * H, objects=(make_object("old"),)))
    for hours, suffix in ((6, "bbbb"), (5, "cccc")):
        fail(catalog, NOW - hours * H, suffix, SourceUnreachable("connection refused", hint="Look."))
    bad = make_object("bad")
    reached = complete(catalog, make_manifest(at=NOW - 4 * H, suffix="aaaa", objects=(bad,)))
    gone = Reachability(is_reachable=False, asked_at=NOW - 5 * H, since=NOW - 5 * H)
    told = {"provider-outage", "last-run-failed", "repository-unreachable"}
    assert told.isdisjoint(reason.code for reason in evaluate(APP, facts_of(catalog, repository=gone), NOW).reasons)

    catalog.mark_object_damaged(bad.key, "changed", NOW - H)
    facts = facts_of(catalog, repository=gone)
    assert facts.newest is not None
    assert facts.newest.recovery_point_at == NOW - 30 * H + timedelta(seconds=1)
    assert (facts.failures_since_complete, facts.failing_since) == (0, None)
    assert facts.last_completed_at == reached.finished_at
    codes = {reason.code for reason in evaluate(APP, facts, NOW).reasons}
    assert "backup-damaged" in codes
    assert told.isdisjoint(codes)


def test_failures_are_known_since_the_first_of_them(catalog: Catalog) -> None:
    fail(catalog, NOW - 9 * H, "aaaa", SourceUnreachable("no", hint="Look."))
    assert facts_of(catalog).failing_since == NOW - 9 * H
    complete(catalog, make_manifest(at=NOW - 8 * H, suffix="bbbb"))
    assert facts_of(catalog).failing_since is None
    for hours, suffix in ((3, "cccc"), (2, "dddd")):
        fail(catalog, NOW - hours * H, suffix, SourceUnreachable("connection refused", hint="Look."))
    facts = facts_of(catalog)
    assert (facts.failures_since_complete, facts.failing_since) == (2, NOW - 3 * H)
    [reason] = [reason for reason in evaluate(APP, facts, NOW).reasons if reason.code == "last-run-failed"]
    assert reason.since == NOW - 3 * H


def test_what_was_asked_now_counts_before_what_was_recorded(catalog: Catalog) -> None:
    complete(catalog, make_manifest(at=NOW - 2 * H))
    gone = Reachability(is_reachable=False, asked_at=NOW - H, since=NOW - H, message="no answer")
    catalog.record_reach(REPOSITORY, gone, failures=1)
    catalog.record_reach(provider_of("app"), gone, failures=1)
    assert facts_of(catalog).repository == gone
    assert facts_of(catalog).provider == gone
    back = Reachability(is_reachable=True, asked_at=NOW)
    assert facts_of(catalog, **{REPOSITORY: back}).repository == back


def test_a_source_that_left_the_configuration_is_shown_and_not_judged(catalog: Catalog) -> None:
    complete(catalog, make_manifest(source="gone"))
    report = read_status(catalog, {"app": APP}, NOW)
    assert [item.source.name for item in report.sources] == ["app"]
    assert [row.source for row in report.unconfigured] == ["gone"]
    assert report.document()["not_configured"][0]["backup_count"] == 1
    assert report.exit_code == 1


def test_success_counts_thirty_and_ninety_days(catalog: Catalog) -> None:
    for days, suffix in ((0, "a000"), (29, "b000"), (30, "c000"), (89, "d000"), (90, "e000")):
        complete(catalog, make_manifest(at=NOW - days * D, suffix=suffix))
    failed = make_id(NOW - 5 * D, suffix="bbbb")
    catalog.backup_started(backup_id=failed, source="app", kind=BackupKind.DAILY, reason="", now=NOW - 5 * D)
    catalog.backup_failed(failed, SourceUnreachable("no", hint="Look."), NOW - 5 * D)
    [report] = read_status(catalog, {"app": APP}, NOW).sources
    assert (report.standing.success_30.ok, report.standing.success_30.failed) == (2, 1)
    assert (report.standing.success_90.ok, report.standing.success_90.failed) == (4, 1)
    assert report.standing.success_met is False


def test_the_document_holds_what_the_command_line_promises(catalog: Catalog) -> None:
    made = complete(catalog, make_manifest(at=NOW - 2 * H))
    prove(catalog, made.backup_id, Outcome.PASSED, NOW - H)
    [source] = read_status(catalog, {"app": APP}, NOW).document()["sources"]
    assert source["source"] == "app"
    assert source["exposure_seconds"] == source["proven_exposure_seconds"] == 2 * 3600 - 1
    assert source["recovery_time_seconds"] == 61.5
    assert source["recovery_phases"] == {"fetch": 1.0, "prove": 2.5}
    assert (source["rpo_met"], source["rto_met"], source["health"]) == (True, True, "green")
    assert source["lost_rows"] == 0


def test_exposure_of_past_days_comes_from_the_same_rows(catalog: Catalog) -> None:
    first = complete(catalog, make_manifest(at=NOW - 50 * D))
    second = complete(catalog, make_manifest(at=NOW - 3 * D, suffix="aaaa"))
    prove(catalog, first.backup_id, Outcome.PASSED, NOW - 4 * D)
    prove(catalog, second.backup_id, Outcome.PASSED, NOW - 2 * D)
    prove(catalog, second.backup_id, Outcome.FAILED, NOW - D)
    history = read_exposure_history(catalog, APP, NOW - 60 * D, NOW)
    assert history is not None
    assert history.begins_at == first.finished_at
    assert [item.recovery_point_at for item in history.complete.segments] == [
        first.recovery_point_at,
        second.recovery_point_at,
    ]
    assert [(item.begins_at, item.recovery_point_at) for item in history.proven.segments] == [
        (first.finished_at + APP.objectives.proven, None),
        (NOW - 4 * D, first.recovery_point_at),
        (NOW - 2 * D, second.recovery_point_at),
        (NOW - D, first.recovery_point_at),
    ]
    late, now_late = history.complete.breaches
    assert (late.begins_at, late.ends_at) == (first.recovery_point_at + 26 * H, second.finished_at)
    assert now_late.ends_at == NOW
    assert len(history.document()["proven"]["breaches"]) == 2
    # What history says of now is what the status says of now.
    facts = facts_of(catalog)
    assert facts.newest is not None
    assert facts.proven is not None
    assert facts.newest.recovery_point_at == history.complete.segments[-1].recovery_point_at
    assert facts.proven.recovery_point_at == history.proven.segments[-1].recovery_point_at


def test_expired_backups_count_for_the_time_they_were_there(catalog: Catalog) -> None:
    gone = complete(catalog, make_manifest(at=NOW - 9 * D))
    complete(catalog, make_manifest(at=NOW - D, suffix="aaaa"))
    run = catalog.begin_run("cleanup", "app", exclusive=True, now=NOW - H)
    catalog.mark_expiring(gone.backup_id, "too old", run=run, now=NOW - H)
    catalog.record_manifest_removed(gone.backup_id, NOW - H / 2)
    catalog.record_objects_removed(gone.backup_id, [], 0, NOW - H / 2)
    catalog.record_expired(gone.backup_id, NOW - H / 3)
    past = {item.backup_id: item.gone_at for item in catalog.past_backups("app", until=NOW)}
    assert past[gone.backup_id] == NOW - H
    history = read_exposure_history(catalog, APP, NOW - 8 * D, NOW - 2 * D)
    assert history is not None
    assert [item.recovery_point_at for item in history.complete.segments] == [gone.recovery_point_at]


def test_without_a_backup_there_is_no_history(catalog: Catalog) -> None:
    assert read_exposure_history(catalog, APP, NOW - D, NOW) is None


@contextmanager
def counted_statements(catalog: Catalog) -> Iterator[list[str]]:
    engine, seen = catalog._database._engine, list[str]()

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        seen.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    yield seen
    event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("sources", [2, 40])
def test_a_fleet_takes_no_more_queries_than_one_source(catalog_url: str, sources: int) -> None:
    shape = HistoryShape(sources=sources, days=40)
    fill_catalog(catalog_url, NOW, shape)
    with open_catalog(catalog_url) as catalog, counted_statements(catalog) as seen:
        report = read_status(catalog, {name: Source(name=name) for name in shape.names}, NOW)
    assert len(report.sources) == sources
    assert len([statement for statement in seen if statement.lstrip().upper().startswith("SELECT")]) <= 12


def test_generated_history_says_so_and_its_small_tables_follow_from_its_rows(catalog_url: str) -> None:
    shape = HistoryShape(sources=6, days=100, troubled_ratio=0.5)
    made = fill_catalog(catalog_url, NOW, shape)
    with open_catalog(catalog_url) as catalog:
        days = catalog.backup_days(since=(NOW - 200 * D).date())
        fleet, statuses = catalog.fleet_days(since=(NOW - 200 * D).date()), catalog.source_statuses()
        catalog.recompute_rollups(NOW)
        assert catalog.backup_days(since=(NOW - 200 * D).date()) == days
        assert catalog.fleet_days(since=(NOW - 200 * D).date()) == fleet
        assert catalog.source_statuses() == statuses
        with catalog._database.reading() as connection:
            rows = connection.execute(BACKUP.select()).all()
            tests = connection.execute(RESTORE_TEST.select()).all()
    assert made.backups == len(rows) > 590
    assert made.restore_tests == len(tests) > 10
    assert {row.reason for row in rows} == {"generated"}
    assert all(name.startswith("generated") for name in shape.names)


def test_the_same_shape_gives_the_same_rows_and_a_used_catalog_is_refused(tmp_path: Path) -> None:
    shape = HistoryShape(sources=2, days=30)
    rows = []
    for name in ("one", "two"):
        url = f"sqlite:///{tmp_path}/{name}.db"
        fill_catalog(url, NOW, shape)
        with open_catalog(url) as catalog:
            rows.append(catalog.backups(include_expired=True))
    assert rows[0] == rows[1]
    with pytest.raises(CatalogRefused, match="not empty"):
        fill_catalog(url, NOW, shape)
