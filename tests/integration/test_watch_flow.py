"""The watch as a flow: what it passes on, what it shows, and that telling people never fails a run."""

import json
from pathlib import Path
from secrets import token_hex

import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate, WorkPoolUpdate

import flows.support
import flows.watch
from flows import backup
from flows.deployments import read_pool_state
from shared.domain.backup import BackupKind
from shared.errors import CatalogProblem
from tests.support.fake_workspace import FakeWorkspace, told
from tests.support.prefect_api import artifacts_of, newest_run

pytestmark = pytest.mark.usefixtures("prefect_backend")


@pytest.fixture
def workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("flows.support.open_workspace", lambda _config: FakeWorkspace(tmp_path))
    for module in (backup, flows.watch):
        monkeypatch.setattr(module, "open_workspace", lambda: FakeWorkspace(tmp_path))
        monkeypatch.setattr(flows.watch, "firing_reasons", lambda _config: ())
        monkeypatch.setattr(flows.watch, "load_config", lambda: None)
    monkeypatch.setattr(flows.watch.look, "retry_delay_seconds", 0.05)
    monkeypatch.setattr(flows.watch.look, "retry_jitter_factor", None)
    return tmp_path


def test_quiet_look_leaves_no_page(workspaces: Path) -> None:
    fake = told(workspaces, app={})
    flows.watch.watch()
    run = newest_run("watch")
    assert (run.state_name, artifacts_of(run.id)) == ("Completed", {})
    assert len(fake.calls("watch")) == 1


def test_look_that_told_something_leaves_a_page(workspaces: Path) -> None:
    told(workspaces, app={})
    behaviour = json.loads((workspaces / "behaviour.json").read_text())
    (workspaces / "behaviour.json").write_text(json.dumps(behaviour | {"notices": [{"title": "app is RED"}]}))
    flows.watch.watch()
    assert "Notices" in str(artifacts_of(newest_run("watch").id)["watch"].data)


def test_backup_tells_people_at_its_end(workspaces: Path) -> None:
    fake = told(workspaces, app={})
    backup.backup("app", BackupKind.MANUAL)
    assert len(fake.calls("watch")) == 1


@pytest.mark.parametrize("error", ["CatalogProblem", "NoSuchError"])
def test_backup_is_good_though_nobody_could_be_told(workspaces: Path, error: str) -> None:
    fake = told(workspaces, app={}, watch={"error": error})
    backup.backup("app", BackupKind.MANUAL)
    assert newest_run("backup").state_name == "Completed"
    assert len(fake.calls("watch")) == 1


def test_failed_look_is_a_failed_run(workspaces: Path) -> None:
    told(workspaces, app={}, watch={"error": "CatalogProblem"})
    with pytest.raises(CatalogProblem):
        flows.watch.watch()


def test_worker_that_is_gone_is_wrong_with_the_system() -> None:
    pool = f"pool-{token_hex(4)}"
    assert read_pool_state(pool) is None
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=pool, type="process"))
        assert read_pool_state(pool) == "NOT_READY"
        client.send_worker_heartbeat(pool, "a worker")
        assert read_pool_state(pool) == "READY"
        client.update_work_pool(pool, WorkPoolUpdate(is_paused=True))
        assert read_pool_state(pool) == "PAUSED"
        client.delete_work_pool(pool)
