"""A year of flights as twelve CSV files: 336,776 rows, and four times as many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from benchmarks import flights
from benchmarks.case import Case
from benchmarks.duckdb_peer import DUCKDB, packages, write_files
from benchmarks.report import FLOE, STOCK, Row, at_least, at_most, ratio
from benchmarks.sources import load_with_plugin, load_with_stock

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.measure import Measurement
    from benchmarks.runner import Bench

TABLE = "flights"
_QUERY = f"FROM read_csv('{{}}/*.csv', nullstr = ['', '{flights.MISSING}'])"


def compare(bench: Bench) -> list[Row]:
    """Compare the whole run."""
    floe = bench.measure("csv-files", load_files)
    stock = bench.measure("csv-files", load_files_stock)
    duckdb = bench.measure(
        "csv-files",
        write_files,
        packages=packages(),
        query=_QUERY,
        small=flights.few_csv_folder(bench.cache),
        whole=flights.csv_folder(bench.cache, 1),
    )
    target = at_least(5, floe.whole_seconds, stock.whole_seconds)
    measured = {FLOE: floe, STOCK: stock, DUCKDB: duckdb}
    return [Row(f"{flights.ROWS:,} flights from CSV files", measured, [target])]


def grow(bench: Bench) -> list[Row]:
    """Compare the memory of four times the rows."""
    found = {times: bench.measure("csv-files", load_files, 1, times=times) for times in (1, 4)}
    growth = found[4].peak_bytes / found[1].peak_bytes
    target = at_most(1.2, growth, f"peak memory, relative to {flights.ROWS:,}", ratio)
    measured = {FLOE: found[4], f"{FLOE}, a quarter": found[1]}
    return [Row(f"{4 * flights.ROWS:,} flights from CSV files", measured, [target])]


def load_files(home: Path, cache: Path, times: int = 1) -> Measurement:
    """Load all files through the plugin."""

    def files(folder: Path) -> dict[str, Any]:
        return {
            "bucket_url": str(folder),
            "file_glob": "*.csv",
            "format": "csv",
            "null_values": ["", flights.MISSING],
        }

    source = {
        "source_type": "filesystem",
        "source_config": files(flights.csv_folder(cache, times)),
    }
    few = files(flights.few_csv_folder(cache))
    return load_with_plugin(home, TABLE, source, few, flights.ROWS * times)


def load_files_stock(home: Path, cache: Path) -> Measurement:
    """Load all files with dlt's `filesystem` and `read_csv`."""
    from dlt.sources.filesystem import filesystem, read_csv

    def resource(folder: Path) -> Any:
        return filesystem(bucket_url=folder.as_uri(), file_glob="*.csv") | read_csv()

    few = flights.few_csv_folder(cache)
    return load_with_stock(home, TABLE, resource, flights.csv_folder(cache, 1), few, flights.ROWS)


CASES = [Case("csv-files", compare, "Sources"), Case("csv-files-4x", grow, "Sources")]
