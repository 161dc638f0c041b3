"""DuckDB as a peer: it writes the rows of a source to one Parquet file, without a catalog.

It has no state, schema or table to maintain, which makes it a lower bound. The version is the
newest whose extension for PostgreSQL is in a package; it is installed into a folder of its own,
which the process of the measurement puts before the packages of the environment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks.measure import Stopwatch
from benchmarks.memory import peak_bytes
from benchmarks.packages import installed

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Measurement

VERSION = "1.5.5"
DUCKDB = f"DuckDB {VERSION} into a Parquet file"
_POSTGRES = "postgres_scanner"
# What dlt writes, and this project registers as it is.
_OPTIONS = "FORMAT parquet, COMPRESSION snappy"


def packages() -> list[Path]:
    """Return the folders of its packages, which are downloaded once."""
    extension = f"duckdb-extension-{_POSTGRES.replace('_', '-')}"
    names = ("duckdb", "duckdb-extensions", extension)
    return installed("duckdb-postgres", *(f"{name}=={VERSION}" for name in names))


def write_files(home: Path, cache: Path, query: str, small: str, whole: str) -> Measurement:
    """Write the rows of files to one file, after a small file of the same type.

    Args:
        home: Where the file is written.
        cache: Unused.
        query: The query that reads the files, with `{}` instead of their path.
        small: Path of the small file.
        whole: Path of the files, which can be a pattern.
    """
    _copy(_connect(home), query.format(small), home / "few.parquet")
    watch = Stopwatch()
    rows = _copy(_connect(home), query.format(whole), home / "all.parquet")
    return watch.stop(rows=rows, peak_bytes=peak_bytes())


def write_postgres_table(url: str, table: str, path: Path) -> int:
    """Write a table of a database to a file, and return the number of its rows."""
    from duckdb_extensions import import_extension

    connection = _connect(path.parent)
    import_extension(_POSTGRES, con=connection)
    connection.load_extension(_POSTGRES)
    connection.execute(f"ATTACH '{url}' AS source (TYPE postgres, READ_ONLY)")
    return _copy(connection, f"FROM source.{table}", path)


def _connect(folder: Path) -> Any:
    import duckdb

    return duckdb.connect(config={"extension_directory": str(folder / "extensions")})


def _copy(connection: Any, query: str, path: Path) -> int:
    (rows,) = connection.execute(f"COPY ({query}) TO '{path}' ({_OPTIONS})").fetchone()
    return int(rows)
