"""A snapshot that replaces files by others with the same rows.

Its operation is `replace`, so engines that read a table's increments skip it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyiceberg.manifest import ManifestContent
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.typedef import EMPTY_DICT

from floe_ingestion_defs.destinations.impl.iceberg.catalog.manifest_merge import (
    TieredMerge,
    packed_by_spec,
    target_bytes,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import Overwrite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table
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


class RewriteManifests(Replace):
    """A snapshot of the same files in fewer manifests.

    Attributes:
        manifests: Their number, once the snapshot is written.
    """

    manifests: int = 0

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        of_data, of_deletes = _by_content(manifests)
        properties = self._transaction.table_metadata.properties
        merged = [
            *TieredMerge(self, properties, self._data_manifest_writer).merge_all(of_data),
            *TieredMerge(self, properties, self._delete_manifest_writer).merge_all(of_deletes),
        ]
        self.manifests = len(merged)
        return merged

    @staticmethod
    def least(table: Table, manifests: Iterable[ManifestFile]) -> int:
        """Return how many manifests a rewrite of a table's would leave."""
        return sum(
            len(bins)
            for found in _by_content(manifests)
            for bins in packed_by_spec(found, target_bytes(table.metadata.properties)).values()
        )


def _by_content(
    manifests: Iterable[ManifestFile],
) -> tuple[list[ManifestFile], list[ManifestFile]]:
    manifests = [m for m in manifests if m.has_added_files() or m.has_existing_files()]
    of_data = [m for m in manifests if m.content == ManifestContent.DATA]
    return of_data, [m for m in manifests if m.content == ManifestContent.DELETES]
