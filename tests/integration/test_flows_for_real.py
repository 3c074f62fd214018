"""The flows with nothing faked: a real Prefect API, a real Postgres, a real repository."""

import json
from pathlib import Path

import pytest

from flows import backup, cleanup, restore_testing, verify
from shared.catalog.engine import open_catalog
from shared.config.load import load_config
from shared.domain.backup import BackupKind
from shared.errors import GoldcopyError
from shared.postgres.connection import DatabaseAddress
from tests.support.postgres_servers import run_sql
from tests.support.prefect_api import artifacts_of, newest_run
from tests.support.site import MakeSite, Site

pytestmark = pytest.mark.usefixtures("prefect_backend")


@pytest.fixture
def site(make_site: MakeSite, database: DatabaseAddress, monkeypatch: pytest.MonkeyPatch) -> Site:
    run_sql(database, "create table t as select g, md5(g::text) from generate_series(1, 3000) g")
    site = make_site(app=database)
    monkeypatch.setenv("GOLDCOPY_CONFIG", str(site.config_path))
    monkeypatch.setenv("GOLDCOPY_TOOLS", str(Path(__file__).parents[2] / ".goldcopy" / "tools"))
    return site


def test_a_day_of_flows_backs_up_proves_verifies_and_cleans_up(site: Site, database: DatabaseAddress) -> None:
    backup.backup(None, BackupKind.DAILY, "daily schedule")
    restore_testing.restore_testing()
    verify.verify()
    cleanup.cleanup()
    with site.open() as workspace:
        (row,) = workspace.list_backups("app")
    assert (row["status"], row["kind"], row["row_count"]) == ("complete", "daily", 3000)
    assert row["proven_at"]
    shown = {name: str(item.data) for name, item in artifacts_of(newest_run("restore-testing").id).items()}
    assert "3,000" in shown["restore-tests"] or "3000" in shown["restore-tests"]
    everything = json.dumps(shown) + json.dumps(
        {name: str(item.data) for name, item in artifacts_of(newest_run("backup").id).items()}
    )
    assert database.parameters["password"] not in everything
    with open_catalog(load_config(str(site.config_path)).catalog_url, read_only=True) as catalog:
        pages = {run.operation: run.run_url for run in catalog.runs("app")}
    assert pages["backup"].endswith(f"/runs/flow-run/{newest_run('backup').id}")
    assert pages["restore-test"].endswith(f"/runs/flow-run/{newest_run('restore-testing').id}")


def test_a_damaged_backup_fails_the_restore_test_flow(site: Site) -> None:
    backup.backup("app")
    stored = max((site.repository_folder / "sources").rglob("*.????????"), key=lambda path: path.stat().st_size)
    content = bytearray(stored.read_bytes())
    content[len(content) // 2] ^= 1
    stored.write_bytes(content)
    with pytest.raises(GoldcopyError, match="app"):
        restore_testing.restore_testing("app")
    assert newest_run("restore-testing").state_name == "Failed"
    with site.open() as workspace:
        assert workspace.list_backups("app")[0]["proven_at"] is None
