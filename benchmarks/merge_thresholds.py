"""Where merge-on-read pays: `python -m benchmarks.merge_thresholds`.

Deletes a share of the rows of data files of several sizes, by a rewrite and by position, and then
reads the file with each reader. Times are those of the processor, so that a busy machine matters
less. The page "Merge modes" has the findings.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog

from floe_ingestion_defs.destinations.impl.iceberg.changes import merge_mode
from floe_ingestion_defs.destinations.impl.iceberg.changes.file_changes import Change, change_rows
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import Deletion
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    read_data_file,
    write_data_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.table import Table

# Rows of about 40 bytes, as TPC-H's orders have in Parquet.
SIZES = {8: 260_000, 32: 1_040_000, 128: 4_160_000}
SHARES = (0.01, 0.1, 0.3)


def main() -> None:
    """Measure each size and share, and print a table."""
    print(f"{'MB':>4} {'deleted':>8} {'rewrite s':>10} {'by position s':>14}", end="")
    print("".join(f"{name + ' +s (x)':>22}" for name in READERS))
    merge_mode.MOST_DELETED = 1.1
    with tempfile.TemporaryDirectory() as folder:
        catalog = SqlCatalog(
            "t", uri=f"sqlite:///{folder}/catalog.db", warehouse=f"file://{folder}"
        )
        catalog.create_namespace("t")
        for size, rows in SIZES.items():
            for share in SHARES:
                _compare(catalog, Path(folder), size, rows, share)


def _compare(catalog: SqlCatalog, folder: Path, size: int, rows: int, share: float) -> None:
    seconds, reads = {}, {}
    for mode in ("copy-on-write", "merge-on-read"):
        table, bytes_ = _make_table(catalog, rows)
        keys = np.random.default_rng(3).choice(rows, int(rows * share), replace=False)
        seconds[mode] = _delete(table, mode, keys)
        reads[mode] = {name: _fastest(read, table.refresh()) for name, read in READERS.items()}
        catalog.drop_table("t.t")
    print(
        f"{bytes_ / 1e6:>4.0f} {share:>8.0%} {seconds['copy-on-write']:>10.2f} "
        f"{seconds['merge-on-read']:>14.2f}",
        end="",
    )
    for name in READERS:
        rewritten, by_position = reads["copy-on-write"][name], reads["merge-on-read"][name]
        print(f"{by_position - rewritten:>14.3f} ({by_position / rewritten:4.1f})", end="")
    print(flush=True)
    for path in folder.rglob("*.parquet"):
        path.unlink()


def _make_table(catalog: SqlCatalog, rows: int) -> tuple[Table, int]:
    random = np.random.default_rng(2)
    content = pa.table(
        {
            "id": np.arange(rows),
            "customer": random.integers(0, rows // 10, rows),
            "price": random.random(rows) * 1e5,
            "amount": random.random(rows) * 1e3,
            "day": random.integers(0, 2500, rows),
            "state": np.array(["open", "paid", "sent"])[random.integers(0, 3, rows)],
            "note": random.integers(0, 2**60, rows),
        }
    )
    table = catalog.create_table("t.t", content.schema)
    path = data_path(table.metadata, "benchmark")
    write_data_file(table.io, table.metadata, path, content.to_batches())
    file = data_file_from_footer(table.metadata, table.io, path)
    with table.transaction() as transaction:
        add_snapshot(transaction, [file])
    return table.refresh(), file.file_size_in_bytes


def _delete(table: Table, mode: str, keys: Any) -> float:
    with table.transaction() as transaction:
        transaction.set_properties({merge_mode.MERGE_MODE_PROPERTY: mode})
    table = table.refresh()
    began = time.process_time()
    change = Change()
    deletion = Deletion((KeySet(pa.table({"id": keys})),))
    change_rows(change, TableState(table.metadata, table.io), deletion)
    seconds = time.process_time() - began
    with table.transaction() as transaction:
        add_snapshot(transaction, change.added, change.removed)
    return seconds


def _read_with_floe(table: Table) -> None:
    for task in table.scan().plan_files():
        for _ in read_data_file(table.metadata, table.io, task):
            pass


def _read_with_pyiceberg(table: Table) -> None:
    table.scan().to_arrow()


def _read_with_polars(table: Table) -> None:
    pl.scan_iceberg(table.metadata_location).collect()


READERS: dict[str, Callable[[Table], None]] = {
    "floe": _read_with_floe,
    "pyiceberg": _read_with_pyiceberg,
    "Polars": _read_with_polars,
}


def _fastest(read: Callable[[Table], None], table: Table) -> float:
    times = []
    for _ in range(2):
        began = time.process_time()
        read(table)
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    main()
