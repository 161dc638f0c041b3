"""Whether keys are in a set is found alike for every type, and it is hashed for few batches."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import Deletion, in_groups

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    "integer": (pa.int64(), lambda n: n - 50),
    "short integer": (pa.int32(), lambda n: n - 50),
    "text": (pa.string(), str),
    "double": (pa.float64(), float),
    "binary": (pa.binary(), lambda n: str(n).encode()),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("count", [0, 1, 40])
def test_a_key_is_in_the_set_if_it_was_put_there(kind: str, count: int) -> None:
    """Nulls never are."""
    type_, make = TYPES[kind]
    choose = random.Random(count)
    inside = [*(make(n) for n in choose.choices(range(100), k=count)), None]
    asked = [*(make(n) for n in range(100)), None]
    keys = KeySet(pa.table({"id": pa.array(inside, type_)}))
    found = keys.contains(pa.record_batch({"id": pa.array(asked, type_)}))
    assert found.to_pylist() == [value is not None and value in inside for value in asked]


@pytest.mark.parametrize(("keys", "groups"), [(10, 2), (700_000, 1)])
def test_a_change_with_many_keys_is_compared_with_as_many_rows_at_once(
    keys: int, groups: int
) -> None:
    """Arrow hashes the keys for each batch: it took 15 times as long with batches of 64 K rows."""
    change = Deletion((KeySet(pa.table({"id": [str(n) for n in range(keys)]})),))
    rows = pa.record_batch({"id": pa.array(["x"] * 2**16)})
    found = list(in_groups([rows] * 10, change))
    assert len(found) == groups
    assert sum(group.num_rows for group in found) == 10 * 2**16
