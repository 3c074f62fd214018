"""Ask whether the repository can be reached: one small question, and no longer than somebody is willing to wait."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Thread

from shared.domain.source_facts import Reachability
from shared.errors import GoldcopyError, StoreProblem
from shared.repository.layout import DESCRIPTION_KEY
from shared.repository.store import ObjectStore
from shared.units import format_duration


def probe_repository(open_store: Callable[[], ObjectStore], timeout: timedelta, now: datetime) -> Reachability:
    """Ask for the repository's description.

    Args:
        open_store: Returns the store; its errors are answers too.
        timeout: A store that has not answered by then is not reachable; the question itself is left behind.
        now: Aware instant to put on the answer.
    """
    answers: list[Reachability] = []

    def ask() -> None:
        answers.append(_ask(open_store, now))

    # A daemon, so that a store which never answers does not keep the process from ending.
    asking = Thread(target=ask, name="probe-repository", daemon=True)
    asking.start()
    asking.join(timeout.total_seconds())
    if answers:
        return answers[0]
    waited = format_duration(timeout.total_seconds())
    return Reachability(is_reachable=False, asked_at=now, message=f"no answer within {waited}")


def _ask(open_store: Callable[[], ObjectStore], now: datetime) -> Reachability:
    try:
        store = open_store()
        if store.stat(DESCRIPTION_KEY) is None:
            message = f"there is no repository at {store.url}"
            return Reachability(is_reachable=False, asked_at=now, message=message)
    except StoreProblem as error:
        return Reachability(is_reachable=False, asked_at=now, message=error.message)
    except GoldcopyError as error:  # a secret that is missing here says nothing about the repository
        return Reachability(is_reachable=None, asked_at=now, message=error.message)
    return Reachability(is_reachable=True, asked_at=now)
