"""The program that each Python engine's process runs: tables on standard input, rows on output."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.plain_values import plain

if TYPE_CHECKING:
    from collections.abc import Callable

Table = dict[str, Any]
Rows = list[dict[str, Any]]


def pyiceberg_table(table: Table) -> Any:
    from pyiceberg.catalog import load_catalog

    return load_catalog("floe", **table["catalog"]).load_table(tuple(table["identifier"]))


def read_with_pyiceberg(table: Table) -> Rows:
    rows: Rows = pyiceberg_table(table).scan().to_arrow().to_pylist()
    return rows


def read_with_polars(table: Table, reader: Any) -> Rows:
    import polars

    frame = polars.scan_iceberg(table["metadata"], reader_override=reader)
    return frame.collect().to_dicts()


def read_with_daft(table: Table) -> Rows:
    import daft

    rows: Rows = daft.read_iceberg(pyiceberg_table(table)).to_arrow().to_pylist()
    return rows


def duckdb_reader() -> Callable[[Table], Rows]:
    import duckdb
    from duckdb_extensions import import_extension

    connection = duckdb.connect(config={"extension_directory": str(Path.cwd())})
    for name in ("avro", "httpfs", "iceberg"):
        import_extension(name, con=connection)
    connection.sql("set timezone = 'UTC'")

    def read(table: Table) -> Rows:
        scan = f"select * from iceberg_scan('{table['metadata']}')"
        rows: Rows = connection.sql(scan).to_arrow_table().to_pylist()
        return rows

    return read


def reader(engine: str) -> Callable[[Table], Rows]:
    match engine.split():
        case ["pyiceberg", *_]:
            return read_with_pyiceberg
        case ["duckdb"]:
            return duckdb_reader()
        case ["polars", by]:
            return lambda table: read_with_polars(table, by)
        case ["daft"]:
            return read_with_daft
    raise ValueError(engine)


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    read = reader(sys.argv[1])
    found: dict[str, Any] = {}
    for name, table in json.load(sys.stdin).items():
        try:
            found[name] = {"rows": plain(read(table))}
        # Whatever an engine raises, the other tables are read.
        except BaseException as error:
            found[name] = {"error": f"{type(error).__name__}: {error}"}
    json.dump(found, answers)


main()
