"""Combining a table's manifests in tiers, so that a commit costs the same however many came before.

Iceberg's own rule rewrites all small manifests whenever their number reaches a bound: with a bound
of 100, each hundredth append writes the entries of all files again, and a scan reads up to 100
manifests. Here only manifests that list about as many files are combined, ten to one, as in a
log-structured merge tree. So each entry is written again once per tier, and a table of 10,000 files
has at most 40 manifests.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from pyiceberg.manifest import ManifestContent, ManifestEntryStatus
from pyiceberg.table import TableProperties
from pyiceberg.table.update.snapshot import _FastAppendFiles
from pyiceberg.utils.properties import property_as_bool, property_as_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from pyiceberg.manifest import ManifestFile, ManifestWriter
    from pyiceberg.table.update.snapshot import _SnapshotProducer
    from pyiceberg.typedef import Properties

# The number of manifests of a tier that are combined, unless the table's
# `commit.manifest.min-count-to-merge` is another one.
MERGED_MANIFESTS = 10


class TieredMerge:
    """Combines manifests of one content.

    Args:
        producer: The snapshot that gets the manifests.
        properties: The table's properties.
        new_writer: Returns a writer of a manifest with a partition spec.
    """

    def __init__(
        self,
        producer: _SnapshotProducer[Any],
        properties: Properties,
        new_writer: Callable[[int], ManifestWriter],
    ) -> None:
        names = TableProperties
        self._producer, self._new_writer = producer, new_writer
        self._is_enabled = property_as_bool(
            properties, names.MANIFEST_MERGE_ENABLED, names.MANIFEST_MERGE_ENABLED_DEFAULT
        )
        count = property_as_int(properties, names.MANIFEST_MIN_MERGE_COUNT, MERGED_MANIFESTS)
        self._count = max(2, count or MERGED_MANIFESTS)
        self._target_bytes = target_bytes(properties)

    def merge(self, manifests: Iterable[ManifestFile]) -> list[ManifestFile]:
        """Return the manifests after full tiers were combined."""
        if not self._is_enabled:
            return list(manifests)
        by_spec: dict[int, list[list[ManifestFile]]] = defaultdict(list)
        for manifest in manifests:
            by_spec[manifest.partition_spec_id].append([manifest])
        return [
            group[0] if len(group) == 1 else self._write(spec_id, group)
            for spec_id, groups in by_spec.items()
            for group in self._combined(groups)
        ]

    def merge_all(self, manifests: Iterable[ManifestFile]) -> list[ManifestFile]:
        """Return the manifests after all were combined that fit together."""
        return [
            group[0] if len(group) == 1 else self._write(spec_id, group)
            for spec_id, groups in packed_by_spec(manifests, self._target_bytes).items()
            for group in groups
        ]

    def _combined(self, groups: list[list[ManifestFile]]) -> list[list[ManifestFile]]:
        """Combine the groups of each full tier, and those of the tier that gets the result."""
        while True:
            tiers: dict[int, list[list[ManifestFile]]] = defaultdict(list)
            for group in groups:
                if 2 * _bytes(group) < self._target_bytes:
                    tiers[self._tier(group)].append(group)
            full = next((tier for tier in tiers.values() if len(tier) >= self._count), None)
            if full is None:
                return groups
            members = {id(group) for group in full}
            groups = [
                *_packed(full, self._target_bytes),
                *(g for g in groups if id(g) not in members),
            ]

    def _tier(self, group: list[ManifestFile]) -> int:
        files = sum((m.added_files_count or 0) + (m.existing_files_count or 0) for m in group)
        tier = 0
        while files >= self._count:
            files //= self._count
            tier += 1
        return tier

    def _write(self, spec_id: int, group: list[ManifestFile]) -> ManifestFile:
        own = self._producer.snapshot_id
        with self._new_writer(spec_id) as writer:
            for manifest in group:
                for entry in self._producer.fetch_manifest_entry(manifest, discard_deleted=False):
                    if entry.status == ManifestEntryStatus.DELETED:
                        # An entry of a removed file belongs to the snapshot that removes it.
                        if entry.snapshot_id == own:
                            writer.delete(entry)
                    elif entry.status == ManifestEntryStatus.ADDED and entry.snapshot_id == own:
                        writer.add(entry)
                    else:
                        writer.existing(entry)
        return writer.to_manifest_file()


class Append(_FastAppendFiles):
    """A snapshot that adds data files, and combines manifests in tiers."""

    def _process_manifests(self, manifests: list[ManifestFile]) -> list[ManifestFile]:
        metadata = self._transaction.table_metadata
        specs = metadata.specs()
        merge = TieredMerge(
            self, metadata.properties, lambda spec_id: self.new_manifest_writer(specs[spec_id])
        )
        of_data = [m for m in manifests if m.content == ManifestContent.DATA]
        of_deletes = [m for m in manifests if m.content == ManifestContent.DELETES]
        return [*merge.merge(of_data), *of_deletes]


def target_bytes(properties: Properties) -> int:
    """Return the size of a large manifest."""
    default = TableProperties.MANIFEST_TARGET_SIZE_BYTES_DEFAULT
    size = property_as_int(properties, TableProperties.MANIFEST_TARGET_SIZE_BYTES, default)
    return size or default


def packed_by_spec(
    manifests: Iterable[ManifestFile], limit: int
) -> dict[int, list[list[ManifestFile]]]:
    """Return groups of manifests that fit into one of a size, by partition spec."""
    by_spec: dict[int, list[list[ManifestFile]]] = defaultdict(list)
    for manifest in manifests:
        by_spec[manifest.partition_spec_id].append([manifest])
    return {spec_id: _packed(groups, limit) for spec_id, groups in by_spec.items()}


def _packed(groups: Iterable[list[ManifestFile]], limit: int) -> list[list[ManifestFile]]:
    packed: list[list[ManifestFile]] = []
    for group in groups:
        if packed and _bytes(packed[-1]) + _bytes(group) <= limit:
            packed[-1] = packed[-1] + group
        else:
            packed.append(group)
    return packed


def _bytes(group: list[ManifestFile]) -> int:
    return sum(manifest.manifest_length for manifest in group)
