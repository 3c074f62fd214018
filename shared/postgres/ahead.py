"""Work on several items at once and take the results in order, without holding more than a few."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@contextmanager
def mapped_ahead(
    call: Callable[[_Item], _Result], items: Iterable[_Item], *, threads: int
) -> Iterator[Iterator[tuple[_Item, _Result]]]:
    """Lend (item, result) pairs in the order of the items, worked on by `threads` threads.

    At most one result more than there are threads is held while the reader is busy. An error of `call` is raised where
    its result would have come; leaving the context early drops what was not begun.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="ahead")

    def results() -> Iterator[tuple[_Item, _Result]]:
        waiting: deque[tuple[_Item, Future[_Result]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(call, item)))
            if len(waiting) > threads:
                first, future = waiting.popleft()
                yield first, future.result()
        for item, future in waiting:
            yield item, future.result()

    try:
        yield results()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
