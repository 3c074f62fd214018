"""Deployments, automations, work pool and reconciling against a real Prefect API."""

import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.client.schemas.objects import FlowRun
from prefect.states import Running

from flows import pool, reconciling
from flows.automations import install_automations
from flows.deploy import STANDARD, compare, plan_own, read_definitions
from flows.deployments import apply, read_deployed, remove_stale
from flows.planned import Planned
from flows.supervision_environment import POOL
from shared.domain.source import Schedule, Source

pytestmark = pytest.mark.usefixtures("deployed")

OWN = Source(name="shop", schedule=Schedule(daily="30 1 * * *", timezone="Europe/Zurich", own=True))
PLAIN = Source(name="app")


@pytest.fixture(scope="module")
def standard() -> dict[str, Planned]:
    return read_definitions()


@pytest.fixture(scope="module")
def deployed(prefect_backend: None, standard: dict[str, Planned]) -> None:
    """Deploy what `prefect deploy --all` would, without its three seconds of command line."""
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name=POOL, type="process"))
    apply(standard.values())


@pytest.fixture
def own(standard: dict[str, Planned]) -> Iterator[dict[str, Planned]]:
    planned = plan_own([OWN, PLAIN], standard)
    yield planned
    remove_stale({})


def test_own_schedules_are_deployed_once_however_often_asked(own: dict[str, Planned]) -> None:
    apply(own.values())
    apply(own.values())
    found = {item.name: item for item in read_deployed() if "shop" in item.name}
    assert set(found) == {"backup/shop-daily", "backup/shop-weekly", "restore-testing/shop-restore-test"}
    assert found["backup/shop-daily"].crons == (("30 1 * * *", "Europe/Zurich"),)
    assert found["restore-testing/shop-restore-test"].crons == (("0 4 * * L5", "Europe/Zurich"),)


def test_run_of_an_own_deployment_names_its_source(own: dict[str, Planned]) -> None:
    apply(own.values())
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("backup/shop-weekly")
    assert deployment.parameters == {"kind": "weekly", "reason": "weekly schedule", "source": "shop"}
    assert deployment.global_concurrency_limit is not None
    assert deployment.global_concurrency_limit.limit == 1
    assert deployment.pull_steps == [{"flows.working_folder.enter_config_folder": {}}]


def test_changed_schedule_replaces_the_old_one(own: dict[str, Planned]) -> None:
    apply(own.values())
    apply([replace(own["backup/shop-daily"], cron="0 3 * * *")])
    [found] = [item for item in read_deployed() if item.name == "backup/shop-daily"]
    assert found.crons == (("0 3 * * *", "Europe/Zurich"),)


def test_deployments_of_a_source_that_is_gone_are_removed_and_no_others(own: dict[str, Planned]) -> None:
    apply(own.values())
    assert sorted(remove_stale({})) == sorted(own)
    assert {item.name for item in read_deployed()} >= set(STANDARD.values())


def test_real_deployments_agree_with_the_configuration(own: dict[str, Planned], standard: dict[str, Planned]) -> None:
    apply(own.values())
    sources = {"shop": OWN, "app": PLAIN}
    assert compare(read_deployed(), sources, standard) == []
    assert len(compare(read_deployed(), {"app": PLAIN}, standard)) == 3


def test_automations_are_installed_once_and_then_left_alone() -> None:
    assert len(install_automations()) == 2
    assert install_automations() == []
    with get_client(sync_client=True) as client:
        names = [automation.name for automation in client.read_automations()]
    assert len(names) == len(set(names)) == 2


def test_paused_pool_is_resumed_when_made_ready() -> None:
    pool.set_paused(POOL, is_paused=True)
    pool.make_ready(POOL, {})
    with get_client(sync_client=True) as client:
        assert client.read_work_pool(POOL).is_paused is False


def _running(pid: int | str) -> FlowRun:
    with get_client(sync_client=True) as client:
        deployment = client.read_deployment_by_name("backup/manual")
        run = client.create_flow_run_from_deployment(deployment.id, name=f"run {uuid4()}")
        client.set_flow_run_state(run.id, Running(), force=True)
        client.update_flow_run(run.id, infrastructure_pid=f"{socket.gethostname()}:{pid}")
        return run


def test_only_runs_without_living_process_are_closed() -> None:
    lost, alive = _running(1), _running(os.getpid())
    closed = reconciling.close_lost_runs(POOL, is_alive=lambda pid: pid == os.getpid(), message="gone")
    assert lost.name in closed
    assert alive.name not in closed
    with get_client(sync_client=True) as client:
        state = client.read_flow_run(lost.id).state
    assert state is not None
    assert (state.name, state.message) == ("Crashed", "gone")
    assert reconciling.close_lost_runs(POOL, is_alive=lambda _pid: False, message="gone") == [alive.name]
