"""What maintenance does to a table, with defaults that suit most tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CompactionOptions:
    """When and how data files are combined.

    Attributes:
        target_bytes: The size of a compacted file, by default the table's
            `write.target-file-size-bytes`.
        small_below: A file below this share of the target is small.
        min_files: A partition with this many small files is compacted.
        deleted_share: A file is compacted by itself if delete files delete this share of its rows.
    """

    target_bytes: int | None = None
    small_below: float = 0.75
    min_files: int = 5
    deleted_share: float = 0.1
