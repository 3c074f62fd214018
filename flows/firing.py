"""Is somebody there who fires the schedules and carries them out? Asked by every watch, wherever it runs."""

from flows.deploy import check_deployments, check_pool
from shared.config.load import Config
from shared.domain.health_reason import Colour, Reason
from shared.errors import ProgramFailed, ProgramMissing

SCHEDULES_DIFFER = "schedules-differ"
SERVER_GONE = "prefect-unreachable"
WORKER_GONE = "worker-gone"


def firing_reasons(config: Config) -> tuple[Reason, ...] | None:
    """Say why what is scheduled would not run; nothing fails when a worker is gone, it is only silent.

    Returns:
        Empty when all is well; None where no Prefect is known, so nobody can be asked.
    """
    try:
        return (*_pool_reasons(check_pool(config)), *_schedule_reasons(check_deployments(config)))
    except ProgramMissing:
        return None
    except ProgramFailed as error:
        return (
            Reason(
                code=SERVER_GONE,
                colour=Colour.YELLOW,
                sentence=f"{error.message}: nothing fires schedules while that lasts",
                action="See whether the server runs (`goldcopy up`, or Prefect Cloud's status page).",
            ),
        )


def _pool_reasons(problem: str) -> tuple[Reason, ...]:
    if not problem:
        return ()
    return (
        Reason(
            code=WORKER_GONE,
            colour=Colour.YELLOW,
            sentence=problem,
            action="Start `goldcopy up`, or a worker: `prefect worker start --pool goldcopy`.",
        ),
    )


def _schedule_reasons(differences: list[str]) -> tuple[Reason, ...]:
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
