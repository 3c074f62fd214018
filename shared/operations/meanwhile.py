"""Do one thing beside another, and end it when the other gives up."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import Self, TypeVar

from shared.errors import Interrupted
from shared.operations.progress import OnProgress

_Result = TypeVar("_Result")


class Meanwhile:
    """Runs one piece of work beside the caller's, and ends it when the caller gives up."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self._is_over = Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="meanwhile")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_unused: object) -> None:
        self._is_over.set()
        self._pool.shutdown(wait=True)

    def begin(self, work: Callable[[OnProgress], _Result]) -> Future[_Result]:
        """Start; the work stops at its next word of progress once the context is left."""
        return self._pool.submit(work, self._progress)

    def _progress(self, step: str, done: int, total: int | None, /) -> None:
        if self._is_over.is_set():
            raise Interrupted("the work that this belonged to has ended", hint="Run it again.")
        self._on_progress(step, done, total)
