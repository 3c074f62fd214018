"""Look at everything every ten minutes: judge, record what changed, tell people. The rules stand in docs/watch.md."""

from prefect import flow

from flows.artifacts import Document, StepResult
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.firing import firing_reasons
from flows.support import open_workspace, step
from shared.config.load import load_config

# A look takes seconds; notices that cannot be delivered wait for the next one.
TIMEOUT_SECONDS = 540
COLUMNS = {"transitions": "Changes", "notices": "Notices", "deliveries": "Deliveries", "lost_runs": "Lost runs"}


@step(name="look")
def look() -> Document:
    """Look once."""
    reasons = firing_reasons(load_config())
    with open_workspace() as workspace:
        return workspace.watch(reasons).document()


@flow(name="watch", timeout_seconds=TIMEOUT_SECONDS, persist_result=False)
def watch() -> None:
    """Look at everything once and tell people what changed."""
    results = run_for_each(look, {"everything": {}}, at_once=1)
    # A quiet look leaves no page: there are a hundred and forty of them a day.
    if any(_is_worth_a_page(result) for result in results):
        publish("Watch", results, COLUMNS, key="watch")
    fail_unless_good(results)


def _is_worth_a_page(result: StepResult) -> bool:
    return result.error is not None or any(result.document.get(name) for name in COLUMNS)
