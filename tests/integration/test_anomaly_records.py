"""Anomalies in the catalog: one row for one cause, closed when it is over, acknowledged by a person."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.catalog.anomaly_records import AnomalyRow
from shared.catalog.engine import Catalog
from shared.domain.anomaly import AnomalyPolicy, Rule
from shared.domain.backup import BackupKind
from shared.domain.manifest import Manifest, TableRecord
from shared.domain.proof import Outcome, Severity
from shared.domain.source import Source
from shared.errors import CatalogProblem, UsageProblem
from shared.operations.acknowledging import AcknowledgeResult
from shared.operations.acknowledging import acknowledge as acknowledge_all
from shared.operations.anomalies import look_at_backup, look_at_clock
from shared.postgres.schema import Schema
from tests.support.catalogs import NOW, complete, make_id, make_manifest, make_table

DAY = timedelta(days=1)
KEY = b"k" * 32
SCHEMA: Schema = {
    "reader": {"format": "1"},
    "tables": {"public.orders": '{"owner": "app", "row_security": true}'},
    "policies": {"own on public.orders": '{"using": "true"}'},
}


class Days:
    """Takes one backup a day into a catalog and looks at it."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.source = Source(name="app")
        self.day = 0
        self.manifest: Manifest = make_manifest()

    def next(self, *, rows: int = 1000, schema: Schema | None = None, **changes: Any) -> tuple[AnomalyRow, ...]:
        at = NOW + self.day * DAY
        tables: tuple[TableRecord, ...] = (make_table("orders", rows=rows), make_table("customers", rows=50))
        values: dict[str, Any] = {"tables": tables, "dumped_bytes": 10**9, **changes}
        self.manifest = complete(self.catalog, make_manifest(at=at, suffix=f"{self.day:04x}", **values))
        self.day += 1
        return self.look(schema)

    def look(self, schema: Schema | None = None) -> tuple[AnomalyRow, ...]:
        now = self.manifest.finished_at
        return look_at_backup(self.catalog, self.source, self.manifest, schema or SCHEMA, KEY, now)

    def acknowledge(self, row: AnomalyRow) -> AnomalyRow:
        return self.catalog.acknowledge_anomaly(
            row.id, by="ann", reason="moved to the archive", now=self.manifest.finished_at
        )

    @property
    def open(self) -> set[tuple[str, str]]:
        return {(row.rule.value, row.object_name) for row in self.catalog.open_anomalies("app")}


@pytest.fixture
def days(catalog: Catalog) -> Days:
    return Days(catalog)


def test_loss_is_one_row_while_it_lasts_and_is_closed_when_the_rows_are_back(days: Days) -> None:
    days.next()
    (row,) = days.next(rows=0)
    assert (row.rule, row.object_name, row.severity) == (Rule.TABLE_EMPTY, "public.orders", Severity.WARNING)
    assert row.backup_id == row.last_backup_id == days.manifest.backup_id
    assert days.next(rows=0) == ()
    assert days.catalog.anomaly(row.id).last_backup_id == days.manifest.backup_id
    assert days.catalog.backup(days.manifest.backup_id).anomaly == "public.orders is empty; it had 1,000 rows"
    days.next()
    closed = days.catalog.anomaly(row.id)
    assert closed.closed_at == days.manifest.recovery_point_at
    assert closed.closed_reason == f"not in backup {days.manifest.backup_id} any more"
    assert days.open == set()
    assert days.catalog.backup(days.manifest.backup_id).anomaly == ""


def test_looking_again_changes_nothing(days: Days) -> None:
    days.next()
    opened = days.next(rows=10, schema=SCHEMA | {"policies": {}})
    assert {row.rule for row in opened} == {Rule.TABLE_SHRUNK, Rule.SCHEMA_CHANGED}
    before = days.catalog.anomalies("app")
    assert days.look(SCHEMA | {"policies": {}}) == ()
    assert days.catalog.anomalies("app") == before
    assert days.catalog.backup(days.manifest.backup_id).anomaly.count(";") == 1


def test_acknowledged_loss_stays_so_and_is_not_raised_again(days: Days) -> None:
    days.next()
    (row,) = days.next(rows=200)
    known = days.acknowledge(row)
    assert (known.acknowledged_by, known.acknowledged_reason) == ("ann", "moved to the archive")
    assert days.open == set()
    assert days.next(rows=200) == ()
    assert days.next(rows=210) == ()
    assert days.catalog.backup(days.manifest.backup_id).anomaly == ""
    assert days.catalog.anomaly(row.id).acknowledged_by == "ann"
    (again,) = days.next(rows=20)
    assert again.sentence == "public.orders has 20 rows, 90 % fewer than the 210 before"


def test_second_loss_right_after_an_acknowledged_one_is_another_cause(days: Days) -> None:
    days.next()
    (row,) = days.next(rows=200)
    days.acknowledge(row)
    (again,) = days.next(rows=20)
    assert again.id != row.id
    assert days.open == {("table-shrunk", "public.orders")}


def test_acknowledging_is_audited_and_needs_who_and_why_once(days: Days) -> None:
    days.next()
    (row,) = days.next(rows=0)
    with pytest.raises(UsageProblem, match="without who and why"):
        days.catalog.acknowledge_anomaly(row.id, by="ann", reason=" ", now=NOW)
    days.acknowledge(row)
    entry = days.catalog.newest_audit_entries(1)[0]
    assert (entry.actor, entry.action, entry.object) == ("ann", "anomaly.acknowledge", f"anomaly {row.id}")
    assert entry.reason == "moved to the archive"
    with pytest.raises(UsageProblem, match="acknowledged by ann already"):
        days.acknowledge(row)
    with pytest.raises(UsageProblem, match="there is no anomaly 99"):
        days.catalog.acknowledge_anomaly(99, by="ann", reason="x", now=NOW)
    days.next(rows=0)
    days.next(rows=5)
    with pytest.raises(UsageProblem, match="is over"):
        days.acknowledge(row)


def test_schema_change_stays_open_until_it_is_reverted_or_acknowledged(days: Days) -> None:
    days.next()
    changed = SCHEMA | {"policies": {}}
    (removed,) = days.next(schema=changed)
    assert removed.sentence.startswith("1 schema object was removed since ")
    assert removed.sentence.endswith(": policy own on public.orders")
    days.next(schema=changed)
    assert days.open == {("schema-changed", "removed")}
    (back,) = days.next()
    assert (back.object_name, back.severity) == ("added", Severity.INFO)
    assert days.open == {("schema-changed", "added")}
    days.next()
    assert days.open == set()
    (again,) = days.next(schema=changed)
    assert again.id not in {removed.id, back.id}
    days.acknowledge(again)
    assert days.next(schema=changed) == ()


def test_two_changes_of_the_schema_are_two_anomalies(days: Days) -> None:
    days.next()
    days.next(schema=SCHEMA | {"policies": {}})
    days.next(schema=SCHEMA | {"policies": {}, "tables": {}})
    assert [row.object_name for row in days.catalog.open_anomalies("app")] == ["removed", "removed"]


def test_schema_of_another_form_is_not_compared_and_that_is_said(days: Days) -> None:
    days.next()
    server = replace(days.manifest.server, server_version_num=180000)
    assert days.next(schema=SCHEMA | {"tables": {}}, server=server) == ()
    check = days.catalog.anomaly_check(days.manifest.backup_id)
    assert check is not None
    assert "schema-changed" in {item.check for item in check.not_measured}
    assert days.catalog.schema_digests("app").keys() == {("reader", "format"), ("policies", "own on public.orders")}


def test_look_that_fails_is_not_measured_and_fails_nothing(days: Days, monkeypatch: pytest.MonkeyPatch) -> None:
    days.next()
    (row,) = days.next(rows=0)

    def broken(*_args: object) -> None:
        raise CatalogProblem("the history cannot be read", hint="x")

    with monkeypatch.context() as patched:
        patched.setattr(days.catalog, "anomaly_history", broken)
        assert days.next() == ()
    check = days.catalog.anomaly_check(days.manifest.backup_id)
    assert check is not None
    assert check.outcome is Outcome.NOT_MEASURED
    assert check.not_measured[0].reason == "the look failed (CatalogProblem)"
    assert days.catalog.anomaly(row.id).is_open


def test_older_backup_is_not_looked_at_once_a_newer_one_is_there(days: Days) -> None:
    days.next()
    old = days.manifest
    days.next(rows=0)
    before = days.catalog.anomalies("app")
    assert look_at_backup(days.catalog, days.source, old, SCHEMA, KEY, NOW) == ()
    assert days.catalog.anomalies("app") == before
    check = days.catalog.anomaly_check(old.backup_id)
    assert check is not None
    assert check.outcome is Outcome.NOT_MEASURED


def test_numbers_are_judged_by_the_catalog_s_history_and_closed_by_a_normal_backup(days: Days) -> None:
    for _ in range(10):
        days.next()
    opened = days.next(dumped_bytes=10**8)
    assert {row.rule for row in opened} == {Rule.DUMPED_SIZE, Rule.COMPRESSION}
    assert days.next(dumped_bytes=10**8) == ()
    assert days.open == {("dumped-size", "app"), ("compression", "app")}
    days.next()
    assert days.open == set()


def test_days_count_backups_with_anomalies_as_recomputed(days: Days) -> None:
    for rows in (1000, 0, 0, 1000, 1000, 100):
        days.next(rows=rows)
    kept = days.catalog.backup_days(since=NOW.date())
    assert [day.anomaly for day in kept] == [0, 1, 1, 0, 0, 1]
    days.catalog.recompute_rollups(NOW)
    assert days.catalog.backup_days(since=NOW.date()) == kept


def test_catalog_knows_which_table_a_partition_belongs_to(days: Days) -> None:
    parts = replace(make_table("events_1"), partition_root="public.events")
    days.next(tables=(parts,))
    assert [row.partition_root for row in days.catalog.tables(days.manifest.backup_id)] == ["public.events"]


def _begin(catalog: Catalog, at: datetime, kind: BackupKind = BackupKind.DAILY) -> None:
    suffix = f"{at:%d%H}"
    catalog.backup_started(backup_id=make_id(at, suffix=suffix), source="app", kind=kind, reason="", now=at)


def test_gap_is_one_row_until_a_backup_begins(catalog: Catalog) -> None:
    source = Source(name="app")
    catalog.register_source("app", "postgres", NOW)
    assert look_at_clock(catalog, [source, Source(name="unknown")], NOW + timedelta(hours=20)).opened == ()
    expected = NOW.replace(microsecond=0) + DAY  # NOW is a fraction of a second after two
    (row,) = look_at_clock(catalog, [source], expected + timedelta(hours=3)).opened
    assert (row.rule, row.object_name, row.started_at) == (Rule.SCHEDULE_GAP, "daily backup", expected)
    for hours in (4, 30):
        assert look_at_clock(catalog, [source], expected + timedelta(hours=hours)).opened == ()
    assert len(catalog.anomalies("app")) == 1
    _begin(catalog, expected + timedelta(hours=31))
    result = look_at_clock(catalog, [source], expected + timedelta(hours=32))
    assert [item.id for item in result.closed] == [row.id]
    assert [item.object_name for item in result.opened] == ["weekly backup"]  # that Sunday's never came either


def test_acknowledged_gap_is_not_raised_again(catalog: Catalog) -> None:
    source = Source(name="app")
    catalog.register_source("app", "postgres", NOW)
    (row,) = look_at_clock(catalog, [source], NOW + 2 * DAY).opened
    catalog.acknowledge_anomaly(row.id, by="ann", reason="the office is closed", now=NOW + 2 * DAY)
    assert look_at_clock(catalog, [source], NOW + 3 * DAY).opened == ()
    assert catalog.open_anomalies() == ()


def test_run_that_never_ended_is_found_and_closed(catalog: Catalog) -> None:
    source = Source(name="app", anomalies=AnomalyPolicy(ignore=("schedule-gap",)))
    catalog.register_source("app", "postgres", NOW)
    run = catalog.begin_run("backup", "app", exclusive=True, now=NOW)
    assert look_at_clock(catalog, [source], NOW + timedelta(minutes=5)).opened == ()
    (row,) = look_at_clock(catalog, [source], NOW + timedelta(hours=1)).opened
    assert (row.rule, row.object_name) == (Rule.RUN_STUCK, f"run {run.id}")
    catalog.heartbeat(run, NOW + timedelta(hours=1))
    (closed,) = look_at_clock(catalog, [source], NOW + timedelta(hours=1)).closed
    assert closed.id == row.id
    (again,) = look_at_clock(catalog, [source], NOW + timedelta(hours=2)).opened
    assert again.id == row.id
    assert again.is_open


def test_far_greater_loss_during_an_open_one_is_another_anomaly_and_a_little_more_is_not(days: Days) -> None:
    days.next(rows=20_000)
    (first,) = days.next(rows=9_000)
    assert days.next(rows=8_000) == ()
    (second,) = days.next(rows=30)
    assert (second.sentence, second.expected_value) == (
        "public.orders has 30 rows, 99 % fewer than the 20,000 before",
        20_000,
    )
    closed = days.catalog.anomaly(first.id)
    assert closed.closed_reason == f"much more of it in backup {days.manifest.backup_id}"
    assert days.open == {("table-shrunk", "public.orders")}
    assert (days.look(), days.next(rows=30)) == ((), ())
    days.next(rows=20_000)
    assert days.open == set()


def test_acknowledging_a_source_takes_only_what_the_last_look_knew(days: Days) -> None:
    def acknowledge(now: datetime) -> AcknowledgeResult:
        return acknowledge_all(days.catalog, "app", by="ann", reason="moved", now=now)

    days.next(rows=20_000)
    (first,) = days.next(rows=9_000)
    days.catalog.begin_watch(days.manifest.finished_at)
    (second,) = days.next(rows=30)
    with pytest.raises(UsageProblem, match=rf"nobody was told of it yet: {second.id} \(public.orders has 30 rows"):
        acknowledge(days.manifest.finished_at)
    assert days.catalog.anomaly(first.id).acknowledged_at is None
    days.catalog.note_watched(days.manifest.finished_at)
    assert acknowledge(days.manifest.finished_at).anomalies == (second.id,)
