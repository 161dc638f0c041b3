"""The conditions on a table under which a load to it is committed.

A load that is committed and cannot be published blocks its table until an operator releases it, so
everything that can be checked before is checked here. Other engines write tables that pyiceberg
cannot: an append stays possible where it is safe, and a load that replaces a table supersedes its
content.
"""

from __future__ import annotations

from threading import RLock
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cachetools import LRUCache, cached
from pyiceberg.exceptions import NoSuchIcebergTableError, RESTError
from pyiceberg.manifest import DataFileContent, FileFormat
from pyiceberg.transforms import VoidTransform

from floe_ingestion_defs.destinations.impl.iceberg.catalog.supported import is_glue
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import head_of
from floe_ingestion_defs.destinations.impl.iceberg.errors import NotPublishable
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import columns_without_bounds
from floe_ingestion_defs.destinations.impl.iceberg.files.partitions import path_of

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.catalog import Catalog
    from pyiceberg.manifest import ManifestFile
    from pyiceberg.partitioning import PartitionSpec
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView
    from floe_ingestion_defs.destinations.impl.iceberg.plan import TablePlan

# The newest format that pyiceberg 0.12 writes.
NEWEST_FORMAT = 2
# pyiceberg's scan reads these.
READABLE_FORMATS = {FileFormat.PARQUET, FileFormat.ORC, FileFormat.PUFFIN}
# AWS Glue's limit for names and comments, and that of a SQL catalog for names.
LONGEST_NAME = 255
_KEPT_MANIFESTS = 4096
# In seconds since 1970.
_FIRST = -62135596800
_LAST = 253402300799


def load_current(dataset: Dataset, table: str, view: LogView) -> Table | None:
    """Return a table as it is before a load, None where the load creates it.

    Raises:
        NotPublishable: Another object of the catalog has the name.
    """
    if view.begins_namespace:
        return None
    name = dataset.qualified(table)
    try:
        current = dataset.load_table(table)
    except NoSuchIcebergTableError as error:
        msg = (
            "the catalog has a table of this name that is not an Iceberg table. Drop or rename "
            "it, or load into another table"
        )
        raise NotPublishable(name, msg) from error
    if current is None and _is_view(dataset.catalog, dataset.identifier(table)):
        msg = "a view has this name. Drop or rename the view, or load into another table"
        raise NotPublishable(name, msg)
    return current


def require_writable(dataset: Dataset, plan: TablePlan, current: Table | None) -> None:
    """Check what is known of a table before its rows are staged.

    Raises:
        NotPublishable: The table is of a format that pyiceberg cannot write, a merge would have to
            read files that it cannot read, or the catalog does not accept a name.
    """
    name = dataset.qualified(plan.table)
    if current is None:
        _require_short(name, "its name", plan.table)
    if current is None or not _changes_rows(plan):
        return
    metadata = current.metadata
    if metadata.format_version > NEWEST_FORMAT:
        raise NotPublishable(
            name,
            f"it has Iceberg format version {metadata.format_version}, and pyiceberg writes "
            f"versions up to {NEWEST_FORMAT}. Replace it by a copy in version {NEWEST_FORMAT}, or "
            "load into another table",
        )
    if lacks_source(metadata, metadata.spec()):
        _reject_dropped_source(name, "it is")
    if plan.intent.disposition != "append" or plan.intent.starts_empty:
        require_removable(name, current, is_replaced=plan.intent.starts_empty)


def require_accepted_columns(catalog: Catalog, staged: StagedTable) -> None:
    """Check the names and descriptions of a table's columns against the limits of its catalog.

    Raises:
        NotPublishable: The catalog does not accept one.
    """
    if not is_glue(catalog):
        return
    for column in staged.metadata.schema().fields:
        _require_short(staged.name, f"the name of column `{column.name[:40]}`", column.name)
        _require_short(staged.name, f"the description of column `{column.name}`", column.doc)


def require_values(staged: StagedTable) -> None:
    """Check that the staged rows have values in the columns that the table requires.

    Another engine's `NOT NULL` makes a column required. A file without its values would make the
    table unreadable.

    Raises:
        NotPublishable: A required column is missing or has nulls.
    """
    required = [f.name for f in staged.metadata.schema().fields if f.required]
    if not required or not staged.intent.files:
        return
    for column, count in staged.count_nulls(required).items():
        if count:
            raise NotPublishable(
                staged.name,
                f"its column `{column}` is required, and {count} of {staged.rows} rows of the load "
                "have no value for it. Supply the values in the source, or make the column "
                "optional (in Spark: `ALTER TABLE … ALTER COLUMN … DROP NOT NULL`)",
            )


def require_representable(name: str, job: Path) -> None:
    """Check that the dates and timestamps of a local file are within the years 1 to 9999.

    Others, such as PostgreSQL's `infinity`, have no value in Python, so pyiceberg can neither
    describe a file that has them nor read it.

    Raises:
        NotPublishable: One is not.
    """
    parquet = pq.ParquetFile(job)
    for path in columns_without_bounds(parquet.metadata):
        column = path.partition(".")[0]
        rows = _rows_out_of_range(parquet, column)
        raise NotPublishable(
            name,
            f"{rows} rows of column `{column}` have a date or timestamp outside of the years 1 to "
            "9999. Map such values in the source to null or to the nearest date",
        )


def _rows_out_of_range(parquet: pq.ParquetFile, column: str) -> str:
    """Return how many rows have such a value, as words where the column is nested."""
    count = 0
    for number in range(parquet.num_row_groups):
        values = parquet.read_row_group(number, columns=[column])[column]
        if pa.types.is_nested(values.type):
            return "Some"
        timestamps = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
        count += pc.sum(pc.or_(pc.less(timestamps, _FIRST), pc.greater(timestamps, _LAST))).as_py()
    return str(count)


def _changes_rows(plan: TablePlan) -> bool:
    return bool(plan.jobs) or plan.intent.starts_empty or plan.intent.disposition != "append"


def _is_view(catalog: Catalog, identifier: tuple[str, ...]) -> bool:
    try:
        return catalog.view_exists(identifier)
    except (NotImplementedError, RESTError):
        return False  # The catalog does not support views, or does not report them.


def _require_short(table: str, what: str, text: str | None) -> None:
    if text is not None and len(text) > LONGEST_NAME:
        raise NotPublishable(
            table,
            f"{what} has {len(text)} characters, and catalogs accept {LONGEST_NAME}. Shorten it",
        )


def lacks_source(metadata: TableMetadata, spec: PartitionSpec | None) -> bool:
    """Return whether a partition spec has a column that was dropped."""
    columns = metadata.schema().fields
    return spec is not None and any(
        not isinstance(field.transform, VoidTransform) and not path_of(columns, field.source_id)
        for field in spec.fields
    )


def _reject_dropped_source(name: str, what: str) -> NoReturn:
    raise NotPublishable(
        name,
        f"{what} partitioned by a column that was dropped, which pyiceberg cannot write. "
        "Rewrite the files with the engine that dropped it (in Spark: `CALL "
        "system.rewrite_data_files` with `rewrite-all`)",
    )


def require_removable(name: str, current: Table, *, is_replaced: bool) -> None:
    """Check that pyiceberg can read the files of a table, or only remove them."""
    if head_of(current) is None or (snapshot := current.current_snapshot()) is None:
        return
    specs = current.metadata.specs()
    for manifest in snapshot.manifests(current.io):
        contents = _contents(current, manifest)
        if contents and lacks_source(current.metadata, specs.get(manifest.partition_spec_id)):
            _reject_dropped_source(name, "some of its files are")
        if is_replaced:
            continue
        if any(content == DataFileContent.EQUALITY_DELETES for content, _ in contents):
            raise NotPublishable(
                name,
                "it has equality deletes, which pyiceberg cannot read, so rows cannot be merged "
                "or overwritten; appending stays possible. Compact the table with another engine "
                "(in Spark: `CALL system.rewrite_data_files` with `rewrite-all`)",
            )
        if unreadable := {format_ for _, format_ in contents} - READABLE_FORMATS:
            listed = ", ".join(sorted(format_.value for format_ in unreadable))
            raise NotPublishable(
                name,
                f"it has {listed} files, which pyiceberg cannot read, so rows cannot be merged or "
                "overwritten; appending stays possible. Rewrite them as Parquet (in Spark: set "
                "`write.format.default` to `parquet`, then `CALL system.rewrite_data_files` with "
                "`rewrite-all`)",
            )


_lock = RLock()
_cache: LRUCache[str, set[tuple[Any, Any]]] = LRUCache(_KEPT_MANIFESTS)


@cached(_cache, key=lambda table, manifest: manifest.manifest_path, lock=_lock)
def _contents(table: Table, manifest: ManifestFile) -> set[tuple[Any, Any]]:
    """Return the kinds and formats of the live files that a manifest lists; it never changes."""
    entries = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    return {(entry.data_file.content, entry.data_file.file_format) for entry in entries}
