"""The work pool: made once, resumed at start, paused to drain."""

from collections.abc import Mapping

from prefect import get_client
from prefect.client.schemas.actions import WorkPoolUpdate
from prefect.exceptions import ObjectNotFound

from flows.supervision import run_prefect


def make_ready(pool: str, environment: Mapping[str, str]) -> None:
    """Create the pool where it is missing, and let it give out work."""
    with get_client(sync_client=True) as client:
        try:
            client.read_work_pool(pool)
        except ObjectNotFound:
            # The command knows the template of jobs that a pool of processes needs.
            run_prefect(["work-pool", "create", pool, "--type", "process"], environment)
    set_paused(pool, is_paused=False)


def set_paused(pool: str, *, is_paused: bool) -> None:
    """Pause or resume the pool: a paused one gives out no new work; what is running goes on."""
    with get_client(sync_client=True) as client:
        client.update_work_pool(pool, WorkPoolUpdate(is_paused=is_paused))
