"""The cursors that pipelines have stored for a dataset's tables, from the log alone."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from dlt.common.schema.typing import VERSION_TABLE_NAME
from dlt.common.versioned_state import decompress_state

from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import newest_document

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

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
    schemas = _Schemas(dataset, view)
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


class _Schemas:
    """The newest schemas of a dataset, which name the tables of a resource."""

    def __init__(self, dataset: Dataset, view: LogView) -> None:
        self._view = view
        table = dataset.load_table(VERSION_TABLE_NAME)
        self._versions = None if table is None else table.scan().to_arrow()
        self._tables: dict[str, dict[str, Any]] = {}

    def tables_of(self, schema: str, resource: str) -> Iterator[str]:
        if schema not in self._tables:
            self._tables[schema] = self._read(schema)
        for name, table in self._tables[schema].items():
            if table.get("resource") == resource and "parent" not in table:
                yield name

    def _read(self, schema: str) -> dict[str, Any]:
        version = self._view.newest_schema_hash(schema)
        if self._versions is None or version is None:
            return {}
        rows = self._versions.filter(pc.field("version_hash") == version)["schema"].to_pylist()
        tables: dict[str, Any] = json.loads(rows[0])["tables"] if rows else {}
        return tables
