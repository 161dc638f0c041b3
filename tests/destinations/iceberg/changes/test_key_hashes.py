"""Rows whose keys may be equal are found by hashes, and compared exactly."""

from __future__ import annotations

import math
import random
import tracemalloc
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.changes import incoming, key_hashes, spill


def text(number: int) -> str | None:
    return None if number == 0 else "" if number == 1 else f"k{number}é" * (number % 3 + 1)


def instant(number: int) -> datetime:
    return datetime(1960, 1, 1, tzinfo=UTC) + timedelta(hours=number)


def double(number: int) -> float | None:
    return None if number == 0 else [0.0, -0.0, math.nan][number] if number < 3 else number / 7


COLUMNS: dict[str, Any] = {
    "integer": lambda number: None if number == 0 else number - 2,
    "text": text,
    "timestamp": instant,
    "double": double,
    "decimal": lambda number: None if number == 0 else Decimal(number - 2).scaleb(-3),
    "boolean": lambda number: number % 2 == 0,
}
KEYS = [*([name] for name in COLUMNS), ["text", "integer"], ["decimal", "double"]]


def same(value: Any) -> Any:
    """What equal values of a key have in common."""
    return "nan" if value != value else value


@pytest.mark.parametrize("key", KEYS, ids="-".join)
@pytest.mark.parametrize("most_bytes", [spill.MOST_BYTES, 30_000])
@pytest.mark.parametrize("different", [30, 3000])
@pytest.mark.parametrize("collide", [False, True])
def test_the_same_rows_are_kept_as_by_comparing_all_keys(
    key: list[str],
    most_bytes: int,
    different: int,
    collide: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if the hashes of different keys are equal, for nulls and slices, and range by range."""
    monkeypatch.setattr(spill, "MOST_BYTES", most_bytes)
    if collide:
        monkeypatch.setattr(key_hashes, "_mixed", lambda numbers: numbers % np.uint64(512))
    monkeypatch.setattr(key_hashes, "_BYTES_AT_ONCE", 1000)
    rng = random.Random(7)
    numbers = [rng.randrange(different) for _ in range(1500)]
    rows = pa.table({name: [make(n) for n in numbers] for name, make in COLUMNS.items()})
    rows = pa.concat_tables([rows.slice(3, 700), rows.slice(703)])
    last = {tuple(same(row[name]) for name in key): i for i, row in enumerate(rows.to_pylist())}
    kept = incoming._first_of_each(rows, key, None, key_hashes.hashes_of(rows, key))  # noqa: SLF001
    assert np.flatnonzero(kept.to_numpy(zero_copy_only=False)).tolist() == sorted(last.values())


@pytest.mark.parametrize("most_bytes", [0, 10_000], ids=["in a file", "in memory"])
def test_rows_that_come_in_batches_have_the_hashes_of_their_table(most_bytes: int) -> None:
    """They are hashed as they come, so that those that are spilled are not read again for it."""
    rows = pa.table({name: [make(n) for n in range(500)] for name, make in COLUMNS.items()})
    key = list(COLUMNS)
    hashes = key_hashes.Hashes(rows.num_rows, key, most_bytes)
    batches = rows.to_batches(max_chunksize=70)
    assert list(hashes.following(batches)) == batches
    assert hashes.numbers.tolist() == key_hashes.hashes_of(rows, key).tolist()


@pytest.mark.parametrize("ranges", [1, 3, 256])
def test_each_hash_is_in_one_of_the_ranges_in_their_order(
    ranges: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spill, "_ROWS_AT_ONCE", 100)
    hashes = np.array([n * (2**64 - 1) // 1_999 for n in range(2_000)], np.uint64)
    numbers = spill.range_numbers(hashes, ranges).tolist()
    assert numbers == [int(each) * ranges >> 64 for each in hashes]
    assert set(numbers) == set(range(ranges))


def test_keys_that_differ_take_few_bytes_each() -> None:
    """The hashes and their sorted copy, however long the keys are."""
    rows = pa.table({"key": [f"customer-{number:060d}" for number in range(200_000)]})
    tracemalloc.start()
    candidates = key_hashes.repeated(key_hashes.hashes_of(rows, ["key"]))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not candidates.any()
    assert peak <= 18 * rows.num_rows + 16 * 2**20
