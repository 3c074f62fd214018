"""Read and write deployments through Prefect's API."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from prefect import Flow, get_client
from prefect.client.orchestration import SyncPrefectClient
from prefect.client.schemas.actions import DeploymentScheduleCreate
from prefect.client.schemas.filters import DeploymentFilter, DeploymentFilterTags
from prefect.client.schemas.objects import ConcurrencyOptions
from prefect.client.schemas.responses import DeploymentResponse
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectNotFound
from prefect.flows import load_flow_from_entrypoint
from prefect.utilities.callables import parameter_schema

from flows.automations import install_automations
from flows.planned import OWN_TAG, Deployed, Planned
from flows.support import ensure_slots

TAG = "goldcopy"
PAGE = 200


def read_deployed() -> list[Deployed]:
    """Return all of Goldcopy's deployments as Prefect has them."""
    with get_client(sync_client=True) as client:
        names = {flow.id: flow.name for flow in _pages(client.read_flows)}
        found = _pages(client.read_deployments, deployment_filter=_tagged(TAG))
        return [_deployed(item, names[item.flow_id]) for item in found]


def read_pool_state(pool: str = TAG) -> str | None:
    """Return READY, NOT_READY (no worker alive) or PAUSED as Prefect judges the pool; None where there is none."""
    with get_client(sync_client=True) as client:
        try:
            status = client.read_work_pool(pool).status
        except ObjectNotFound:
            return None
    return status.value if status else "NOT_READY"


def _tagged(tag: str) -> DeploymentFilter:
    return DeploymentFilter(tags=DeploymentFilterTags(all_=[tag]))


def _pages(read: Callable[..., list[Any]], **given: object) -> Iterator[Any]:
    """Read a whole list, page by page."""
    offset = 0
    while page := read(limit=PAGE, offset=offset, **given):
        yield from page
        offset += len(page)


def _deployed(item: DeploymentResponse, flow: str) -> Deployed:
    crons = tuple(
        (schedule.schedule.cron, schedule.schedule.timezone or "UTC")
        for schedule in item.schedules
        if schedule.active and isinstance(schedule.schedule, CronSchedule)
    )
    return Deployed(name=f"{flow}/{item.name}", crons=crons, is_own=OWN_TAG in item.tags, is_paused=item.paused)


def apply(planned: Iterable[Planned]) -> list[str]:
    """Make the deployments what they should be; running it again changes nothing.

    Returns:
        Their names.
    """
    names = []
    with get_client(sync_client=True) as client:
        for item in planned:
            _apply(client, item)
            names.append(item.name)
    return names


def _apply(client: SyncPrefectClient, item: Planned) -> None:
    definition = item.definition
    flow: Flow[..., Any] = load_flow_from_entrypoint(item.entrypoint)
    limit = definition["concurrency_limit"]
    client.create_deployment(
        flow_id=client.create_flow(flow),
        name=item.name.partition("/")[2],
        description=_description(item),
        tags=[*definition["tags"], *([OWN_TAG] if item.is_own else [])],
        entrypoint=item.entrypoint,
        parameters=dict(item.parameters),
        parameter_openapi_schema=parameter_schema(flow).model_dump(exclude_unset=True),
        enforce_parameter_schema=True,
        schedules=_schedules(item),
        concurrency_limit=limit["limit"],
        concurrency_options=ConcurrencyOptions(collision_strategy=limit["collision_strategy"]),
        work_pool_name=definition["work_pool"]["name"],
        job_variables=definition["work_pool"].get("job_variables", {}),
        pull_steps=list(definition["pull"]),
    )


def _description(item: Planned) -> str:
    base = str(item.definition["description"])
    return f"For {item.parameters['source']}, by its own schedule, otherwise: {base}" if item.is_own else base


def _schedules(item: Planned) -> list[DeploymentScheduleCreate]:
    if item.cron is None:
        return []
    schedule = CronSchedule(cron=item.cron, timezone=item.timezone)
    return [DeploymentScheduleCreate(schedule=schedule, active=True, slug="cron")]


def remove_stale(planned: Mapping[str, Planned]) -> list[str]:
    """Remove deployments that `apply` made once and whose source or schedule is gone.

    Returns:
        Their names.
    """
    removed = []
    with get_client(sync_client=True) as client:
        names = {flow.id: flow.name for flow in _pages(client.read_flows)}
        for item in list(_pages(client.read_deployments, deployment_filter=_tagged(OWN_TAG))):
            name = f"{names[item.flow_id]}/{item.name}"
            if name not in planned:
                client.delete_deployment(item.id)
                removed.append(name)
    return removed


def install_rest(sources: Iterable[str], at_once: int) -> None:
    """Create what the deployments rely on: automations and the slots of the sources."""
    install_automations()
    ensure_slots(sources, at_once)
