"""The plan of a compaction: which data files of a partition are combined.

A group is a unit of work: its files are read once, and written as one file.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyiceberg.table import TableProperties
from pyiceberg.utils.bin_packing import ListPacker

from floe_ingestion_defs.destinations.impl.iceberg.admission.tables import (
    lacks_source,
    require_removable,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import head_of
from floe_ingestion_defs.destinations.impl.iceberg.errors import NotPublishable
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import is_sorted
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import (
    SORTED_FILE_BYTES,
    SORTED_FILE_ROWS,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOADS_TABLE
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import log_of
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.z_order import require_z_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

_NEWEST_FORMAT = 2
_LOOKBACK = 8
# So many files of the target size are put in one z-order: each has half of the range of one column
# and a quarter of that of another. Their rows are on the local disk meanwhile.
_Z_ORDERED_FILES = 8
# The packer counts in whole numbers; files are weighed in shares of a target file.
_TARGET_WEIGHT = 1_000_000


@dataclass(frozen=True)
class FileGroup:
    """Data files of one partition that are combined, each with its delete files.

    Attributes:
        tasks: The files.
        files: How many files they become, if the partitioning has not changed.
    """

    tasks: tuple[FileScanTask, ...]
    files: int = 1

    @property
    def bytes(self) -> int:
        """The bytes that are read."""
        return sum(task.file.file_size_in_bytes for task in self.tasks)

    @property
    def rows(self) -> int:
        """The rows of the files, deleted ones included."""
        return sum(task.file.record_count for task in self.tasks)


@dataclass(frozen=True)
class CompactionPlan:
    """What a compaction would do.

    Attributes:
        groups: The groups of files to combine.
        files: The number of data files of the table.
        total_bytes: Their size in bytes.
        obstacle: Why the table cannot be compacted, None if it can.
    """

    groups: tuple[FileGroup, ...] = ()
    files: int = 0
    total_bytes: int = 0
    obstacle: str | None = None

    @property
    def files_removed(self) -> int:
        """The number of data files that would be replaced."""
        return sum(len(group.tasks) for group in self.groups)

    @property
    def files_added(self) -> int:
        """The number of data files that would replace them; more, if the partitioning changed."""
        return sum(group.files for group in self.groups)

    @property
    def bytes(self) -> int:
        """The bytes that would be read."""
        return sum(group.bytes for group in self.groups)


def plan_compaction(
    dataset: Dataset, table: str, options: CompactionOptions | None = None
) -> CompactionPlan:
    """Return what a compaction of a table would do.

    No data file is read, but for a sample of a sorted table.

    Args:
        dataset: The dataset.
        table: The table's name, without its namespace.
        options: When files are combined.

    Raises:
        InvalidZOrder: The table cannot be z-ordered by the given columns.
    """
    if table.lstrip("_") == LOADS_TABLE.lstrip("_"):
        return CompactionPlan(obstacle="it is the dataset's log, which loads compact themselves")
    loaded = dataset.load_table(table)
    if loaded is None:
        return CompactionPlan(obstacle="it does not exist")
    return plan_table(loaded, options or CompactionOptions())


def plan_table(table: Table, options: CompactionOptions) -> CompactionPlan:
    """Return what a compaction of a loaded table would do.

    Raises:
        InvalidZOrder: The table cannot be z-ordered by the given columns.
    """
    require_z_order(".".join(table.name()), table.metadata, options.z_order)
    if head_of(table) is None:
        return CompactionPlan()
    if obstacle := find_obstacle(table):
        return CompactionPlan(obstacle=obstacle)
    tasks = list(table.scan().plan_files())
    return plan_groups(table.metadata, tasks, options, _rows_of_sorted_file(table, tasks))


def plan_groups(
    metadata: TableMetadata,
    tasks: Iterable[FileScanTask],
    options: CompactionOptions,
    sorted_rows: int = SORTED_FILE_ROWS,
) -> CompactionPlan:
    """Return the groups of files to combine.

    Args:
        metadata: The table.
        tasks: Its data files with their delete files.
        options: When files are combined.
        sorted_rows: How many rows a file has at most if the table is sorted.
    """
    weigh = _Scale(metadata, options, sorted_rows)
    partitions: dict[Any, list[FileScanTask]] = defaultdict(list)
    files = total = 0
    for task in tasks:
        files += 1
        total += task.file.file_size_in_bytes
        if options.rewrite_all or weigh.is_small(task) or _has_many_deletes(task, options):
            partitions[_partition_of(task)].append(task)
    groups = [group for small in partitions.values() for group in _groups(small, weigh, options)]
    return CompactionPlan(tuple(groups), files, total)


def find_obstacle(table: Table) -> str | None:
    """Return why a table's files cannot be rewritten, None if they can."""
    metadata = table.metadata
    if metadata.format_version > _NEWEST_FORMAT:
        return (
            f"it has version {metadata.format_version} of Iceberg's format, and pyiceberg writes "
            f"versions up to {_NEWEST_FORMAT}"
        )
    if log_of(table) is None:
        return "no load was published to it"
    if lacks_source(metadata, metadata.spec()):
        return "it is partitioned by a column that was dropped"
    try:
        require_removable(".".join(table.name()), table, is_replaced=False)
    except NotPublishable as error:
        return error.reason
    return None


def _rows_of_sorted_file(table: Table, tasks: Sequence[FileScanTask]) -> int:
    """Return how many rows a file of a sorted table has at most.

    They are sorted in memory, and how much a row takes there is known only from a sample. Without
    it, files that are as large as can be would be rewritten by each compaction.
    """
    if not is_sorted(table.metadata) or not tasks:
        return SORTED_FILE_ROWS
    largest = max(tasks, key=lambda task: task.file.record_count)
    sample = next(
        (b for b in read_data_file(table.metadata, table.io, largest) if b.num_rows), None
    )
    if sample is None:
        return SORTED_FILE_ROWS
    rows: int = SORTED_FILE_BYTES * sample.num_rows // sample.nbytes
    return max(1, min(SORTED_FILE_ROWS, rows))


@dataclass(frozen=True)
class _Scale:
    """Weighs files against a target file.

    Rows are sorted in memory, so a sorted table's files have a limited number of rows.
    """

    metadata: TableMetadata
    options: CompactionOptions
    sorted_rows: int

    @property
    def target_bytes(self) -> int:
        if self.options.target_bytes is not None:
            return self.options.target_bytes
        configured = self.metadata.properties.get(TableProperties.WRITE_TARGET_FILE_SIZE_BYTES)
        return int(configured or TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT)

    def is_small(self, task: FileScanTask) -> bool:
        return self(task) < _TARGET_WEIGHT * self.options.small_below

    def __call__(self, task: FileScanTask) -> int:
        share = task.file.file_size_in_bytes / self.target_bytes
        if is_sorted(self.metadata):
            share = max(share, task.file.record_count / self.sorted_rows)
        return round(share * (1 - deleted_share(task)) * _TARGET_WEIGHT)


def deleted_share(task: FileScanTask) -> float:
    """Return the greatest share of a file's rows that its delete files may delete."""
    deletes = sum(file.record_count for file in task.delete_files)
    return min(deletes / task.file.record_count, 1.0) if task.file.record_count else 0.0


def _has_many_deletes(task: FileScanTask, options: CompactionOptions) -> bool:
    return bool(task.delete_files) and deleted_share(task) >= options.deleted_share


def _partition_of(task: FileScanTask) -> tuple[Any, ...]:
    partition = task.file.partition
    # NaN does not equal itself.
    return (task.file.spec_id, *(repr(partition[place]) for place in range(len(partition))))


def _groups(
    tasks: list[FileScanTask], weigh: _Scale, options: CompactionOptions
) -> Iterator[FileGroup]:
    most = _Z_ORDERED_FILES if options.z_order else 1
    packer: ListPacker[FileScanTask] = ListPacker(most * _TARGET_WEIGHT, _LOOKBACK, False)
    # A scan begins with the files that were added last.
    for packed in packer.pack(tasks[::-1], weigh):
        targets = sum(map(weigh, packed)) / _TARGET_WEIGHT
        is_large = targets >= options.small_below
        is_worthwhile = len(packed) >= options.min_files or (len(packed) > 1 and is_large)
        if (
            options.rewrite_all
            or is_worthwhile
            or any(_has_many_deletes(task, options) for task in packed)
        ):
            # None of several files is small, or the next compaction would combine them again.
            files = int(targets + 1 - options.small_below) if options.z_order else 1
            yield FileGroup(tuple(packed), max(1, files))
