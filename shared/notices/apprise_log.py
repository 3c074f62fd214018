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


class _Ear(logging.Handler):
    """Gives what is logged to the thread that listens."""

    def emit(self, record: logging.LogRecord) -> None:
        heard: Heard | None = getattr(_here, "heard", None)
        if heard is None:
            return
        status = _STATUS.search(record.getMessage())
        if status:
            heard.status = int(status[1])
        handled = sys.exc_info()[1]
        if handled is not None:
            heard.error = handled


_EAR = _Ear(logging.DEBUG)


def _is_nobodys(_record: logging.LogRecord) -> bool:
    """Let a record of the HTTP library pass only where no notice is being sent: it names the path of a webhook."""
    return getattr(_here, "heard", None) is None


@contextmanager
def listen() -> Iterator[Heard]:
    """Hear what Apprise says in this thread."""
    if _EAR not in _APPRISE.handlers:
        _APPRISE.addHandler(_EAR)
        _HTTP.addFilter(_is_nobodys)
    _APPRISE.propagate = False
    _APPRISE.setLevel(logging.DEBUG)
    before, heard = getattr(_here, "heard", None), Heard()
    _here.heard = heard
    try:
        yield heard
    finally:
        _here.heard = before
