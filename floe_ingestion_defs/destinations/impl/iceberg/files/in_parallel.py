"""The work on several data files at the same time.

Arrow decodes, compares and encodes without Python's lock. A file in work holds a few row batches,
so memory grows with the number of threads, and not with that of files.
"""

from __future__ import annotations

import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from concurrent.futures import Future

T = TypeVar("T")
R = TypeVar("R")

# As many as there are cores, and not more: each holds batches of its file.
FILES_AT_ONCE = min(4, os.cpu_count() or 1)


def in_parallel(compute: Callable[[T], R], files: Iterable[T]) -> Iterator[tuple[T, R]]:
    """Yield each file with what is computed from it, in the given order.

    Args:
        compute: The work on one file, which is called from several threads.
        files: The files.

    Raises:
        Exception: The first error of the work on a file; files that wait are left out.
    """
    waiting: deque[tuple[T, Future[R]]] = deque()
    with ThreadPoolExecutor(FILES_AT_ONCE, "data-files") as threads:
        try:
            for file in files:
                waiting.append((file, threads.submit(compute, file)))
                if len(waiting) > FILES_AT_ONCE:
                    first, result = waiting.popleft()
                    yield first, result.result()
            for file, result in waiting:
                yield file, result.result()
        finally:
            threads.shutdown(wait=True, cancel_futures=True)
