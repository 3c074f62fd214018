"""A backup or a restore test that could not even begin is a failed attempt, and is told."""

from pathlib import Path

import pytest

from shared.catalog.engine import Catalog, open_catalog
from shared.clock import utc_now
from shared.domain.backup import BackupKind, BackupStatus
from shared.domain.proof import Outcome
from shared.errors import BackupUnknown, ConfigInvalid, GoldcopyError, RunConflict
from shared.operations.status import read_status
from shared.repository.keys import KEY_BYTES
from tests.support.catalogs import complete, make_manifest
from tests.support.site import MakeSite, Site


@pytest.fixture
def site(make_site: MakeSite) -> Site:
    made = make_site()
    with made.config_path.open("a") as config:
        config.write('\n[sources.app]\nurl = "env:GOLDCOPY_TEST_URL_THAT_NOBODY_SET"\n')
    return made


def catalog_of(site: Site) -> Catalog:
    return open_catalog(f"sqlite:///{site.folder}/.goldcopy/catalog.db")


def events(site: Site) -> list[str]:
    with site.open() as workspace:
        return [str(notice.event) for notice in workspace.watch(()).notices]


def test_a_backup_without_its_sources_url_failed_and_is_told(site: Site) -> None:
    assert "backup-failed" not in events(site)
    with site.open() as workspace, pytest.raises(ConfigInvalid):
        workspace.back_up("app", BackupKind.DAILY, "nightly", run_reference="r1")
    with catalog_of(site) as catalog:
        (row,) = catalog.backups("app")
        assert (row.status, row.kind, row.error_code) == (BackupStatus.FAILED, BackupKind.DAILY, ConfigInvalid.code)
        assert "GOLDCOPY_TEST_URL_THAT_NOBODY_SET" in row.error_message
        assert [(run.operation, run.state.value, run.run_reference) for run in catalog.runs("app")] == [
            ("backup", "failed", "r1")
        ]
    assert "backup-failed" in events(site)


def test_a_wrong_fingerprint_key_is_a_failed_backup(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOLDCOPY_TEST_URL_THAT_NOBODY_SET", "postgresql://nobody@127.0.0.1:1/none")
    (site.folder / ".goldcopy" / "fingerprint.key").unlink(missing_ok=True)
    with site.open() as workspace, pytest.raises(GoldcopyError):
        workspace.back_up("app", BackupKind.DAILY)
    (site.folder / ".goldcopy" / "fingerprint.key").write_text("ab" * KEY_BYTES)
    with site.open() as workspace, pytest.raises(ConfigInvalid, match="does not belong"):
        workspace.back_up("app", BackupKind.DAILY)
    with catalog_of(site) as catalog:
        assert "does not belong" in catalog.backups("app")[0].error_message


def test_a_restore_test_without_its_identity_measured_nothing_and_is_told(site: Site) -> None:
    with catalog_of(site) as catalog:
        manifest = complete(catalog, make_manifest(at=utc_now()))
    site.change('identity = "file:', 'identity = "file:gone/')
    events(site)
    with site.open() as workspace, pytest.raises(GoldcopyError):
        workspace.run_restore_test("app")
    with catalog_of(site) as catalog, site.open() as workspace:
        (test,) = catalog.restore_tests("app")
        assert (test.backup_id, test.picked, test.outcome) == (manifest.backup_id, "newest", Outcome.NOT_MEASURED)
        assert catalog.runs("app")[0].state.value == "failed"
        (health,) = read_status(catalog, workspace.sources, utc_now()).healths
        assert "test-not-measured" in [reason.code for reason in health.reasons]
    assert "restore-test-not-measured" in events(site)


def test_what_does_not_exist_is_no_failed_attempt(site: Site) -> None:
    with site.open() as workspace:
        with pytest.raises(ConfigInvalid):
            workspace.back_up("nobody", BackupKind.MANUAL)
        with pytest.raises(BackupUnknown):
            workspace.run_restore_test("nobody")
    with catalog_of(site) as catalog:
        assert (catalog.backups(), catalog.restore_tests(), catalog.sources()) == ((), (), ())


def test_beside_a_running_backup_no_failed_attempt_is_recorded(site: Site) -> None:
    with catalog_of(site) as catalog:
        catalog.begin_run("backup", "app", exclusive=True, now=utc_now())
        with site.open() as workspace, pytest.raises(ConfigInvalid):
            workspace.back_up("app", BackupKind.DAILY)
        assert catalog.backups("app") == ()
        with pytest.raises(RunConflict):
            catalog.begin_run("backup", "app", exclusive=True, now=utc_now())


def test_a_catalog_that_cannot_be_opened_hides_nothing(site: Site, tmp_path: Path) -> None:
    site.change('url = "sqlite:///.goldcopy/catalog.db"', f'url = "sqlite:///{tmp_path}/missing/folder/catalog.db"')
    (tmp_path / "missing").write_text("a file, not a folder")
    with site.open() as workspace, pytest.raises(ConfigInvalid, match="GOLDCOPY_TEST_URL"):
        workspace.back_up("app", BackupKind.DAILY)
