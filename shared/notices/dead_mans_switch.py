"""The dead man's switch: a monitor elsewhere that speaks up when nothing is heard from the watch any more.

It understands the URLs of Healthchecks: the address itself for success, with `/start` and `/fail` for the other two.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from threading import get_ident

import httpx

_LOG = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 5.0
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

    def ping(self, kind: Ping, message: str = "") -> bool:
        """Tell the monitor; what it answers changes nothing here.

        Args:
            kind: What it is told.
            message: A few words for its log, without a secret.

        Returns:
            Whether it took it.
        """
        if not self.url:
            return False
        try:
            address = httpx.URL(self.url)
            suffix = "" if kind is Ping.SUCCESS else f"/{kind.value}"
            target = address.copy_with(path=address.path.rstrip("/") + suffix)
            with _unlogged():
                answer = httpx.post(target, content=message[:_LONGEST_MESSAGE].encode(), timeout=_TIMEOUT_SECONDS)
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            # Only the class: the text of these errors holds the address.
            _LOG.warning("the dead man's switch could not be reached (%s)", type(error).__name__)
            return False
        return True
