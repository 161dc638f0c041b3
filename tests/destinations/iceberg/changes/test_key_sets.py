"""Whether keys are in a set is found alike for every type, and it is hashed for few batches."""

from __future__ import annotations

import pickle
import random
from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.conversions import to_bytes
from pyiceberg.manifest import DataFile
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC
from pyiceberg.schema import Schema
from pyiceberg.table.metadata import new_table_metadata
from pyiceberg.table.sorting import UNSORTED_SORT_ORDER
from pyiceberg.types import (
    DateType,
    DecimalType,
    DoubleType,
    LongType,
    NestedField,
    PrimitiveType,
    StringType,
    TimestampType,
)

from floe_ingestion_defs.destinations.impl.iceberg.changes import keys
from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet
from floe_ingestion_defs.destinations.impl.iceberg.changes.row_changes import Deletion, in_groups
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import arrow_schema

if TYPE_CHECKING:
    from collections.abc import Callable

TYPES: dict[str, tuple[pa.DataType, Callable[[int], Any]]] = {
    "integer": (pa.int64(), lambda n: n - 50),
    "short integer": (pa.int32(), lambda n: n - 50),
    "text": (pa.string(), str),
    "double": (pa.float64(), float),
    "binary": (pa.binary(), lambda n: str(n).encode()),
}

BOUNDED: dict[str, tuple[PrimitiveType, list[Any]]] = {
    "long": (LongType(), [*range(-5, 5)]),
    "string": (StringType(), [*"abéxyz\U0001f600", ""]),
    "date": (DateType(), [date(1969, 12, day) for day in range(25, 32)]),
    "timestamp": (TimestampType(), [datetime(2026, 1, day) for day in range(1, 8)]),
    "double": (DoubleType(), [-1.5, 0.0, 1.0, 2.5]),
    "decimal": (DecimalType(9, 2), [Decimal(n).scaleb(-2) for n in range(100, 106)]),
}


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("count", [0, 1, 40, 500])
def test_a_key_is_in_the_set_if_it_was_put_there(kind: str, count: int) -> None:
    """Nulls never are; of many keys, each value is searched for."""
    type_, make = TYPES[kind]
    choose = random.Random(count)
    inside = [*(make(n) for n in choose.choices(range(max(100, 2 * count)), k=count)), None]
    asked = [*(make(n) for n in range(100)), None]
    keys = KeySet(pa.table({"id": pa.array(inside, type_)}))
    found = keys.contains(pa.record_batch({"id": pa.array(asked, type_)}))
    assert found.to_pylist() == [value is not None and value in inside for value in asked]


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many keys Arrow hashed, each time."""
    found: list[int] = []
    is_in = pc.is_in

    def watched(column: Any, value_set: Any, **options: Any) -> Any:
        found.append(len(value_set))
        return is_in(column, value_set=value_set, **options)

    monkeypatch.setattr(pc, "is_in", watched)
    return found


def test_rows_are_compared_with_the_keys_of_their_range_only(hashed: list[int]) -> None:
    """Of 1,000,000 keys, ten are between the first and the last row; no other is hashed."""
    keys = KeySet(pa.table({"id": pa.array(range(0, 2_000_000, 2)).cast(pa.string())}))
    asked = pa.array([500_000, None, *range(500_000, 500_010)]).cast(pa.string())
    found = keys.contains(pa.record_batch({"id": asked})).to_pylist()
    assert found == [True, False, *(n % 2 == 0 for n in range(10))]
    nulls = pa.record_batch({"id": pa.array([None, None], pa.string())})
    assert keys.contains(nulls).to_pylist() == [False, False]
    assert hashed == [5, 0]


@pytest.mark.parametrize("type_", [pa.int64(), pa.int32()], ids=str)
@pytest.mark.parametrize(("step", "is_hashed"), [(1, False), (7, False), (1_000_000, True)])
def test_integers_of_a_dense_range_are_looked_up_without_hashing(
    type_: pa.DataType, step: int, is_hashed: bool, hashed: list[int]
) -> None:
    """Also negative ones, nulls, and numbers beyond the keys up to the type's bounds."""
    choose = random.Random(step)
    bounds = {pa.int64(): 2**63, pa.int32(): 2**31}[type_]
    present = [step * n for n in choose.sample(range(-400, 400), k=300)]
    asked = [*(step * n for n in range(-500, 500)), None, -bounds, bounds - 1]
    keys = KeySet(pa.table({"id": pa.array(present, type_)}))
    found = keys.contains(pa.record_batch({"id": pa.array(asked, type_)}))
    assert found.to_pylist() == [value in present for value in asked]
    assert bool(hashed) == is_hashed


def test_many_rows_are_looked_up_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_ROWS_AT_ONCE", 7)
    present = KeySet(pa.table({"id": range(0, 90, 3)}))
    asked = pa.record_batch({"id": [None, *range(-10, 100)]})
    found = present.contains(asked.slice(3)).to_pylist()
    assert found == [n in range(0, 90, 3) for n in range(-8, 100)]


@pytest.mark.parametrize("run", [1, 40, 1_000], ids="runs of {}".format)
def test_integers_are_ordered_however_long_their_runs_are(run: int) -> None:
    choose = random.Random(run)
    numbers = [n for _ in range(2_000 // run) for n in sorted(choose.sample(range(9_999), k=run))]
    found = KeySet(pa.table({"id": numbers})).rows["id"].to_pylist()
    assert found == sorted(set(numbers))


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


def test_rows_are_not_combined_for_integers() -> None:
    """Their keys are not hashed for each batch, so larger groups would take memory alone."""
    change = Deletion((KeySet(pa.table({"id": range(0, 7_000_000, 10)})),))
    rows = pa.record_batch({"id": pa.array(range(2**16))})
    assert len(list(in_groups([rows] * 10, change))) == 2


@pytest.mark.parametrize("kind", [*BOUNDED])
def test_a_file_may_have_a_key_if_one_is_between_its_bounds(kind: str) -> None:
    """Found by a search in the ordered keys, so that planning 100,000 files takes seconds."""
    column_type, values = BOUNDED[kind]
    choose = random.Random(7)
    schema = Schema(NestedField(1, "id", column_type, required=False))
    metadata = new_table_metadata(
        schema, UNPARTITIONED_PARTITION_SPEC, UNSORTED_SORT_ORDER, "file:///t"
    )
    arrow_type = arrow_schema(metadata).field("id").type
    for _ in range(60):
        inside = choose.choices(values, k=choose.randrange(4))
        lower, upper = sorted(choose.choices(values, k=2))
        file = DataFile.from_args(
            lower_bounds={1: to_bytes(column_type, lower)},
            upper_bounds={1: to_bytes(column_type, upper)},
        )
        keys = KeySet(pa.table({"id": pa.array([*inside, None], arrow_type)}))
        assert keys.may_be_in(file, metadata) == any(lower <= key <= upper for key in inside)


def test_a_key_set_is_sent_without_what_is_derived_from_it() -> None:
    keys = KeySet(pa.table({"id": range(10_000)}))
    sent = len(pickle.dumps(keys))
    assert keys.contains(pa.record_batch({"id": [3]})).to_pylist() == [True]
    assert hash(keys)
    assert len(pickle.dumps(keys)) == sent < 100_000
    assert pickle.loads(pickle.dumps(keys)) == keys
