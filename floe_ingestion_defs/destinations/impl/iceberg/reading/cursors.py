"""The cursors that pipelines have stored for a dataset's tables, from the log alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from dlt.common.versioned_state import decompress_state

from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import newest_document
from floe_ingestion_defs.destinations.impl.iceberg.reading.schemas import StoredSchemas

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

Cursors = dict[str, Any]


def stored_cursors(dataset: Dataset) -> dict[str, Cursors]:
    """Return the last value of each cursor, by table and by the cursor's column.

    A table without a cursor is left out, as is a nested one.

    Args:
        dataset: The dataset.
    """
    view = dataset.log.read()
    if view is None:
        return {}
    found: dict[str, Cursors] = defaultdict(dict)
    schemas = StoredSchemas(dataset, view)
    for pipeline in view.pipelines:
        document = newest_document(dataset, view, pipeline)
        state = decompress_state(document["state"]) if document else {}
        for source, content in state.get("sources", {}).items():
            for resource, cell in content.get("resources", {}).items():
                for column, cursor in cell.get("incremental", {}).items():
                    if cursor.get("last_value") is not None:
                        for table in schemas.tables_of(source, resource):
                            found[table][column] = cursor["last_value"]
    return dict(found)
