"""The only reader of clocks: everything else takes `now` as an argument."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present instant, aware, in UTC."""
    return datetime.now(UTC)


def monotonic_seconds() -> float:
    """Return seconds on a clock that never goes back, for measuring durations."""
    return time.monotonic()


def wait(seconds: float) -> None:
    """Sleep for `seconds`."""
    time.sleep(seconds)
