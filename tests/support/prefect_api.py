"""A private Prefect API for tests of flows, and short ways to ask it what a run left behind."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from prefect import get_client
from prefect.client.schemas.filters import (
    ArtifactFilter,
    ArtifactFilterFlowRunId,
    FlowRunFilter,
    FlowRunFilterId,
    LogFilter,
    LogFilterFlowRunId,
)
from prefect.client.schemas.objects import Artifact, FlowRun, TaskRun
from prefect.settings import (
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_LOGGING_EXTRA_LOGGERS,
    PREFECT_SERVER_ALLOW_EPHEMERAL_MODE,
    PREFECT_SERVER_ANALYTICS_ENABLED,
    temporary_settings,
)
from prefect.testing.utilities import prefect_test_harness

from shared.clock import monotonic_seconds, wait

os.environ.setdefault("DO_NOT_TRACK", "1")


@contextmanager
def private_api() -> Iterator[None]:
    """Start a server of our own on an empty database; about ten seconds, so once a session."""
    with (
        tempfile.TemporaryDirectory() as home,
        temporary_settings(
            {
                PREFECT_HOME: home,
                PREFECT_SERVER_ALLOW_EPHEMERAL_MODE: True,
                PREFECT_SERVER_ANALYTICS_ENABLED: False,
                # Joining the heartbeat's thread costs 0.9 s a run.
                PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None,
                PREFECT_LOGGING_EXTRA_LOGGERS: "flows,shared",
            }
        ),
        prefect_test_harness(server_startup_timeout=120),
    ):
        yield


def newest_run(name: str) -> FlowRun:
    """Return the run of a flow that began last."""
    from prefect.client.schemas.filters import FlowFilter, FlowFilterName
    from prefect.client.schemas.sorting import FlowRunSort

    with get_client(sync_client=True) as client:
        return client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[name])), sort=FlowRunSort.START_TIME_DESC, limit=1
        )[0]


def artifacts_of(run_id: UUID) -> dict[str, Artifact]:
    """Return a run's artifacts by key."""
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(
            artifact_filter=ArtifactFilter(flow_run_id=ArtifactFilterFlowRunId(any_=[run_id]))
        )
        return {str(artifact.key): artifact for artifact in found}


def task_runs_of(run_id: UUID) -> list[TaskRun]:
    """Return a run's task runs."""
    with get_client(sync_client=True) as client:
        return client.read_task_runs(flow_run_filter=FlowRunFilter(id=FlowRunFilterId(any_=[run_id])))


def logs_of(run_id: UUID, until: str) -> str:
    """Return a run's log once it holds `until`; Prefect sends logs in the background."""
    deadline = monotonic_seconds() + 15
    while True:
        with get_client(sync_client=True) as client:
            found = client.read_logs(LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id])), limit=200)
        text = "\n".join(entry.message for entry in found)
        if until in text or monotonic_seconds() > deadline:
            return text
        wait(0.2)
