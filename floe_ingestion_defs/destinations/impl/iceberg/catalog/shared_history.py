"""Table metadata whose history is shared by its copies.

pyiceberg 0.12 copies a table's metadata deeply whenever it applies updates, some six times per
commit. Its snapshots, and the logs of snapshots and of metadata files, are immutable and grow with
the commits: copying them took half of the time of an append to a table with 200 snapshots.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata

T = TypeVar("T")

_HISTORY = ("snapshots", "snapshot_log", "metadata_log")


class _SharedList(list[T]):
    """A list of immutable objects, which a deep copy does not copy."""

    def __deepcopy__(self, memo: dict[int, Any]) -> _SharedList[T]:
        return _SharedList(self)

    def __add__(self, other: list[Any]) -> list[Any]:
        return _SharedList([*self, *other])


def share_history(metadata: TableMetadata) -> TableMetadata:
    """Return the same metadata, whose deep copies share its snapshots and logs."""
    shared = {name: _SharedList(getattr(metadata, name)) for name in _HISTORY}
    return metadata.model_copy(update=shared)
