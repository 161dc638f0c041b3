"""Checks of a partitioned source, each evaluated for the rows of a partition.

Dagster records a result per partition, so a backfill shows which of them failed.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg

from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dlt_plugin import ResourceSpec

if TYPE_CHECKING:
    from pyiceberg.table import Table

_ROW_COUNT = "dagster/partition_row_count"
_SNAPSHOT = "snapshot_id"


def definition_of(
    configured: ConfiguredSource, check: Check
) -> dg.PartitionsDefinition[str] | None:
    """Return the partitions of a check; None if it is of the whole table."""
    partitions = configured.settings.partitions
    return partitions.definition() if partitions and check.is_per_partition else None


def partition_keys_of(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
) -> Sequence[str]:
    """Return the partitions of a run; none for a run without partitions."""
    partitioned = context.has_partition_key or context.has_partition_key_range
    return context.partition_keys if partitioned else ()


def rows_of_partition(
    configured: ConfiguredSource, resource: ResourceSpec, table: "Table | None", partition: str
) -> PartitionRows | None:
    """Return the rows of a partition; None if the table does not exist, or cannot be searched.

    Args:
        configured: The source, with its settings.
        resource: The resource that is loaded into the table.
        table: The table.
        partition: Key of the partition.
    """
    partitions = configured.settings.partitions
    if table is None or partitions is None or resource.cursor_field is None:
        return None
    return PartitionRows.of(table, resource.cursor_field, partitions.window_of_key(partition))


def rows_before(
    instance: dg.DagsterInstance, key: dg.AssetKey, partition: str, rows: PartitionRows
) -> int | None:
    """Return the number of rows that the load before the last one left in a partition.

    Args:
        instance: Dagster's instance, which stores the number with each load of one partition.
            After a load of several, the rows are counted in its snapshot.
        key: The asset.
        partition: Key of the partition.
        rows: The rows of the partition.

    Returns:
        None if there is no such load, or its snapshot has been expired.
    """
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[partition])
    records = instance.fetch_materializations(wanted, limit=2).records
    materialization = records[1].asset_materialization if len(records) == 2 else None
    if materialization is None:
        return None
    counted = materialization.metadata.get(_ROW_COUNT)
    if isinstance(counted, dg.IntMetadataValue):
        return counted.value
    snapshot = materialization.metadata.get(_SNAPSHOT)
    return rows.count_at(int(str(snapshot.value))) if snapshot is not None else None
