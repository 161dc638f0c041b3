"""The work on several data files at the same time, in threads or on a cluster.

Arrow decodes, compares and encodes without Python's lock. A file in work holds a few row batches,
so memory grows with the number of tasks at once, and not with that of files.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, TypeVar

from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import (
    open_executor,
    tasks_at_once,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

    from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import RewriteExecutor

S = TypeVar("S")
T = TypeVar("T")
R = TypeVar("R")


def in_parallel(
    compute: Callable[[S, T], R],
    shared: S,
    files: Iterable[T],
    executor: RewriteExecutor = "threads",
) -> Iterator[tuple[T, R]]:
    """Yield each file with what is computed from it, in the given order.

    Args:
        compute: The work on one file, called with `shared` and the file, in any thread or process.
        shared: What the work on all files has in common.
        files: The files.
        executor: Where the work runs. If not in threads, the arguments and the results are pickled.

    Raises:
        Exception: The first error of the work on a file; files that wait are left out.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    with open_executor(executor) as opened:
        most = tasks_at_once(opened)
        for file in files:
            waiting.append((file, opened.submit(compute, shared, file)))
            if len(waiting) > most:
                first, result = waiting.popleft()
                yield first, result.result()
        for file, result in waiting:
            yield file, result.result()
