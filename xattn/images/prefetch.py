"""Work done ahead in threads while the model runs, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def prefetch(
    work: Callable[[A], B], items: Iterable[A], workers: int, ahead: int | None = None
) -> Generator[B, None, None]:
    """Yield `work(item)` for each item in order, up to `ahead` of them in the making.

    Decoding releases the interpreter's lock, so threads are enough and nothing is pickled.
    At most `ahead` results are held, so memory does not grow with the number of items. Whatever
    `work` raises is raised here, at its item's turn; closing the iterator early waits only for
    the items already begun.

    Args:
        work: called in a worker thread, or in this one if `workers` is 0.
        items: consumed lazily.
        workers: number of threads.
        ahead: how many results may wait; default 4 a worker.
    """
    if workers <= 0:
        yield from map(work, items)
        return
    source = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="xattn") as pool:
        pending: deque[Future[B]] = deque(
            pool.submit(work, item) for item in islice(source, ahead or 4 * workers)
        )
        try:
            while pending:
                yield pending.popleft().result()
                for item in islice(source, 1):
                    pending.append(pool.submit(work, item))
        finally:
            for future in pending:
                future.cancel()
