"""The snapshots that were current in the last day, even if they have expired since.

A frequently loaded table has so many snapshots that one can expire minutes after it ceased to be
current, while a reader still reads its files. The metadata no longer lists it then, but its
manifest list is in storage for as long as the files are.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.files.listing import StoredFile

_MANIFEST_LIST = re.compile(r"snap-\d+-\d+-[0-9a-f-]{36}\.avro")


def recent_manifest_lists(
    stored: Iterable[tuple[StoredFile, Table]], since: datetime
) -> Iterator[tuple[Table, str]]:
    """Yield the paths of the manifest lists of all snapshots that were current since then.

    Args:
        stored: The files below tables' locations, each with its table.
        since: Each table's newest one from before that time was current then, too.
    """
    by_table: dict[str, list[StoredFile]] = defaultdict(list)
    tables: dict[str, Table] = {}
    for file, table in stored:
        if _MANIFEST_LIST.fullmatch(file.path.rpartition("/")[2]):
            key = table.metadata_location
            tables[key] = table
            by_table[key].append(file)
    for key, files in by_table.items():
        before = [file for file in files if file.modified < since]
        recent = [file for file in files if file.modified >= since]
        if before:
            recent.append(max(before, key=lambda file: file.modified))
        yield from ((tables[key], file.path) for file in recent)
