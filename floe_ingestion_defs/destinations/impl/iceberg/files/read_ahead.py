"""Reading and writing at the same time: what comes next is made while what came before is used.

Arrow decodes, filters and encodes without Python's lock, so that takes two cores where they are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_END = object()


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yields the items, each computed in a thread of its own while the one before it is used.

    No more than one item is held in advance. What the computation raises is raised here.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        coming = thread.submit(next, iterator, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, iterator, _END)
            yield item  # type: ignore[misc]
