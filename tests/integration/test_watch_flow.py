"""The watch as a flow: what it passes on, what it shows, and that telling people never fails a run."""

import json
from pathlib import Path

import pytest

import flows.support
import flows.watch
from flows import backup
from flows.watch import SCHEDULES_DIFFER, schedule_reasons
from shared.domain.backup import BackupKind
from shared.errors import CatalogProblem, ProgramMissing
from tests.support.fake_workspace import FakeWorkspace, told
from tests.support.prefect_api import artifacts_of, newest_run

pytestmark = pytest.mark.usefixtures("prefect_backend")


@pytest.fixture
def workspaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("flows.support.open_workspace", lambda _config: FakeWorkspace(tmp_path))
    for module in (backup, flows.watch):
        monkeypatch.setattr(module, "open_workspace", lambda: FakeWorkspace(tmp_path))
        monkeypatch.setattr(flows.watch, "schedule_reasons", tuple)
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


def test_schedule_that_does_not_fire_as_expected_is_wrong_with_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flows.watch, "load_config", lambda: None)
    monkeypatch.setattr(flows.watch, "check_deployments", lambda _config: ["deployment backup/daily is paused", "b"])
    [reason] = schedule_reasons()
    assert (reason.code, reason.colour) == (SCHEDULES_DIFFER, "yellow")
    assert "backup/daily is paused (and 1 more)" in reason.sentence
    monkeypatch.setattr(flows.watch, "check_deployments", lambda _config: [])
    assert schedule_reasons() == ()

    def unknown(_config: object) -> list[str]:
        raise ProgramMissing("no Prefect server is known here", hint="Start it.")

    monkeypatch.setattr(flows.watch, "check_deployments", unknown)
    assert schedule_reasons() == ()
