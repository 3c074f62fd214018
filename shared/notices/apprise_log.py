"""What Apprise says while it sends: heard here, and nowhere else.

Apprise answers only yes or no; the reason is in its log, and so are URLs with their tokens. So its log (and that of the
HTTP library below) goes nowhere while a notice is sent, and the thread that sends hears it: the HTTP status from its
words, and the error that was being handled, as the object that it is.
"""

import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import local

_APPRISE = logging.getLogger("apprise")
_HTTP = logging.getLogger("urllib3.connectionpool")
_STATUS = re.compile(r"error=(\d{3})\b")
_here = local()


@dataclass(slots=True)
class Heard:
    """What one attempt left in the log.

    Attributes:
        status: Last HTTP status that was no success, or None.
        error: Last error that was handled, or None.
    """

    status: int | None = None
    error: BaseException | None = None


def _hear(record: logging.LogRecord) -> bool:
    """Take what is logged in a thread that listens, and let nobody else have it."""
    heard: Heard | None = getattr(_here, "heard", None)
    if heard is None:
        # Somebody else's use of them: as if the level had not been lowered for us.
        return record.name != _APPRISE.name or record.levelno >= logging.getLogger().getEffectiveLevel()
    if record.name == _APPRISE.name:
        status = _STATUS.search(record.getMessage())
        if status:
            heard.status = int(status[1])
        handled = sys.exc_info()[1]
        if handled is not None:
            heard.error = handled
    return False


@contextmanager
def listen() -> Iterator[Heard]:
    """Hear what Apprise says in this thread."""
    if _hear not in _APPRISE.filters:
        _APPRISE.addFilter(_hear)
        _HTTP.addFilter(_hear)
    _APPRISE.setLevel(logging.DEBUG)
    before, heard = getattr(_here, "heard", None), Heard()
    _here.heard = heard
    try:
        yield heard
    finally:
        _here.heard = before
