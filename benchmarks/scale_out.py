"""Plans merges into a table of 10 TB with the real planner: `python -m benchmarks.scale_out`.

The table is real, and so are its manifests; its 100,000 data files do not exist, but for one, on
which the work of a task is measured. The page "Scale out" has the results.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import FileScanTask
from pyiceberg.typedef import Record
from pyiceberg.types import LongType, NestedField, StringType

from benchmarks.memory import forget_peak, peak_bytes, resident_bytes
from floe_ingestion_defs.destinations.impl.iceberg.changes.file_changes import Change, change_rows
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import Deletion
from floe_ingestion_defs.destinations.impl.iceberg.changes.table_state import TableState
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    write_data_file,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.table import Table

COLUMNS = 20
ROWS_PER_FILE = 100_000
FILE_BYTES = 100 * 10**6
FILES_PER_MANIFEST = 1_000
CHANGED_A_DAY = 0.01
MERGES_A_DAY = 24
# The share of the files with the rows that change, if those are the newest.
NEWEST = 0.03

_SCHEMA = Schema(
    NestedField(1, "id", LongType(), required=False),
    *(NestedField(n, f"c{n}", StringType(), required=False) for n in range(2, COLUMNS + 1)),
)


@dataclass
class Measured:
    """What a step took.

    Attributes:
        seconds: Its time.
        processor_seconds: Its processor time, which other processes do not change.
        held_bytes: The memory that its result holds.
        peak_bytes: The most memory beyond what was held before.
    """

    seconds: float = 0.0
    processor_seconds: float = 0.0
    held_bytes: int = 0
    peak_bytes: int = 0


@contextmanager
def measured() -> Iterator[Measured]:
    """Measure a block."""
    result, before = Measured(), resident_bytes()
    forget_peak()
    began, spent = time.perf_counter(), time.process_time()
    yield result
    result.seconds = round(time.perf_counter() - began, 2)
    result.processor_seconds = round(time.process_time() - spent, 2)
    result.held_bytes = resident_bytes() - before
    result.peak_bytes = peak_bytes() - before


def make_table(folder: Path, files: int) -> Table:
    """Create a table with manifests of so many files, whose keys grow from file to file."""
    catalog = SqlCatalog("scale", uri=f"sqlite:///{folder}/catalog.db", warehouse=folder.as_uri())
    catalog.create_namespace("scale")
    table = catalog.create_table("scale.events", _SCHEMA)
    for first in range(0, files, FILES_PER_MANIFEST):
        with table.transaction() as transaction, transaction.update_snapshot().fast_append() as new:
            for number in range(first, min(first + FILES_PER_MANIFEST, files)):
                new.append_data_file(_data_file(table, number))
    return table


def _data_file(table: Table, number: int) -> DataFile:
    columns = range(1, COLUMNS + 1)
    lower, upper = number * ROWS_PER_FILE, (number + 1) * ROWS_PER_FILE - 1
    texts = {n: to_bytes(StringType(), f"value of {n}") for n in columns}
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=f"{table.location()}/data/floe-{number:032d}.parquet",
        file_format=FileFormat.PARQUET,
        partition=Record(),
        record_count=ROWS_PER_FILE,
        file_size_in_bytes=FILE_BYTES,
        column_sizes=dict.fromkeys(columns, FILE_BYTES // COLUMNS),
        value_counts=dict.fromkeys(columns, ROWS_PER_FILE),
        null_value_counts=dict.fromkeys(columns, 0),
        nan_value_counts={},
        lower_bounds={**texts, 1: to_bytes(LongType(), lower)},
        upper_bounds={**texts, 1: to_bytes(LongType(), upper)},
        split_offsets=[4],
        sort_order_id=None,
        spec_id=0,
        equality_ids=None,
        key_metadata=None,
    )


def plan_merge(state: TableState, files: int, keys: int, share: float) -> dict[str, Any]:
    """Find the files of a merge of so many keys, which are in the newest share of the files."""
    first = round(files * (1 - share)) * ROWS_PER_FILE
    drawn = np.random.default_rng(1).integers(first, files * ROWS_PER_FILE, keys)
    with measured() as building:
        deletion = Deletion((KeySet(pa.table({"id": drawn})),))
    with measured() as searching:
        touched = sum(deletion.may_touch(task.file, state.metadata) for task in state.tasks)
    return {
        "keys": keys,
        "files_touched": touched,
        "key_set": vars(building),
        "search": vars(searching),
    }


def work_on_one_file(table: Table, keys: int) -> dict[str, Any]:
    """Measure a task: one file of the size of all others, so many of whose rows are deleted."""
    path = f"{table.location()}/data/real.parquet"
    random = np.random.default_rng(2)
    width = FILE_BYTES // ROWS_PER_FILE // (COLUMNS - 1)
    texts = {
        f"c{n}": [random.bytes(width).hex() for _ in range(ROWS_PER_FILE)]
        for n in range(2, COLUMNS + 1)
    }
    rows = pa.table({"id": np.arange(ROWS_PER_FILE), **texts})
    write_data_file(table.io, table.metadata, path, rows.to_batches())
    file = data_file_from_footer(table.metadata, table.io, path)
    file.spec_id = 0
    result: dict[str, Any] = {"bytes": file.file_size_in_bytes, "deleted_rows": keys}
    deletion = Deletion(
        (KeySet(pa.table({"id": np.arange(0, ROWS_PER_FILE, ROWS_PER_FILE // keys)})),)
    )
    for mode in ("merge-on-read", "copy-on-write"):
        metadata = table.metadata.model_copy(
            update={"properties": {**table.properties, "write.merge.mode": mode}}
        )
        state = TableState(metadata, table.io)
        state.__dict__["tasks"] = (FileScanTask(file),)
        change = Change()
        with measured() as work:
            change_rows(change, state, deletion)
        result[mode] = {
            **vars(work),
            "written_bytes": sum(added.file_size_in_bytes for added in change.added),
        }
    return result


def main() -> None:
    """Run the simulation and print its results as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=100_000)
    files = parser.parse_args().files
    with tempfile.TemporaryDirectory() as folder:
        with measured() as making:
            table = make_table(Path(folder), files)
        snapshot = table.current_snapshot()
        assert snapshot is not None
        manifests = snapshot.manifests(table.io)
        state = TableState(table.metadata, table.io)
        with measured() as planning:
            count = len(state.tasks)
        a_day = int(files * ROWS_PER_FILE * CHANGED_A_DAY)
        found = {
            "files": count,
            "table_bytes": count * FILE_BYTES,
            "manifests": len(manifests),
            "manifest_bytes": sum(manifest.manifest_length for manifest in manifests),
            "making": vars(making),
            "planning": vars(planning),
            "an hour's rows, spread": plan_merge(state, files, a_day // MERGES_A_DAY, 1.0),
            "an hour's rows, newest": plan_merge(state, files, a_day // MERGES_A_DAY, NEWEST),
            "task": work_on_one_file(table, 1_000),
        }
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
