"""Close runs in Prefect whose process is gone; otherwise they stay Running for ever and hold their slots."""

import socket
from collections.abc import Callable, Sequence

from prefect import get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.filters import (
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    FlowRunFilterTags,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.states import Crashed

ACTIVE = (StateType.RUNNING, StateType.PENDING, StateType.CANCELLING)
TAG = "goldcopy"
STOPPED = "the process that ran this is gone: it was stopped or killed, or its machine went down"


def active_runs(client: SyncPrefectClient, pool: str) -> list[FlowRun]:
    """Return the runs of our deployments in a work pool that somebody should be working on."""
    wanted = FlowRunFilter(
        tags=FlowRunFilterTags(all_=[TAG]),
        state=FlowRunFilterState(type=FlowRunFilterStateType(any_=list(ACTIVE))),
    )
    in_pool = WorkPoolFilter(name=WorkPoolFilterName(any_=[pool]))
    found: list[FlowRun] = []
    while page := client.read_flow_runs(flow_run_filter=wanted, work_pool_filter=in_pool, limit=200, offset=len(found)):
        found += page
    return [run for run in found if run.deployment_id]


def close_lost_runs(pool: str, *, is_alive: Callable[[int], bool], message: str) -> list[str]:
    """Set every active run to Crashed whose process does not live on this host; that frees its slots.

    Args:
        pool: Work pool of the runs. All of its workers run on this host.
        is_alive: Says whether a process id of this host is a living flow run.
        message: Why, as the run's page shows it.

    Returns:
        Names of the closed runs.
    """
    with get_client(sync_client=True) as client:
        lost = [run for run in active_runs(client, pool) if not _lives(run, is_alive)]
        for run in lost:
            client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    return _names(lost)


def _lives(run: FlowRun, is_alive: Callable[[int], bool]) -> bool:
    host, _, pid = (run.infrastructure_pid or "").rpartition(":")
    return host == socket.gethostname() and pid.isdigit() and is_alive(int(pid))


def _names(runs: Sequence[FlowRun]) -> list[str]:
    return [run.name for run in runs]
