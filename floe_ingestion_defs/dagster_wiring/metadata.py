"""What a materialization says about its load, read from Iceberg and so right for empty loads too.

Numbers are numbers, so that the UI plots them over time.
"""

import dagster as dg

from floe_ingestion_defs.dagster_wiring.translator import STORAGE_KIND
from floe_ingestion_defs.dlt_plugin import LoadResult

Metadata = dict[str, dg.MetadataValue]


def describe_load(result: LoadResult, resource_name: str) -> Metadata:
    """Describe what a load did to the table of one of its resources.

    Args:
        result: The load, as the plugin reports it.
        resource_name: Name of the resource.

    Returns:
        Metadata of the materialization. `snapshot_id` is the snapshot that the table stands at,
        also where this load had nothing to add; only a table without any snapshot has none.
    """
    loaded = result.resources[resource_name]
    metadata: Metadata = {
        "dagster/table_name": dg.MetadataValue.text(loaded.table),
        "dagster/storage_kind": dg.MetadataValue.text(STORAGE_KIND),
        "rows_loaded": dg.MetadataValue.int(loaded.rows_loaded),
        "duration_seconds": dg.MetadataValue.float(float(result.duration_seconds)),
    }
    if loaded.total_rows is not None:
        metadata["dagster/row_count"] = dg.MetadataValue.int(loaded.total_rows)
    if loaded.snapshot_id is not None:
        metadata["snapshot_id"] = dg.MetadataValue.int(loaded.snapshot_id)
    if loaded.previous_snapshot_id is not None:
        metadata["previous_snapshot_id"] = dg.MetadataValue.int(loaded.previous_snapshot_id)
    if result.load_ids:
        metadata["load_id"] = dg.MetadataValue.text(", ".join(result.load_ids))
    return metadata
