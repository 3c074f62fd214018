"""Try again what may succeed later: backoff with full jitter, and only for errors that say so."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from shared.clock import wait
from shared.errors import StoreProblem

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrying:
    """How often and how patiently.

    Attributes:
        attempts: Calls in all.
        first_wait_seconds: Upper bound of the first pause; each further bound is twice as long.
        longest_wait_seconds: No pause is longer.
        sleep: Waits for some seconds.
    """

    attempts: int = 6
    first_wait_seconds: float = 0.2
    longest_wait_seconds: float = 10.0
    sleep: Callable[[float], None] = wait

    def call(self, operation: Callable[[], _Answer]) -> _Answer:
        """Call until it succeeds, fails for good, or the attempts are used up.

        Raises:
            StoreProblem: The last error, or the first that a repetition cannot cure.
        """
        for attempt in range(self.attempts - 1):
            try:
                return operation()
            except StoreProblem as error:
                if not error.retryable:
                    raise
            self.sleep(self._pause_seconds(attempt))
        return operation()

    def _pause_seconds(self, attempt: int) -> float:
        bound = min(self.longest_wait_seconds, self.first_wait_seconds * 2**attempt)
        return random.uniform(bound / 2, bound)  # noqa: S311 - spreads clients, protects nothing
