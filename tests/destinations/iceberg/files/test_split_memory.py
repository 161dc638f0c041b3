"""Rows that are split by partition take the same memory, however many partitions there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.files import staged_files
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import write_staged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake

    from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile

MEGABYTE = 1024 * 1024
ROWS, PIECES = 4_000, 20
POOLS: list[Any] = []  # Buffers of other tests may outlive a pool.


@pytest.fixture(autouse=True)
def small_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELD_BYTES", "SORTED_FILE_BYTES", "BATCH_BYTES"):
        monkeypatch.setattr(staged_files, name, MEGABYTE)


def batches(partitions: int) -> Iterator[pa.RecordBatch]:
    """Yield batches that have rows of all partitions, 0.8 MB of each in all."""
    for piece in range(PIECES):
        numbers = np.tile(np.arange(piece, ROWS, PIECES), 4)
        names = pc.utf8_lpad(pa.array(numbers).cast(pa.string()), 200, "0")
        for start in range(0, partitions, 4):
            shops = np.repeat(np.arange(start, start + 4), ROWS // PIECES)
            yield pa.record_batch({"shop": shops, "id": -numbers, "name": names})


def split(lake: Lake, partitions: int) -> tuple[int, list[StagedFile]]:
    """Return the most bytes that Arrow held while rows were split, and the files."""
    table = lake.table("orders")
    own = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(own)
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    try:
        staged = write_staged(batches(partitions), table.metadata, table.io, "load")
    finally:
        pa.set_memory_pool(own)
    return int(pool.max_memory()), staged


@pytest.mark.parametrize("is_sorted", [True, False])
def test_memory_does_not_grow_with_the_partitions(lake: Lake, is_sorted: bool) -> None:
    """Each of them still gets one file, in the table's order."""
    lake.load(
        [{"shop": -1, "id": -1, "name": ""}],
        table_name="orders",
        columns={"shop": {"partition": True}, "id": {"sort": is_sorted}},
    )
    few, _ = split(lake, 4)
    many, staged = split(lake, 24)
    assert many < few + 2 * MEGABYTE, f"{few / MEGABYTE:.1f} MB, then {many / MEGABYTE:.1f} MB"
    assert [file.rows for file in staged] == [ROWS] * 24
    for file in staged:
        found = pq.read_table(file.path.removeprefix("file://"))
        assert len(set(found["shop"].to_pylist())) == 1
        ids = found["id"].to_pylist()
        assert sorted(ids) == [-number for number in reversed(range(ROWS))]
        assert not is_sorted or ids == sorted(ids)
