"""The newest schemas of a dataset's pipelines, as dlt stores them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
from dlt.common.schema.typing import VERSION_TABLE_NAME

from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import FILE_MEMORY
from floe_ingestion_defs.destinations.impl.iceberg.log.recent import recently_opened

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView


class StoredSchemas:
    """Reads schemas by name, each once.

    Args:
        dataset: The dataset.
        view: Its log.
    """

    def __init__(self, dataset: Dataset, view: LogView) -> None:
        self._view = view
        table = dataset.load_table(VERSION_TABLE_NAME)
        self._versions = None if table is None else table.scan().to_arrow()
        self._tables: dict[str, dict[str, Any]] = {}

    def tables(self, schema: str) -> dict[str, Any]:
        """Return the tables of a schema in dlt's format, by name; none if it is not stored."""
        if schema not in self._tables:
            self._tables[schema] = self._read(schema)
        return self._tables[schema]

    def tables_of(self, schema: str, resource: str) -> Iterator[str]:
        """Yield the root tables of a resource."""
        for name, table in self.tables(schema).items():
            if table.get("resource") == resource and "parent" not in table:
                yield name

    def _read(self, schema: str) -> dict[str, Any]:
        version = self._view.newest_schema_hash(schema)
        if self._versions is None or version is None:
            return {}
        rows = self._versions.filter(pc.field("version_hash") == version)["schema"].to_pylist()
        tables: dict[str, Any] = json.loads(rows[0])["tables"] if rows else {}
        return tables


def stored_version(
    dataset: Dataset, version_table: str, column: str, version_hash: str
) -> dict[str, Any] | None:
    """Return the row of a version of a schema, None if it is not stored.

    Args:
        dataset: The dataset.
        version_table: The name of the table of schemas.
        column: The name of its column with the hash.
        version_hash: The version.
    """
    opened = recently_opened(dataset, version_table)
    # A load that was published since then may have stored it.
    for read in (opened.versions, opened.load_versions):
        if (table := read()) is None:
            continue
        scan = table.scan(row_filter=f"{column} = '{version_hash}'")
        for task in scan.plan_files():
            FILE_MEMORY.expect(task.file.file_path, task.file.file_size_in_bytes)
        rows: list[dict[str, Any]] = scan.to_arrow().to_pylist()
        if rows:
            return rows[0]
    return None


def stored_primary_keys(dataset: Dataset, schema: str) -> dict[str, tuple[str, ...]]:
    """Return the primary key with which each table of a schema was last loaded, if it has one.

    Args:
        dataset: The dataset.
        schema: Name of the schema, which for a configured source is the source's.
    """
    view = dataset.log.read()
    if view is None:
        return {}
    keys = {
        name: tuple(
            column for column, hints in table["columns"].items() if hints.get("primary_key")
        )
        for name, table in StoredSchemas(dataset, view).tables(schema).items()
    }
    return {name: key for name, key in keys.items() if key}
