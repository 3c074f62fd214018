"""The dead man's switch: a monitor elsewhere that speaks up when nothing is heard from the watch any more.

It understands the URLs of Healthchecks: the address itself for success, with `/start` and `/fail` for the other two.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import Thread, get_ident

import httpx

from shared.notices.failures import of_exception

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 5.0
_DEADLINE_SECONDS = 10.0
_LONGEST_MESSAGE = 10_000


class Ping(StrEnum):
    """What the monitor is told."""

    START = "start"
    SUCCESS = "success"
    FAIL = "fail"


@contextmanager
def _unlogged() -> Iterator[None]:
    """Keep httpx from logging the address, which is a secret, in this thread."""
    mine, logger = get_ident(), logging.getLogger("httpx")

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != mine

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)


@dataclass(frozen=True, slots=True)
class DeadMansSwitch:
    """Tells an outside monitor that the watch lives; never raises, never waits for long.

    Attributes:
        url: Its address, which is a secret; empty where none is configured.
    """

    url: str = field(repr=False)

    def ping(self, kind: Ping, message: str = "") -> str:
        """Tell the monitor.

        Args:
            kind: What it is told.
            message: A few words for its log, without a secret.

        Returns:
            Why it did not take it, without the address; empty when it did, and where there is none.
        """
        if not self.url:
            return ""
        ended: list[str] = []
        # A time for each part of an answer is none for the whole: whoever drips is left alone.
        pinger = Thread(target=lambda: ended.append(self._ping(kind, message)), daemon=True)
        pinger.start()
        pinger.join(_DEADLINE_SECONDS)
        problem = ended[0] if ended else "the monitor did not answer in time"
        if problem:
            _LOG.warning("the dead man's switch was not pinged: %s", problem)
        return problem

    def _ping(self, kind: Ping, message: str) -> str:
        try:
            address = httpx.URL(self.url)
            suffix = "" if kind is Ping.SUCCESS else f"/{kind.value}"
            target = address.copy_with(path=address.path.rstrip("/") + suffix)
            content = message[:_LONGEST_MESSAGE].encode()
            with _unlogged(), httpx.stream("POST", target, content=content, timeout=_TIMEOUT_SECONDS) as answer:
                answer.raise_for_status()  # its body says nothing that matters
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return _problem(error)
        return ""


def _problem(error: Exception) -> str:
    """Say what went wrong by the kind of the error, never by its text, which holds the address."""
    match error:
        case httpx.HTTPStatusError(response=answer):
            more = ": redirects are not followed, is the URL right?" if answer.is_redirect else ""
            more = more or (": is the URL right?" if answer.is_client_error else "")
            return f"it answered {answer.status_code} {answer.reason_phrase}".rstrip() + more
        case httpx.UnsupportedProtocol():
            return "its URL must begin https://"
        case httpx.InvalidURL():
            return "its URL is not valid"
        case _:
            return of_exception("the monitor", error).error
