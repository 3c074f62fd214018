"""`goldcopy up` for real: a schedule makes runs, work is done, and stop, kill and crash leave nothing stuck.

Starting it costs half a minute on a busy machine, so this is one story in two starts.
"""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from shared.catalog.engine import open_catalog
from shared.clock import utc_now
from shared.domain.api_key import digest_of, key_of
from shared.domain.person import Role
from tests.support.fake_workspace import FakeWorkspace, told
from tests.support.prefect_up import UpProcess

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def up(tmp_path: Path) -> Iterator[UpProcess]:
    process = UpProcess(tmp_path)
    yield process
    process.close()


def test_schedules_fire_and_stop_kill_and_crash_leave_nothing_stuck(up: UpProcess) -> None:
    fake = told(up.folder, app={"seconds": 1.0}, shop={})
    up.start()
    _a_run_of_a_deployment_is_done(up, fake)
    _the_app_is_there_and_starts_a_backup_for_a_program(up, fake)
    _a_killed_worker_comes_back(up)
    _the_scheduler_makes_runs_of_every_schedule(up)
    lost = _the_supervisor_is_killed_in_the_middle_of_a_backup(up, fake)

    told(up.folder, app={"seconds": 5.0}, shop={})
    up.start()
    _the_lost_run_is_closed_and_blocks_nothing(up, fake, lost)
    _stopping_waits_for_the_running_backup(up, fake)


def _a_run_of_a_deployment_is_done(up: UpProcess, fake: FakeWorkspace) -> None:
    run = up.run("backup/daily")
    up.until_state(run, "Completed", timeout_seconds=90)
    assert {call["subject"] for call in fake.calls("back_up")} == {"app", "shop"}
    wanted = {"logs": {"flow_run_id": {"any_": [run]}}, "limit": 200}

    def lines() -> set[str]:
        return {entry["message"] for entry in up.post("/logs/filter", wanted)}

    up.until(lambda: "app: dump" in lines(), f"in the log of the run: {lines()}", 20)


def _the_app_is_there_and_starts_a_backup_for_a_program(up: UpProcess, fake: FakeWorkspace) -> None:
    address = up.output.read_text().partition("  app     ")[2].split()[0]
    key = key_of(b"a program's key, 32 bytes long..")
    with open_catalog(f"sqlite:///{up.folder}/.goldcopy/catalog.db", actor="admin") as catalog:
        catalog.add_api_key("ci", digest_of(key), Role.OPERATOR, now=utc_now())
    up.until(lambda: _answers(f"{address}/_stcore/health"), "an app that answers", 60)
    answer = httpx.post(
        f"{address}/api/backups",
        json={"source": "shop", "kind": "pre-deploy", "reason": "release 41"},
        headers={"authorization": f"Bearer {key}"},
        timeout=30,
    )
    assert answer.status_code == 202, answer.text
    up.until_state(answer.json()["run"], "Completed", timeout_seconds=90)
    asked = [call for call in fake.calls("back_up") if call.get("kind") == "pre-deploy"]
    assert [(call["subject"], call["reason"]) for call in asked] == [("shop", "release 41 (key:ci)")]


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _a_killed_worker_comes_back(up: UpProcess) -> None:
    [worker] = [pid for pid in up.marked() if b"worker" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(worker, signal.SIGKILL)
    up.until(lambda: "the worker ended by itself" in up.output.read_text(), "noticed", 10)
    up.until_state(up.run("backup/manual", source="shop"), "Completed", timeout_seconds=90)


def _the_scheduler_makes_runs_of_every_schedule(up: UpProcess) -> None:
    """The scheduler looks every 60 s; with the wrong versions it fails there, and only its log would tell."""
    wanted = {"flow_runs": {"state": {"type": {"any_": ["SCHEDULED"]}}}, "limit": 200}
    fires = {
        up.get(f"/deployments/name/{name}")["id"]
        for name in ("backup/daily", "backup/shop-daily", "restore-testing/monthly")
    }
    up.until(lambda: fires <= {run["deployment_id"] for run in up.post("/flow_runs/filter", wanted)}, "scheduled", 90)


def _the_supervisor_is_killed_in_the_middle_of_a_backup(up: UpProcess, fake: FakeWorkspace) -> str:
    told(up.folder, app={"seconds": 300.0}, shop={})
    lost = up.run("backup/daily", source="app")
    done = len(fake.calls("back_up"))
    up.until(lambda: len(fake.calls("back_up")) > done, "backing up")
    up.signal(signal.SIGKILL)
    up.ended(10)
    up.until(lambda: not up.marked(), "gone with the supervisor", 30)
    with pytest.raises(httpx.TransportError):
        up.state(lost)
    return lost


def _the_lost_run_is_closed_and_blocks_nothing(up: UpProcess, fake: FakeWorkspace, lost: str) -> None:
    assert up.state(lost) == "Crashed"
    assert fake.calls("reconcile"), "the catalog is reconciled too"
    following = up.run("backup/daily", source="shop")
    assert up.until_state(following, "Completed", "Cancelled") == "Completed", "the slot of the deployment is free"
    name = "/v2/concurrency_limits/goldcopy-source-app"
    up.until(lambda: up.get(name)["active_slots"] == 0, "the slot of the source free", 90)


def _stopping_waits_for_the_running_backup(up: UpProcess, fake: FakeWorkspace) -> None:
    done, begun = len(fake.calls("backup_done")), len(fake.calls("back_up"))
    up.run("backup/daily", source="app")
    up.until(lambda: len(fake.calls("back_up")) > begun, "backing up")
    up.signal(signal.SIGTERM)
    assert up.ended(60) == 0, up.output.read_text()
    assert len(fake.calls("backup_done")) == done + 1
    assert "waiting for" in up.output.read_text()
    assert not up.marked()
