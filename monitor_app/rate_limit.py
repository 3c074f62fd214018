"""How many requests somebody may make in a minute; kept in memory, so each process counts for itself."""

from collections import OrderedDict, deque
from threading import Lock

WINDOW_SECONDS = 60.0
_MOST_NAMES = 10_000


class RateLimit:
    """Counts requests by name in a sliding window.

    Args:
        per_window: How many are let through in `WINDOW_SECONDS`.
    """

    def __init__(self, per_window: int) -> None:
        self._per_window = per_window
        self._seen: OrderedDict[str, deque[float]] = OrderedDict()
        self._lock = Lock()

    def admit(self, name: str, now_seconds: float) -> float:
        """Count one request.

        Args:
            name: Whose it is.
            now_seconds: On a clock that never goes back.

        Returns:
            0 when it is let through, else the seconds until the next one would be.
        """
        with self._lock:
            times = self._seen.setdefault(name, deque())
            self._seen.move_to_end(name)
            while times and now_seconds - times[0] >= WINDOW_SECONDS:
                times.popleft()
            if len(times) >= self._per_window:
                return WINDOW_SECONDS - (now_seconds - times[0])
            times.append(now_seconds)
            # Whoever makes up names must not fill the memory.
            while len(self._seen) > _MOST_NAMES:
                self._seen.popitem(last=False)
            return 0.0
