"""Do one step for many subjects at once; one that fails never stops the others."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx
from prefect import Task, get_run_logger
from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.artifacts import StepResult, artifact_key, escape, findings, report
from shared.errors import GoldcopyError

Arguments = Mapping[str, Any]


def run_for_each(step: Task[..., Any], arguments: Mapping[str, Arguments], *, at_once: int) -> list[StepResult]:
    """Run a step once per subject, a few at a time.

    Args:
        step: The task to run.
        arguments: Subject -> the step's arguments.
        at_once: How many may run at the same time.

    Returns:
        One result per subject, in the given order.
    """
    if len(arguments) == 1:
        # In the main thread a timeout or a cancellation interrupts the work; in a pool's thread it would wait for it.
        [(subject, given)] = arguments.items()
        state: State[Any] = step(**given, return_state=True)  # type: ignore[assignment] # the step is not async
        return [_result(subject, state)]
    runner: ThreadPoolTaskRunner[Any] = ThreadPoolTaskRunner(max_workers=at_once)
    with runner:
        futures = {subject: runner.submit(step, parameters=dict(given)) for subject, given in arguments.items()}
        return [_result(subject, _state_of(future)) for subject, future in futures.items()]


def _state_of(future: PrefectFuture[Any]) -> State[Any]:
    future.wait()
    return future.state


def _result(subject: str, state: State[Any]) -> StepResult:
    found = state.result(raise_on_failure=False)
    if isinstance(found, BaseException):
        return StepResult(subject=subject, error=found)
    return StepResult(subject=subject, document=found)


def publish(title: str, results: Sequence[StepResult], columns: Mapping[str, str], *, key: str) -> None:
    """Leave one markdown artifact with the results of a run, and a table of its findings if it has any."""
    try:
        create_markdown_artifact(report(title, results, columns), key=artifact_key(key), description=escape(title))
        if rows := findings(results):
            create_table_artifact(rows, key=artifact_key(key, "findings"), description=escape(f"{title}: findings"))
    except httpx.HTTPError as error:
        # The work is done and recorded in the catalog; a page that could not be drawn changes nothing about it.
        get_run_logger().warning("the result cannot be shown as an artifact (%s)", type(error).__name__)


def fail_unless_good(results: Sequence[StepResult]) -> None:
    """End the flow as failed when anything was not good, naming it.

    Raises:
        GoldcopyError: Which subjects failed; the only error itself when there is one subject.
    """
    bad = [result for result in results if not result.is_good]
    if not bad:
        return
    for result in bad:
        get_run_logger().error("%s: %s", result.subject, _reason(result))
    if len(results) == 1 and isinstance(bad[0].error, GoldcopyError):
        raise bad[0].error
    names = ", ".join(result.subject for result in bad[:20]) + (" …" if len(bad) > 20 else "")
    reasons = f": {_reason(bad[0])}" if len(bad) == 1 else ""
    raise GoldcopyError(
        f"{len(bad)} of {len(results)} failed ({names}){reasons}",
        hint="The result artifact of this run says why and what to do, one by one.",
    )


def _reason(result: StepResult) -> str:
    if isinstance(result.error, GoldcopyError):
        return str(result.error)
    if result.error is not None:
        return f"unexpected {type(result.error).__name__}"
    return f"the outcome is {str(result.document.get('outcome', '?')).replace('_', ' ')}"
