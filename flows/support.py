"""What every flow shares: the rule for retries, the slot of a source, plain errors, the identity of a run."""

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import httpx
from prefect import Flow, Task, get_client, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import FlowRun, State, TaskRun
from prefect.concurrency.sync import concurrency
from prefect.context import FlowRunContext
from prefect.logging import get_run_logger
from prefect.runtime import flow_run as runtime_flow_run
from prefect.tasks import exponential_backoff
from prefect.utilities.urls import url_for

from flows.supervision_environment import config_of_worker
from shared.clock import utc_now
from shared.errors import GoldcopyError, RunConflict
from shared.units import format_instant

if TYPE_CHECKING:
    from shared.wiring import Workspace

RETRIES = 3
FIRST_RETRY_DELAY_SECONDS = 30
OVERALL_LIMIT = "goldcopy-backups"
# Short leases: a worker that dies gives its slots back within a minute instead of five.
LEASE_SECONDS = 60
# Longer than any sensible backup: whoever waits this long had better say so than wait on.
SLOT_WAIT_SECONDS = 6 * 3600


def open_workspace(config: str | None = None) -> AbstractContextManager["Workspace"]:
    """Open what the configuration describes: the given file, else GOLDCOPY_CONFIG, else the working folder's."""
    # Imported here: deploying loads the flows for their parameters only and needs no drivers.
    from shared.wiring import open_workspace as open_configured

    return open_configured(config, run_url())


def run_url() -> str:
    """Return the address of this run's page in Prefect, or nothing where its pages have no address."""
    run_id = runtime_flow_run.get_id()
    found = url_for("flow-run", run_id) if run_id else None
    if not found:
        return ""
    # An address of the API may hold a name and a password, and Prefect derives the pages' from it.
    parts = urlsplit(found)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def is_retryable(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:  # noqa: ARG001 - Prefect's signature
    """Retry only what may succeed later without a person."""
    error = state.result(raise_on_failure=False)
    return isinstance(error, GoldcopyError) and error.retryable


# A step of a flow. Nothing is persisted or cached: results stay in the catalog and the repository, never in Prefect.
step: Callable[..., Any] = partial(
    task,
    retries=RETRIES,
    retry_delay_seconds=exponential_backoff(FIRST_RETRY_DELAY_SECONDS),
    retry_jitter_factor=0.5,
    retry_condition_fn=is_retryable,
    persist_result=False,
    cache_policy=NO_CACHE,
)


def note_lost_runs(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - called by keyword
    """Close catalog runs whose process is gone; the worker calls this in a fresh process after a crash."""
    config = str(config_of_worker())
    note_lost_runs_now(config, logging.getLogger(__name__).info)
    tell_people(config)


def note_lost_runs_now(config: str, say: Callable[[str], None]) -> None:
    """Close catalog runs whose process is gone; a catalog that cannot be reached is told, not fatal."""
    try:
        with open_workspace(config) as workspace:
            for line in workspace.reconcile(utc_now()):
                say(f"closed in the catalog: {line}")
    except GoldcopyError as error:
        say(f"the catalog could not be reconciled: {error}")


def tell_people(config: str | None = None) -> None:
    """Let people hear at once of what a run did; the next watch tells them otherwise, so nothing here fails a run."""
    log = logging.getLogger(__name__)
    try:
        with open_workspace(config) as workspace:
            workspace.watch()
    except GoldcopyError as error:
        log.warning("people could not be told now, the next watch does it: %s", error)
    except Exception as error:  # noqa: BLE001 - a good run must not fail because of a notice
        log.warning("people could not be told now, the next watch does it (%s)", type(error).__name__)


def run_reference() -> str:
    """Name this run so that the same firing of a schedule counts once, however often Prefect starts it.

    Returns:
        `schedule:<deployment>:<scheduled instant>` for a firing, `run:<flow run id>` for a run that a person started.
    """
    context = FlowRunContext.get()
    flow_run = context.flow_run if context else None
    if flow_run is None:
        return f"run:{uuid4()}"
    if not flow_run.auto_scheduled or flow_run.expected_start_time is None:
        return f"run:{flow_run.id}"
    return f"schedule:{flow_run.deployment_id}:{format_instant(flow_run.expected_start_time)}"


def slot_name(source: str) -> str:
    """Name of the concurrency limit of one source."""
    return f"goldcopy-source-{source}"


def ensure_slots(sources: Iterable[str], at_once: int) -> None:
    """Make sure that the limits of some sources, and the one for all backups, exist.

    Done one after another and before the work fans out: two requests that create the same limit at once leave Prefect's
    SQLite database locked for a minute (3.8.8).
    """
    with get_client(sync_client=True) as client:
        client.upsert_global_concurrency_limit_by_name(OVERALL_LIMIT, at_once)
        for source in sources:
            client.upsert_global_concurrency_limit_by_name(slot_name(source), 1)


@contextmanager
def source_slot(source: str) -> Iterator[None]:
    """Hold the one slot of a source and one of the slots for all backups.

    The catalog's own claim is what protects a source; these slots make runs wait for each other in Prefect, where a
    person can see it, instead of failing. So losing the API during a backup does not end the backup.

    Raises:
        RunConflict: The slots stayed taken for hours.
    """
    names = [OVERALL_LIMIT, slot_name(source)]
    with ExitStack() as slots:
        try:
            slots.enter_context(
                concurrency(names, occupy=1, timeout_seconds=SLOT_WAIT_SECONDS, lease_duration=LEASE_SECONDS)
            )
        except TimeoutError as error:
            raise RunConflict(
                f"source {source} stayed taken by other runs for {SLOT_WAIT_SECONDS // 3600} hours",
                hint="Look for a run that hangs on the runs page, cancel it, and start this one again.",
            ) from error
        yield
        _give_back(slots)


def _give_back(slots: ExitStack) -> None:
    """Release the slots; if the API is away they lapse by themselves, and the backup is good all the same."""
    try:
        slots.close()
    except httpx.HTTPError as error:
        get_run_logger().warning("the slots could not be given back (%s); they lapse in a minute", type(error).__name__)


class PlainErrors(logging.Filter):
    """Turns the stack trace of an expected error into its message and hint."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record where it carries one of our errors; every record passes."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, GoldcopyError):
            record.msg, record.args = "%s: %s", (type(error).__name__, str(error))
            record.exc_info = record.exc_text = None
        return True


def _set_up_logging() -> None:
    for name in ("prefect.flow_runs", "prefect.task_runs"):
        logger = logging.getLogger(name)
        if not any(isinstance(existing, PlainErrors) for existing in logger.filters):
            logger.addFilter(PlainErrors())
    # PREFECT_LOGGING_EXTRA_LOGGERS sends our own log lines to the run, but leaves their level at the root's WARNING.
    for name in ("flows", "shared"):
        logging.getLogger(name).setLevel(logging.INFO)


_set_up_logging()
