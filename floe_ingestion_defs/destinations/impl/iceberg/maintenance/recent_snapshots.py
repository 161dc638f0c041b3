"""The snapshots that were current in the last day, even if they have expired since.

A frequently loaded table has so many snapshots that one can expire minutes after it ceased to be
current, while a reader still reads its files. The metadata no longer lists it then, but its
manifest list is in storage for as long as the files are.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from pyiceberg.avro.file import AvroFile
from pyiceberg.manifest import ManifestFile

from floe_ingestion_defs.destinations.impl.iceberg.maintenance.references import (
    FILES_AT_ONCE,
    UNREADABLE,
)

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.files.listing import StoredFile

_MANIFEST_LIST = re.compile(r"snap-(\d+)-\d+-[0-9a-f-]{36}\.avro")


def recent_manifest_lists(
    stored: Iterable[tuple[StoredFile, Table]], since: datetime
) -> list[tuple[Table, str]]:
    """Return the manifest lists of all snapshots that were current since then, with their tables.

    Those are the ones that were written since then, and their parents. A list of a commit that lost
    counts like any other.
    """
    by_snapshot: dict[str, tuple[Table, str]] = {}
    recent: list[tuple[Table, str]] = []
    for file, table in stored:
        if found := _MANIFEST_LIST.fullmatch(file.path.rpartition("/")[2]):
            by_snapshot[found[1]] = table, file.path
            if file.modified >= since:
                recent.append((table, file.path))
    with ThreadPoolExecutor(FILES_AT_ONCE) as threads:
        parents = [by_snapshot[p] for p in threads.map(_parent_of, recent) if p in by_snapshot]
    return [*recent, *parents]


def _parent_of(listed: tuple[Table, str]) -> str | None:
    """Return the id of a snapshot's parent, which the header of its manifest list has."""
    table, path = listed
    try:
        with AvroFile[ManifestFile](table.io.new_input(path)) as reader:
            return reader.header.meta.get("parent-snapshot-id")
    except UNREADABLE:
        return None
