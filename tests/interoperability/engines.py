"""The engines that read the tables, and what each cannot read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from servers.engines import python_packages

from interoperability.cases import CASES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from interoperability.case import Row

DUCKDB = "1.5.5"
DAFT = "0.7.26"
OLDER_PYICEBERG = "0.11.1"


@dataclass(frozen=True)
class Limit:
    """What an engine does with a table that it does not read right.

    Attributes:
        note: The reason, for docs/destination/interoperability.md.
        error: A part of the message of the error that it raises.
        rows: The rows that it returns where it raises none.
    """

    note: str
    error: str = ""
    rows: list[Row] = field(default_factory=list)


@dataclass(frozen=True)
class Engine:
    """An engine.

    Attributes:
        title: Its name in docs/destination/interoperability.md.
        reader: Its name in `interoperability.read`.
        packages: The folders that its packages are in, besides those of the main environment.
        unreadable: The tables that it does not read right.
    """

    title: str
    reader: str
    packages: Callable[[], list[Path]] = list
    unreadable: Mapping[str, Limit] = field(default_factory=dict)


def duckdb() -> list[Path]:
    extensions = ("avro", "httpfs", "iceberg")
    names = ["duckdb", "duckdb-extensions", *(f"duckdb-extension-{name}" for name in extensions)]
    return [python_packages("duckdb", *(f"{name}=={DUCKDB}" for name in names))]


NULL_LISTS = {
    "structs_in_lists": Limit(
        note="pyiceberg reads a null list of structs as an empty list.",
        rows=[{**row, "v": row["v"] or []} for row in CASES["structs_in_lists"].rows[""]],
    )
}

ENGINES = {
    "pyiceberg": Engine("pyiceberg 0.12", "pyiceberg", unreadable=NULL_LISTS),
    "lowest_pyiceberg": Engine(
        f"pyiceberg {OLDER_PYICEBERG}",
        "pyiceberg",
        lambda: [python_packages("pyiceberg", f"pyiceberg=={OLDER_PYICEBERG}")],
        NULL_LISTS,
    ),
    "spark": Engine(
        "Spark 3.5.9, Iceberg 1.10.2",
        "spark",
        unreadable={
            "times": Limit(
                error="Spark does not support time fields",
                note="Spark has no type for `time`, and rejects every query of a table with one. "
                "Load such a column as `text` or `timestamp` where Spark is to read the table.",
            )
        },
    ),
    "duckdb": Engine(f"DuckDB {DUCKDB}", "duckdb", duckdb),
    "polars": Engine("Polars 2.1", "polars native"),
    "polars_by_pyiceberg": Engine(
        "Polars 2.1 by pyiceberg", "polars pyiceberg", unreadable=NULL_LISTS
    ),
    "daft": Engine(
        f"Daft {DAFT}",
        "daft",
        lambda: [python_packages("daft", f"daft=={DAFT}")],
        {
            "deletion_vectors": Limit(
                error="Parquet file. Corrupt footer",
                note="Daft reads the file of a deletion vector as if it were a Parquet file.",
            )
        },
    ),
}
