"""Ask whether the repository can be reached and is ours: one small question, no longer than anybody wants to wait."""

from collections.abc import Callable
from datetime import datetime, timedelta
from threading import Thread

from shared.domain.source_facts import Reachability
from shared.errors import ConfigInvalid, GoldcopyError, IntegrityProblem, StoreProblem
from shared.repository.repository import Repository
from shared.repository.store import ObjectStore
from shared.units import format_duration


def probe_repository(
    open_store: Callable[[], ObjectStore],
    timeout: timedelta,
    now: datetime,
    *,
    read_key: Callable[[], bytes | None] = lambda: None,
) -> Reachability:
    """Ask for the repository's description, and whether it is ours.

    Args:
        open_store: Returns the store; its errors are answers too.
        timeout: A store that has not answered by then is not reachable; the question itself is left behind.
        now: Aware instant to put on the answer.
        read_key: Returns the fingerprint key of this machine. Without it nobody can tell our repository from another;
            the answer's message says so.
    """
    answers: list[Reachability] = []

    def ask() -> None:
        answers.append(_ask(open_store, read_key, now))

    # A daemon, so that a store which never answers does not keep the process from ending.
    asking = Thread(target=ask, name="probe-repository", daemon=True)
    asking.start()
    asking.join(timeout.total_seconds())
    if answers:
        return answers[0]
    waited = format_duration(timeout.total_seconds())
    return Reachability(is_reachable=False, asked_at=now, message=f"no answer within {waited}")


def _ask(open_store: Callable[[], ObjectStore], read_key: Callable[[], bytes | None], now: datetime) -> Reachability:
    try:
        store, key = open_store(), read_key()
    except StoreProblem as error:
        return Reachability(is_reachable=False, asked_at=now, message=error.message)
    except GoldcopyError as error:  # a secret that is missing here says nothing about the repository
        return Reachability(is_reachable=None, asked_at=now, message=error.message)
    try:
        Repository.open(store, fingerprint_key=key)
    except ConfigInvalid as error:
        message = f"the repository at {store.url} is another one: {error.message}"
        return Reachability(is_reachable=False, asked_at=now, message=message)
    except (StoreProblem, IntegrityProblem) as error:
        return Reachability(is_reachable=False, asked_at=now, message=error.message)
    unchecked = "" if key else "nobody could check that it is ours: the fingerprint key is not here"
    return Reachability(is_reachable=True, asked_at=now, message=unchecked)
