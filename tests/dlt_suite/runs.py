"""One of the two destinations that a program runs against."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dlt
import duckdb

from floe_ingestion_defs.destinations import iceberg
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.create import is_dropped
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

Row = dict[str, Any]
Tables = dict[str, list[str]]


@dataclass
class Run:
    """One destination that a program runs against.

    Attributes:
        destination: `iceberg` or `duckdb`.
        folder: Where working directories and DuckDB's file are.
    """

    destination: str
    folder: Path
    dataset: str = "lake"
    directories: Iterator[int] = field(default_factory=itertools.count)

    def pipeline(self, name: str = "shop", **options: Any) -> dlt.Pipeline:
        """Return a pipeline with a new working directory, which knows only what was loaded."""
        directory = self.folder / self.destination / str(next(self.directories))
        pipeline: dlt.Pipeline = dlt.pipeline(
            name,
            destination=self.open(),
            dataset_name=self.dataset,
            pipelines_dir=str(directory),
            **options,
        )
        return pipeline

    def open(self, **options: Any) -> Any:
        """Return the destination."""
        if self.destination == "duckdb":
            return dlt.destinations.duckdb(str(self.folder / "oracle.duckdb"))
        return iceberg(**options)

    def tables(self, dataset: str | None = None) -> Tables:
        """Return the rows of every table that is not dlt's own, each in a comparable form."""
        return {
            name: sorted(_comparable(row) for row in table.to_pylist())
            for name, table in self.arrow_tables(dataset).items()
        }

    def arrow_tables(self, dataset: str | None = None) -> dict[str, pa.Table]:
        """Return every table that is not dlt's own."""
        dataset = dataset or self.dataset
        if self.destination == "iceberg":
            catalog = open_catalog()
            if not catalog.namespace_exists(dataset):
                return {}
            tables = Dataset(catalog, dataset).tables()
            return {
                name: table.scan().to_arrow()
                for name, table in tables.items()
                if not name.startswith("_dlt") and table.schema().fields and not is_dropped(table)
            }
        with duckdb.connect(str(self.folder / "oracle.duckdb")) as connection:
            query = "select table_name from information_schema.tables where table_schema = ?"
            names = [name for (name,) in connection.execute(query, [dataset]).fetchall()]
            return {
                name: connection.sql(f'from "{dataset}"."{name}"').to_arrow_table()
                for name in names
                if not name.startswith("_dlt")
            }


def _comparable(row: Row) -> str:
    return str(sorted((k, str(v)) for k, v in row.items() if k[:5] != "_dlt_" and v is not None))
