"""A full scan by DuckDB's own reader, in a process of its own: `python -m benchmarks.duckdb_scan`.

Its extension for Iceberg exists for another version of DuckDB than the project has, which the
caller puts into `PYTHONPATH`. The program prints the rows and the seconds of the fastest scan.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROJECT = Path(__file__).parents[1]
_TIMES = 3


def scan_with_duckdb(metadata_location: str) -> tuple[int, float]:
    """Return the rows of a table, and the seconds of the fastest of three scans."""
    sys.path.append(str(PROJECT / "tests"))
    from interoperability.engines import duckdb as folders

    path = os.pathsep.join([*map(str, folders()), str(PROJECT)])
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.duckdb_scan", metadata_location],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            check=True,
        )
    rows, seconds = done.stdout.split()
    return int(rows), float(seconds)


def main(metadata_location: str) -> None:
    """Scan the table, and print the rows and the seconds of the fastest scan."""
    import duckdb
    from duckdb_extensions import import_extension

    connection = duckdb.connect(config={"extension_directory": str(Path.cwd())})
    for name in ("avro", "iceberg"):
        import_extension(name, con=connection)
        connection.load_extension(name)
    times = []
    for _ in range(_TIMES):
        began = time.perf_counter()
        query = f"SELECT * FROM iceberg_scan('{metadata_location}')"
        rows = connection.sql(query).arrow().read_all().num_rows
        times.append(time.perf_counter() - began)
    print(rows, min(times))


if __name__ == "__main__":
    main(sys.argv[1])
