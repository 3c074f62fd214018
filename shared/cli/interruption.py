"""An interrupt ends a command once; another one does not tear apart how the command clears up after the first."""

import os
import signal
from collections.abc import Callable
from types import FrameType

from shared.clock import monotonic_seconds

GRACE_SECONDS = 10.0
"""How long a command may clear up before a further interrupt ends it on the spot."""

_KINDS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """What a command does on Ctrl-C and SIGTERM.

    The first raises `KeyboardInterrupt`, so that children are stopped and the catalog says what happened. Those that
    come within the grace are left out of account; a later one ends the process as if nobody listened: what it leaves
    behind is cleared at the next start, as after a kill.
    """

    def __init__(
        self, grace_seconds: float = GRACE_SECONDS, now_seconds: Callable[[], float] = monotonic_seconds
    ) -> None:
        self._grace_seconds = grace_seconds
        self._now_seconds = now_seconds
        self._first_seconds: float | None = None
        self._is_said = False

    def listen(self) -> None:
        """Take the signals; a shell that lets its background commands ignore Ctrl-C is obeyed."""
        for kind in _KINDS:
            if kind is signal.SIGTERM or signal.getsignal(kind) is not signal.SIG_IGN:
                signal.signal(kind, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        now_seconds = self._now_seconds()
        if self._first_seconds is None:
            self._first_seconds = now_seconds
            raise KeyboardInterrupt
        if now_seconds - self._first_seconds >= self._grace_seconds:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif not self._is_said:
            self._is_said = True
            said = f"clearing up; after {self._grace_seconds:g} s another interrupt ends it on the spot\n"
            os.write(2, said.encode())  # a handler must not enter a stream that it may have interrupted
