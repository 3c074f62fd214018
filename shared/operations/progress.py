"""Tell the caller how far an operation is, and time its phases."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from shared.clock import monotonic_seconds


class OnProgress(Protocol):
    """Called from any thread, often; must be quick and must not raise."""

    def __call__(self, step: str, done: int, total: int | None, /) -> None:
        """Take note.

        Args:
            step: Name of the step, such as `dump`.
            done: Bytes or items done so far.
            total: How many there will be, where known.
        """
        ...


def no_progress(_step: str, _done: int, _total: int | None, /) -> None:
    """Ignore progress."""


class PhaseTimer:
    """Adds up how long each phase of an operation took, on a monotonic clock."""

    def __init__(self) -> None:
        self._seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time what happens inside as part of phase `name`."""
        began = monotonic_seconds()
        try:
            yield
        finally:
            self._seconds[name] = self._seconds.get(name, 0.0) + monotonic_seconds() - began

    def durations_seconds(self) -> dict[str, float]:
        """Return seconds by phase, rounded to milliseconds."""
        return {name: round(seconds, 3) for name, seconds in self._seconds.items()}
