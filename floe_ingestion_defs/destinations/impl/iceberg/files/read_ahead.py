"""Reading and writing at the same time: each item is computed while the one before it is used.

Arrow decodes, filters and encodes without Python's lock, so this uses two cores where available.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

T = TypeVar("T")

_END = object()


def read_ahead(items: Iterable[T]) -> Iterator[T]:
    """Yield the items, each computed in another thread while the one before it is used.

    No more than one item is held in advance. Exceptions of the computation are raised here.
    """
    iterator = iter(items)
    with ThreadPoolExecutor(1, "read-ahead") as thread:
        coming = thread.submit(next, iterator, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, iterator, _END)
            yield item  # type: ignore[misc]
