"""The catalog can be rebuilt from the repository alone, and mended without losing what only it knows."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from shared.catalog.engine import Catalog, open_catalog
from shared.catalog.models import METADATA
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.manifest import Manifest, ObjectRecord, encode_manifest
from shared.domain.proof import Finding, NotMeasured, Outcome, Severity
from shared.errors import CatalogRefused, RunConflict
from shared.operations.evidence import keep_test
from shared.operations.holds import place_hold, release_hold
from shared.operations.progress import no_progress
from shared.operations.rebuild import CatalogDifference, DifferenceKind, RebuildResult, rebuild_catalog
from shared.repository.layout import manifest_key
from shared.repository.local import LocalStore
from shared.repository.repository import Repository
from shared.repository.sealing import make_identity
from tests.support.catalogs import NOW, Clock, make_manifest, make_object, make_table, make_test_result, prove

DAY = timedelta(days=1)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(LocalStore(tmp_path / "repository"), [make_identity()[1]], NOW)


def _store_objects(repository: Repository, source: str, labels: tuple[str, ...]) -> tuple[ObjectRecord, ...]:
    records = []
    for label in labels:
        record = replace(make_object(f"{source} {label}", source=source), stored_bytes=len(label))
        if repository.store.stat(record.key) is None:
            repository.store.put(record.key, label.encode())
        records.append(record)
    return tuple(records)


def _back_up(
    repository: Repository, catalog: Catalog | None, day: int, *, source: str = "app", labels: tuple[str, ...] = ()
) -> Manifest:
    """Commit a backup, and record it where a catalog is given."""
    objects = _store_objects(repository, source, labels or ("shared", f"own {day}"))
    manifest, digest = repository.commit_manifest(
        make_manifest(
            at=NOW + day * DAY,
            source=source,
            kind=BackupKind.WEEKLY if day % 7 == 0 else BackupKind.DAILY,
            objects=objects,
            tables=(make_table("orders", rows=day), make_table('we"ird\n', rows=1), make_table("täble")),
        )
    )
    if catalog:
        catalog.backup_completed(manifest, digest, manifest.finished_at)
    return manifest


def _rebuild(repository: Repository, catalog: Catalog, *, dry_run: bool = False) -> RebuildResult:
    return rebuild_catalog(repository, catalog, now=Clock(NOW + 30 * DAY), on_progress=no_progress, dry_run=dry_run)


def _kinds(result: RebuildResult) -> list[tuple[str, DifferenceKind]]:
    return [(difference.backup_id, difference.kind) for difference in result.differences]


def _empty(catalog_url: str) -> None:
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            connection.execute(text("DROP TRIGGER audit_entry_no_delete"))
        else:
            connection.execute(text("ALTER TABLE audit_entry DISABLE TRIGGER ALL"))
        for table in reversed(METADATA.sorted_tables):
            connection.execute(table.delete())
    engine.dispose()


def test_rebuilt_catalog_equals_the_lost_one_row_by_row(
    catalog: Catalog, catalog_url: str, repository: Repository
) -> None:
    for day in range(8):
        _back_up(repository, catalog, day)
        _back_up(repository, catalog, day, source="shop")
    _gather_evidence(repository, catalog)
    lost = dict(catalog.export_facts())
    lost_evidence = _evidence(catalog)
    lost_days = catalog.backup_days(since=NOW.date())
    lost_statuses = [replace(row, updated_at=None) for row in catalog.source_statuses()]
    lost_sources = [(row.name, row.kind) for row in catalog.sources()]
    _empty(catalog_url)
    result = _rebuild(repository, catalog)
    assert (result.backups, result.differences, result.unreadable) == (16, (), ())
    assert result.restored_rows == 16 * (1 + 3 + 2) + 3 + 2 + 3
    assert dict(catalog.export_facts()) == lost
    assert _evidence(catalog) == lost_evidence
    assert catalog.backup_days(since=NOW.date()) == lost_days
    assert [replace(row, updated_at=None) for row in catalog.source_statuses()] == lost_statuses
    assert [(row.name, row.kind) for row in catalog.sources()] == lost_sources


def _gather_evidence(repository: Repository, catalog: Catalog) -> None:
    """Test, hold and release some of the backups, as the commands do."""
    first, second, third = (row.id for row in catalog.backups("app")[:3])
    findings = (Finding(check="digest", severity=Severity.ERROR, object="täble", message="x" * 3000, hint="look"),)
    gaps = (NotMeasured(check="restore", object="extension x", reason="it is not there"),)
    for backup_id, hours, outcome, more in (
        (first, 1, Outcome.PASSED, {}),
        (second, 2, Outcome.PASSED, {}),
        (second, 3, Outcome.FAILED, {"findings": findings, "not_measured": gaps}),
    ):
        result = make_test_result(backup_id, outcome, at=NOW + 9 * DAY + timedelta(hours=hours), **more)
        assert keep_test(repository, result, catalog.backup(backup_id).manifest_sha256) == result
        catalog.record_restore_test(result, result.finished_at)
    for days, (backup_id, owner) in enumerate([(first, "Ada"), (second, "Ada"), (third, "Bob")]):
        place_hold(repository, catalog, backup_id, reason="case", now=NOW + (10 + days) * DAY, owner=owner)
    release_hold(repository, catalog, first, reason="closed", now=NOW + 13 * DAY, actor="Eve")


def _evidence(catalog: Catalog) -> tuple[object, ...]:
    """What restore tests and people found out; numbers and runs are the catalog's own."""
    return (
        [replace(row, run_id=None) for row in catalog.restore_tests()],
        [replace(row, id=0) for row in catalog.holds()],
        {row.id: (row.proven_at, row.test_outcome, row.held) for row in catalog.backups()},
    )


def test_healthy_catalog_has_no_differences_and_is_not_written(catalog: Catalog, repository: Repository) -> None:
    for day in range(3):
        _back_up(repository, catalog, day)
    before = catalog.audit_entries()
    result = _rebuild(repository, catalog)
    assert result == RebuildResult(backups=3, restored_rows=0, differences=(), unreadable=())
    assert catalog.audit_entries() == before
    assert _rebuild(repository, catalog, dry_run=True) == result


def test_mending_keeps_proofs_holds_and_tests(catalog: Catalog, catalog_url: str, repository: Repository) -> None:
    manifests = [_back_up(repository, catalog, day) for day in range(3)]
    first, second, third = (manifest.backup_id for manifest in manifests)
    prove(catalog, first, Outcome.PASSED, NOW + 4 * DAY)
    catalog.place_hold(second, owner="legal", reason="case 12", now=NOW + 4 * DAY)
    _tamper(
        catalog_url,
        f"UPDATE backup SET row_count = 1 WHERE id = '{first}'",
        f"DELETE FROM backup_table WHERE backup_id = '{second}' AND ordinal = 1",
        f"UPDATE backup SET status = 'failed' WHERE id = '{third}'",
    )
    dry = _rebuild(repository, catalog, dry_run=True)
    assert catalog.backup(third).status is BackupStatus.FAILED
    result = _rebuild(repository, catalog)
    assert result.differences == dry.differences
    assert _kinds(result) == [
        (first, DifferenceKind.CHANGED),
        (second, DifferenceKind.CHANGED),
        (third, DifferenceKind.STATUS),
    ]
    assert "row_count is 1 and should be" in result.differences[0].message
    assert "1 rows of tables differ" in result.differences[1].message
    assert catalog.backup(first).proven_at == NOW + 4 * DAY
    assert catalog.backup(second).held
    assert len(catalog.restore_tests("app")) == 1
    assert _rebuild(repository, catalog).differences == ()


def test_backup_whose_row_was_never_written_is_found(catalog: Catalog, repository: Repository) -> None:
    """What a crash between manifest and catalog leaves: a run that is lost, and a backup that exists."""
    known = _back_up(repository, catalog, 0)
    unknown = _back_up(repository, None, 1)
    catalog.backup_started(
        backup_id=unknown.backup_id, source="app", kind=unknown.kind, reason="", now=unknown.started_at
    )
    missing = _back_up(repository, None, 2, source="shop")
    result = _rebuild(repository, catalog)
    assert sorted(_kinds(result)) == sorted(
        [(unknown.backup_id, DifferenceKind.STATUS), (missing.backup_id, DifferenceKind.MISSING)]
    )
    newest = catalog.newest_complete("app")
    assert newest is not None
    assert newest.id == unknown.backup_id
    assert catalog.backup(known.backup_id).status is BackupStatus.COMPLETE


def test_backup_without_manifest_no_longer_counts_but_keeps_its_evidence(
    catalog: Catalog, repository: Repository
) -> None:
    kept, gone = (_back_up(repository, catalog, day) for day in (0, 1))
    prove(catalog, gone.backup_id, Outcome.PASSED, NOW + 4 * DAY)
    data = repository.read_manifest_bytes("app", gone.backup_id)
    repository.store.delete(manifest_key("app", gone.backup_id))
    result = _rebuild(repository, catalog)
    assert _kinds(result) == [(gone.backup_id, DifferenceKind.GONE)]
    newest = catalog.newest_complete("app")
    assert newest is not None
    assert newest.id == kept.backup_id
    assert "no longer in the repository" in catalog.backup(gone.backup_id).error_message
    assert len(catalog.restore_tests(backup_id=gone.backup_id)) == 1
    repository.store.put(manifest_key("app", gone.backup_id), data)
    assert _kinds(_rebuild(repository, catalog)) == [(gone.backup_id, DifferenceKind.STATUS)]
    proven = catalog.newest_proven("app")
    assert proven is not None
    assert proven.id == gone.backup_id


def test_unreadable_manifest_is_reported_and_the_rest_is_done(
    catalog: Catalog, catalog_url: str, repository: Repository
) -> None:
    bad, good = (_back_up(repository, catalog, day) for day in (0, 1))
    key = manifest_key("app", bad.backup_id)
    data = bytearray(repository.store.get(key))
    data[len(data) // 2] ^= 1
    repository.store.put(key, bytes(data), replace=True)
    result = _rebuild(repository, catalog)
    assert [finding.object for finding in result.unreadable] == [key]
    assert (result.backups, result.differences) == (1, ())
    assert catalog.backup(bad.backup_id).status is BackupStatus.COMPLETE
    _empty(catalog_url)
    result = _rebuild(repository, catalog)
    assert [row.id for row in catalog.backups()] == [good.backup_id]
    assert len(result.unreadable) == 1


def test_forged_manifest_does_not_get_in(catalog: Catalog, repository: Repository) -> None:
    manifest = _back_up(repository, None, 0)
    key = manifest_key("app", manifest.backup_id)
    forged = encode_manifest(replace(manifest, reason="forged"), b"x" * 32)
    repository.store.put(key, forged, replace=True)
    result = _rebuild(repository, catalog)
    assert (result.backups, len(result.unreadable)) == (0, 1)
    assert catalog.backups() == ()


def test_expiry_that_has_begun_is_left_to_the_cleanup(catalog: Catalog, repository: Repository) -> None:
    manifests = [_back_up(repository, catalog, day) for day in range(3)]
    prove(catalog, manifests[2].backup_id, Outcome.PASSED, NOW + 4 * DAY)
    marked, removed = manifests[0].backup_id, manifests[1].backup_id
    catalog.mark_expiring(marked, "old", run=None, now=NOW + 5 * DAY)
    catalog.mark_expiring(removed, "old", run=None, now=NOW + 5 * DAY)
    repository.remove_manifest("app", removed)
    assert _rebuild(repository, catalog).differences == ()
    assert {catalog.backup(backup_id).status for backup_id in (marked, removed)} == {BackupStatus.EXPIRING}
    assert len(catalog.unfinished_cleanups()) == 2


def test_empty_repository_does_not_wipe_a_catalog(catalog: Catalog, repository: Repository, tmp_path: Path) -> None:
    _back_up(repository, catalog, 0)
    other = Repository.create(LocalStore(tmp_path / "other"), repository.description.recipients, NOW)
    with pytest.raises(CatalogRefused, match=r"holds no backup, and the catalog .* knows 1"):
        _rebuild(other, catalog)
    assert len(catalog.backups(statuses=[BackupStatus.COMPLETE])) == 1


def test_running_backup_of_a_source_is_not_disturbed(catalog: Catalog, repository: Repository) -> None:
    _back_up(repository, catalog, 0)
    with (
        catalog.claimed_run("backup", "app", exclusive=True, now=Clock()),
        pytest.raises(RunConflict, match="rebuild-catalog of app cannot begin"),
    ):
        _rebuild(repository, catalog)
    with catalog.claimed_run("backup", "app", exclusive=True, now=Clock()):
        assert _rebuild(repository, catalog, dry_run=True).differences == ()


def test_rebuilding_into_a_new_file_reports_progress(repository: Repository, tmp_path: Path) -> None:
    for day in range(3):
        _back_up(repository, None, day)
    seen: list[tuple[str, int, int | None]] = []
    with open_catalog(f"sqlite:///{tmp_path}/new/catalog.db") as catalog:
        rebuild_catalog(
            repository,
            catalog,
            now=Clock(),
            on_progress=lambda step, done, total: seen.append((step, done, total)),
        )
        assert len(catalog.backups()) == 3
    assert seen == [("manifests", number, 3) for number in (1, 2, 3)]


def test_difference_names_source_and_backup(catalog: Catalog, repository: Repository) -> None:
    _back_up(repository, catalog, 0)
    manifest = _back_up(repository, None, 1)
    assert _rebuild(repository, catalog).differences == (
        CatalogDifference(
            backup_id=manifest.backup_id,
            source="app",
            kind=DifferenceKind.MISSING,
            message="the catalog does not know it, and its manifest is in the repository",
        ),
    )


def _tamper(catalog_url: str, *statements: str) -> None:
    engine = create_engine(catalog_url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()
