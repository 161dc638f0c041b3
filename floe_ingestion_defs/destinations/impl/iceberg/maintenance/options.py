"""What maintenance does to a table, with defaults that suit most tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import timedelta


@dataclass(frozen=True)
class CompactionOptions:
    """When and how data files are combined.

    Attributes:
        target_bytes: The size of a compacted file, by default the table's
            `write.target-file-size-bytes`.
        small_below: A file below this share of the target is small.
        min_files: A partition with this many small files is compacted.
        deleted_share: A file is compacted by itself if delete files delete this share of its rows.
        z_order: Columns to order the rows of combined files by, on a z-order curve.
        rewrite_all: Whether all files are rewritten, also those that are large enough.
    """

    target_bytes: int | None = None
    small_below: float = 0.75
    min_files: int = 5
    deleted_share: float = 0.1
    z_order: tuple[str, ...] = ()
    rewrite_all: bool = False


@dataclass(frozen=True)
class ExpiryOptions:
    """How long the snapshots of a table are kept whose properties do not say it.

    Attributes:
        older_than: A snapshot expires so long after it ceased to be the table's current one, by
            default 5 days; `history.expire.max-snapshot-age-ms` of the table takes precedence.
        min_snapshots: So many of the newest are kept, by default 10;
            `history.expire.min-snapshots-to-keep` takes precedence.
    """

    older_than: timedelta | None = None
    min_snapshots: int | None = None
