"""The engines that read the tables, and what each cannot read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from servers.engines import python_packages

DUCKDB = "1.5.5"
DAFT = "0.7.26"
LOWEST_PYICEBERG = "0.11.1"


@dataclass(frozen=True)
class Limit:
    """Why an engine cannot read a table.

    Attributes:
        error: A part of the message of the error that it raises.
        note: The reason, for docs/interoperability.md.
    """

    error: str
    note: str


@dataclass(frozen=True)
class Engine:
    """An engine.

    Attributes:
        title: Its name in docs/interoperability.md.
        reader: Its name in `interoperability.read`.
        packages: The folders that its packages are in, besides those of the main environment.
        unreadable: The tables that it cannot read.
    """

    title: str
    reader: str
    packages: Callable[[], list[Path]] = list
    unreadable: Mapping[str, Limit] = field(default_factory=dict)


def duckdb() -> list[Path]:
    extensions = ("avro", "httpfs", "iceberg")
    names = ["duckdb", "duckdb-extensions", *(f"duckdb-extension-{name}" for name in extensions)]
    return [python_packages("duckdb", *(f"{name}=={DUCKDB}" for name in names))]


ENGINES = {
    "pyiceberg": Engine("pyiceberg 0.12", "pyiceberg"),
    "lowest_pyiceberg": Engine(
        f"pyiceberg {LOWEST_PYICEBERG}",
        "pyiceberg",
        lambda: [python_packages("pyiceberg", f"pyiceberg=={LOWEST_PYICEBERG}")],
    ),
    "spark": Engine(
        "Spark 3.5.9, Iceberg 1.10.2",
        "spark",
        unreadable={
            "times": Limit(
                "Spark does not support time fields",
                "Spark has no type for `time`, and rejects each query of a table that has one. "
                "Load such a column as `text` or `timestamp` where Spark is to read the table.",
            )
        },
    ),
    "duckdb": Engine(f"DuckDB {DUCKDB}", "duckdb", duckdb),
    "polars": Engine("Polars 2.1", "polars native"),
    "polars_by_pyiceberg": Engine("Polars 2.1 by pyiceberg", "polars pyiceberg"),
}
