"""What is recorded about backups comes back as it was, on SQLite and on Postgres."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import create_engine, text

from shared.catalog.engine import Catalog, open_catalog
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.errors import BackupUnknown, CatalogRefused, SourceUnreachable
from tests.support.catalogs import (
    NOW,
    complete,
    digest_of,
    make_id,
    make_manifest,
    make_object,
    make_table,
    prove,
)

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def test_complete_backup_comes_back_with_every_fact_of_its_manifest(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    row = catalog.backup(manifest.backup_id)
    assert row.status is BackupStatus.COMPLETE
    assert row.kind is BackupKind.DAILY
    assert (row.started_at, row.recovery_point_at, row.finished_at) == (
        manifest.started_at,
        manifest.recovery_point_at,
        manifest.finished_at,
    )
    assert row.started_at.tzinfo is UTC
    assert row.duration_seconds == 60.0
    assert (row.table_count, row.row_count, row.object_count) == (2, 13, 1)
    assert (row.dumped_bytes, row.stored_bytes, row.new_bytes) == (91, 100, 100)
    assert (row.server_version, row.client_version, row.tool_version) == ("17.4", "17.5", "0.1.0")
    assert (row.snapshot_id, row.lsn) == (manifest.snapshot_id, manifest.lsn)
    assert row.manifest_sha256 == digest_of(manifest)
    assert row.warnings == manifest.warnings
    assert row.excluded == manifest.excluded
    assert row.durations == manifest.durations_seconds
    assert (row.proven_at, row.held, row.damaged_at, row.error_message) == (None, False, None, "")
    assert [table.name for table in catalog.tables(row.id)] == ["orders", "customers"]
    assert [item.key for item in catalog.objects(row.id)] == [manifest.objects[0].key]


def test_recording_a_complete_backup_twice_changes_nothing(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    before = (catalog.backup(manifest.backup_id), catalog.backup_facts(manifest.backup_id), catalog.source_statuses())
    complete(catalog, manifest)
    after = (catalog.backup(manifest.backup_id), catalog.backup_facts(manifest.backup_id), catalog.source_statuses())
    assert before == after


def test_sizes_and_rows_beyond_32_bit_are_kept(catalog: Catalog) -> None:
    huge = 5 * 2**40
    objects = (make_object("huge", stored_bytes=huge),)
    manifest = complete(
        catalog, make_manifest(objects=objects, tables=(make_table("big", rows=2**40),), dumped_bytes=huge)
    )
    row = catalog.backup(manifest.backup_id)
    assert (row.stored_bytes, row.dumped_bytes, row.row_count) == (huge, huge, 2**40)
    status = catalog.source_status("app")
    assert status is not None
    assert status.stored_bytes == huge
    assert catalog.fleet_days(since=NOW.date())[0].bytes_ok == huge


def test_instants_of_any_zone_come_back_as_the_same_instant_in_utc(catalog: Catalog) -> None:
    local = datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    catalog.register_source("app", "postgres", local)
    at = catalog.sources()[0].registered_at
    assert at == local
    assert at.tzinfo is UTC


def test_naive_instants_are_refused(catalog: Catalog) -> None:
    with pytest.raises(Exception, match="naive instant"):
        catalog.register_source("app", "postgres", datetime(2026, 1, 1))


@pytest.mark.parametrize(
    "name", ["we\"ird'; DROP TABLE backup; --", "two\nlines", "täble 😀", "nul\x00byte", "\udc80raw"]
)
def test_hostile_names_are_kept_or_escaped(catalog: Catalog, name: str) -> None:
    manifest = complete(catalog, make_manifest(tables=(make_table(name),), warnings=(f"{name} is odd",)))
    (table,) = catalog.tables(manifest.backup_id)
    assert table.name.replace("\\x00", "\x00").replace("\\udc80", "\udc80") == name
    assert catalog.backup(manifest.backup_id).warnings == (f"{name} is odd",)


def test_running_backup_is_not_the_newest_complete_one(catalog: Catalog) -> None:
    first = complete(catalog, make_manifest())
    catalog.backup_started(
        backup_id=make_id(NOW + DAY), source="app", kind=BackupKind.MANUAL, reason="why", now=NOW + DAY
    )
    newest = catalog.newest_complete("app")
    assert newest is not None
    assert newest.id == first.backup_id
    status = catalog.source_status("app")
    assert status is not None
    assert (status.running_id, status.running_since) == (make_id(NOW + DAY), NOW + DAY)


def test_failed_backup_keeps_its_reason_and_counts_as_a_failure(catalog: Catalog) -> None:
    complete(catalog, make_manifest())
    backup_id = make_id(NOW + DAY)
    catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=NOW + DAY)
    error = SourceUnreachable("the server is gone", hint="Start it.")
    assert catalog.backup_failed(backup_id, error, NOW + DAY + HOUR)
    row = catalog.backup(backup_id)
    assert (row.status, row.error_code, row.error_message) == (BackupStatus.FAILED, 21, "the server is gone. Start it.")
    assert row.duration_seconds == 3600
    status = catalog.source_status("app")
    assert status is not None
    assert (status.last_failure_id, status.failures_since_complete, status.running_id) == (backup_id, 1, "")
    assert [(day.ok, day.failed) for day in catalog.fleet_days(since=NOW.date())] == [(1, 0), (0, 1)]


def test_unexpected_error_is_recorded_without_its_text(catalog: Catalog) -> None:
    backup_id = make_id()
    catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=NOW)
    catalog.backup_failed(backup_id, ValueError("postgresql://app:hunter2@db"), NOW)
    row = catalog.backup(backup_id)
    assert "ValueError" in row.error_message
    assert "hunter2" not in row.error_message
    assert all("hunter2" not in str(entry) for entry in catalog.audit_entries())


def test_very_long_error_is_cut(catalog: Catalog) -> None:
    backup_id = make_id()
    catalog.backup_started(backup_id=backup_id, source="app", kind=BackupKind.DAILY, reason="", now=NOW)
    catalog.backup_failed(backup_id, SourceUnreachable("x" * 100_000, hint="y"), NOW)
    assert len(catalog.backup(backup_id).error_message) <= 2000


def test_complete_backup_never_becomes_failed(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    assert not catalog.backup_failed(manifest.backup_id, KeyboardInterrupt(), NOW + DAY)
    assert catalog.backup(manifest.backup_id).status is BackupStatus.COMPLETE


def test_backup_taken_for_dead_becomes_complete_when_its_manifest_is_recorded(catalog: Catalog) -> None:
    manifest = make_manifest()
    catalog.backup_started(backup_id=manifest.backup_id, source="app", kind=manifest.kind, reason="", now=NOW)
    catalog.backup_failed(manifest.backup_id, KeyboardInterrupt(), NOW + HOUR)
    complete(catalog, manifest, NOW + 2 * HOUR)
    row = catalog.backup(manifest.backup_id)
    assert (row.status, row.error_code, row.error_message) == (BackupStatus.COMPLETE, None, "")
    assert [(day.ok, day.failed) for day in catalog.backup_days(since=NOW.date())] == [(1, 0)]


def test_objects_are_shared_between_backups(catalog: Catalog) -> None:
    shared, old, new = make_object("shared"), make_object("old"), make_object("new")
    first = complete(catalog, make_manifest(objects=(shared, old)))
    second = complete(catalog, make_manifest(at=NOW + DAY, objects=(shared, new), new_bytes=100))
    assert [item.key for item in catalog.unshared_objects(first.backup_id)] == [old.key]
    assert [item.key for item in catalog.unshared_objects(second.backup_id)] == [new.key]
    status = catalog.source_status("app")
    assert status is not None
    assert status.stored_bytes == 300


def test_lists_are_newest_first_and_can_be_paged(catalog: Catalog) -> None:
    ids = [complete(catalog, make_manifest(at=NOW + day * DAY)).backup_id for day in range(5)]
    twin = complete(catalog, make_manifest(at=NOW + 4 * DAY, suffix="0000")).backup_id
    expected = [ids[4], twin, *reversed(ids[:4])]
    assert [row.id for row in catalog.backups("app")] == expected
    paged: list[str] = []
    while page := catalog.backups("app", limit=2, before=paged[-1] if paged else None):
        paged += [row.id for row in page]
    assert paged == expected


def test_lists_can_be_narrowed(catalog: Catalog) -> None:
    weekly = complete(catalog, make_manifest(kind=BackupKind.WEEKLY))
    other = complete(catalog, make_manifest(source="other", at=NOW + HOUR))
    assert [row.id for row in catalog.backups(kind=BackupKind.WEEKLY)] == [weekly.backup_id]
    assert [row.id for row in catalog.backups("other")] == [other.backup_id]
    assert catalog.backups(statuses=[BackupStatus.FAILED]) == ()


def test_short_id_finds_the_only_backup_that_fits(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    complete(catalog, make_manifest(at=NOW + DAY))
    assert catalog.find_backup("20261121").id == manifest.backup_id
    assert catalog.find_backup(manifest.backup_id).id == manifest.backup_id


def test_short_id_that_fits_several_lists_them(catalog: Catalog) -> None:
    ids = [complete(catalog, make_manifest(at=NOW + hour * HOUR)).backup_id for hour in range(7)]
    with pytest.raises(BackupUnknown, match="fits 7 backups") as caught:
        catalog.find_backup("20261121T")
    assert ids[-1] in caught.value.message
    assert "and 2 more" in caught.value.message


@pytest.mark.parametrize("prefix", ["", "20271121", "%", "_", "20261121t02"])
def test_short_id_that_fits_none_is_unknown(catalog: Catalog, prefix: str) -> None:
    complete(catalog, make_manifest())
    with pytest.raises(BackupUnknown, match="there is no backup"):
        catalog.find_backup(prefix)


def test_audit_trail_is_chained_and_names_who_did_what(catalog: Catalog) -> None:
    manifest = complete(catalog, make_manifest())
    prove(catalog, manifest.backup_id, Outcome.PASSED, NOW + HOUR)
    details = {"nested": {"list": [1, 2.5, None, "ü"]}}
    catalog.append_audit(
        actor="ada", action="restore.request", object_name="app", reason="drill\x00", details=details, now=NOW
    )
    entries = catalog.audit_entries()
    assert [(entry.actor, entry.action) for entry in entries] == [
        ("tester", "backup.complete"),
        ("tester", "restore-test.passed"),
        ("ada", "restore.request"),
    ]
    assert entries[2].details == details
    assert catalog.verify_audit_chain().is_intact
    assert catalog.verify_audit_chain(expected_head=entries[0].hash).is_intact
    assert not catalog.verify_audit_chain(expected_head="0" * 64).is_intact
    assert catalog.newest_audit_entries(1) == (entries[2],)


@pytest.mark.parametrize("statement", ["UPDATE audit_entry SET actor = 'eve'", "DELETE FROM audit_entry"])
def test_database_itself_refuses_to_change_the_audit_trail(catalog: Catalog, catalog_url: str, statement: str) -> None:
    complete(catalog, make_manifest())
    engine = create_engine(catalog_url)
    with pytest.raises(Exception, match="never changed or removed"), engine.begin() as connection:
        connection.execute(text(statement))
    engine.dispose()
    assert catalog.verify_audit_chain().entry_count == 1


def test_change_behind_the_triggers_back_is_found(catalog: Catalog, catalog_url: str) -> None:
    for day in range(3):
        complete(catalog, make_manifest(at=NOW + day * DAY))
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_entry_no_update"))
        else:
            connection.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER ALL"))
        connection.execute(text("UPDATE audit_entry SET reason = 'nothing to see' WHERE seq = 2"))
    engine.dispose()
    assert catalog.verify_audit_chain().broken_at == 2


def test_row_that_a_constraint_refuses_is_a_clear_error(catalog: Catalog) -> None:
    complete(catalog, make_manifest())
    with pytest.raises(CatalogRefused, match="refused a row"):
        catalog.backup_started(backup_id=make_id(), source="app", kind=BackupKind.DAILY, reason="", now=NOW)


def test_catalog_survives_being_closed_and_opened(catalog: Catalog, catalog_url: str) -> None:
    manifest = complete(catalog, make_manifest())
    before = catalog.backup(manifest.backup_id)
    catalog.close()
    with open_catalog(catalog_url) as again:
        assert again.backup(manifest.backup_id) == before
