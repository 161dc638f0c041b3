"""Keys beyond the bound of memory are spilled, and a merge leaves the same rows."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from destinations.iceberg.changes.test_key_hashes import COLUMNS, KEYS
from destinations.iceberg.changes.test_merge_at_random import resources

from floe_ingestion_defs.destinations.impl.iceberg.changes import incoming, spill
from floe_ingestion_defs.destinations.impl.iceberg.changes.key_hashes import Hashes
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from destinations.iceberg.conftest import Compare, Lake

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.all_cases) for seed in range(1, 20))]


# What was allocated in them may be freed later.
POOLS: list[pa.MemoryPool] = []


@pytest.fixture
def low_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spill, "MOST_BYTES", 2_000)


def rows_of(numbers: list[int]) -> pa.Table:
    columns = {name: [make(n) for n in numbers] for name, make in COLUMNS.items()}
    return pa.table({**columns, "decimal": pa.array(columns["decimal"], pa.decimal128(20, 3))})


@pytest.mark.parametrize("key", KEYS, ids="-".join)
def test_a_spilled_set_has_the_same_keys(key: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever their types, and for rows in several batches."""
    choose = random.Random(7)
    keys = rows_of(choose.choices(range(900), k=700)).select(key)
    asked = rows_of(choose.choices(range(1_200), k=500))
    held = KeySet(keys)
    monkeypatch.setattr(spill, "MOST_BYTES", 2_000)
    spilled, again = (
        KeySet(spill.gathered(keys.to_batches(max_chunksize=90), keys.schema)) for _ in range(2)
    )
    assert len(spilled) == len(held)
    assert in_order(spilled) == in_order(held)
    for batch in asked.to_batches(max_chunksize=200):
        assert spilled.contains(batch) == held.contains(batch)
    assert spilled.find_in(asked).to_pylist() == held.find_in(asked).to_pylist()
    assert spilled == again
    assert spilled != KeySet(spilled.rows.slice(1))


def in_order(keys: KeySet) -> list[str]:
    return sorted(str(row) for row in keys.rows.to_pylist())


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_random_merges_with_spilled_keys_leave_the_same_rows_as_sql(
    seed: int, same_as_sql: Compare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the strategy, keys, flags, layout and nesting."""
    monkeypatch.setattr(spill, "MOST_BYTES", 40)
    same_as_sql(lambda: resources(seed), "orders")


@pytest.mark.usefixtures("low_bound")
def test_scd2_with_spilled_keys_keeps_one_active_version_per_key(lake: Lake) -> None:
    """Its row versions are compared with those of the whole table."""
    disposition: Any = {"disposition": "merge", "strategy": "scd2"}
    for load in range(2):
        rows = [{"id": n, "value": load if n % 2 else 0} for n in range(300)]
        lake.load(rows, table_name="customers", write_disposition=disposition)
    found = lake.arrow("customers").to_pylist()
    active = [(row["id"], row["value"]) for row in found if row["_dlt_valid_to"] is None]
    assert sorted(active) == [(n, 1 if n % 2 else 0) for n in range(300)]
    assert len(found) == 450


def test_the_memory_of_a_merge_does_not_grow_with_its_keys(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Four times the keys, in the memory of Arrow and of NumPy, but for a byte per row."""
    monkeypatch.setattr(spill, "MOST_BYTES", 512 * 1024)
    few, many = (peak_of_keys(count) for count in (50_000, 200_000))
    assert many <= few + 150_000 * 2 + 2**20
    monkeypatch.undo()
    assert peak_of_keys(200_000) > 2 * many


def peak_of_keys(count: int) -> int:
    """Return the bytes that finding the last row of each key takes, and building a set of them."""

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, count, 10_000):
            numbers = pa.array(np.arange(start, start + 10_000)).cast(pa.string())
            yield pa.record_batch({"id": pc.utf8_lpad(numbers, 40, "0")})

    own = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(own)
    POOLS.append(pool)
    pa.set_memory_pool(pool)
    tracemalloc.start()
    try:
        hashes = Hashes(count, ["id"], spill.MOST_BYTES)
        rows = spill.gathered(hashes.following(batches()), pa.schema({"id": pa.string()}))
        kept = incoming._first_of_each(rows, ["id"], None, hashes.numbers)  # noqa: SLF001
        keys = KeySet(rows)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(own)
    assert kept.true_count == len(keys) == count
    return peak + int(pool.max_memory())


@pytest.mark.usefixtures("low_bound")
def test_spilled_keys_leave_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even while they are used, so that a killed process does not either."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    keys = KeySet(spill.gathered(rows_of(list(range(2_000))).select(["text"]).to_batches(), SCHEMA))
    assert list(tmp_path.iterdir()) == []
    assert np.all(keys.find_in(keys.rows).to_numpy(zero_copy_only=False))


SCHEMA = pa.schema({"text": pa.string()})
