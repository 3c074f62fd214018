"""Look at everything every ten minutes: judge, record what changed, tell people. The rules stand in docs/watch.md."""

from prefect import flow

from flows.artifacts import Document, StepResult
from flows.deploy import check_deployments
from flows.fan_out import fail_unless_good, publish, run_for_each
from flows.support import open_workspace, step
from shared.config.load import load_config
from shared.domain.health_reason import Colour, Reason
from shared.errors import ProgramProblem

# A look takes seconds; notices that cannot be delivered wait for the next one.
TIMEOUT_SECONDS = 540
COLUMNS = {"transitions": "Changes", "notices": "Notices", "deliveries": "Deliveries", "lost_runs": "Lost runs"}
SCHEDULES_DIFFER = "schedules-differ"


def schedule_reasons() -> tuple[Reason, ...]:
    """Say where Prefect fires other than expected: a schedule that somebody paused never fires, and nothing fails."""
    try:
        differences = check_deployments(load_config())
    except ProgramProblem:
        return ()
    if not differences:
        return ()
    more = f" (and {len(differences) - 1} more)" if len(differences) > 1 else ""
    return (
        Reason(
            code=SCHEDULES_DIFFER,
            colour=Colour.YELLOW,
            sentence=f"Prefect does not fire as the configuration expects: {differences[0]}{more}",
            action="See all of it with `goldcopy check`; `goldcopy deploy` and `prefect deploy --all` mend it.",
        ),
    )


@step(name="look")
def look() -> Document:
    """Look once."""
    reasons = schedule_reasons()
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
