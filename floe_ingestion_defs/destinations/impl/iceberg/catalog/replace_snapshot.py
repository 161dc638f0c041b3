"""A snapshot that replaces files by others with the same rows.

Its operation is `replace`, so engines that read a table's increments skip it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.typedef import EMPTY_DICT

from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import Overwrite

if TYPE_CHECKING:
    from pyiceberg.table.snapshots import Snapshot


class Replace(Overwrite):
    """A snapshot of the same rows in other files.

    pyiceberg 0.12 has the operation `replace`, and rejects it when it computes a summary.
    """

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        summary = super()._summary(snapshot_properties)
        return Summary(operation=Operation.REPLACE, **summary.additional_properties)


def is_replacement(snapshot: Snapshot) -> bool:
    """Return whether a snapshot has the rows of its parent, in other files."""
    return snapshot.summary is not None and snapshot.summary.operation == Operation.REPLACE
