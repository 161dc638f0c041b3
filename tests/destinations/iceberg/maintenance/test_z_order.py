"""Z-order narrows what a file has of each column, and keeps every row."""

from __future__ import annotations

import random
import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidZOrder
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import z_order
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import plan_compaction

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import FileScanTask

ROWS = 20_000


def load_points(lake: Lake) -> None:
    """Load rows whose columns are independent of each other and of the files."""
    numbers = random.Random(14)
    for _ in range(2):
        count = ROWS // 2
        table = pa.table(
            {
                "x": [numbers.randrange(1_000_000) for _ in range(count)],
                "y": [f"{numbers.random():.12f}" for _ in range(count)],
                "z": pa.array(range(count)),
            }
        )
        lake.load(table, table_name="points")


def skipped(lake: Lake, row_filter: str) -> int:
    """Return how many files a scan skips, by their bounds."""
    table = lake.table("points")
    of_all = list(table.scan().plan_files())
    return len(of_all) - len(list(table.scan(row_filter=row_filter).plan_files()))


def test_files_have_a_narrow_range_of_each_column(lake: Lake) -> None:
    """A filter on any of them skips most files, and before it skipped none."""
    load_points(lake)
    filters = ("x < 100000", "y > '0.9'", "x < 100000 and y > '0.9'")
    assert [skipped(lake, each) for each in filters] == [0, 0, 0]
    before = Counter(zip(*columns(lake), strict=True))
    size = sum(task.file.file_size_in_bytes for task in files(lake))
    options = CompactionOptions(target_bytes=size // 8 + 1, z_order=("x", "y"), rewrite_all=True)
    dataset = Dataset(lake.catalog, lake.dataset)
    planned = plan_compaction(dataset, "points", options)
    result = compact(dataset, "points", options)
    assert (result.files_removed, result.files_added) == (2, 8)
    assert (planned.files_removed, planned.files_added) == (2, 8)
    assert Counter(zip(*columns(lake), strict=True)) == before
    by_x, by_y, by_both = (skipped(lake, each) for each in filters)
    assert by_x >= 4
    assert by_y >= 4
    assert by_both >= 6
    # Iceberg's sort orders have no z-order, and engines rely on a file's sort order.
    assert {task.file.sort_order_id for task in files(lake)} == {None}
    assert lake.table("points").metadata.default_sort_order_id == 0
    lake.load([{"x": 1, "y": "a", "z": -1}], table_name="points")
    assert len(columns(lake)[0]) == ROWS + 1


def files(lake: Lake) -> list[FileScanTask]:
    return list(lake.table("points").scan().plan_files())


def columns(lake: Lake) -> list[list[Any]]:
    found = lake.arrow("points")
    return [found[name].to_pylist() for name in ("x", "y", "z")]


def test_only_the_small_files_of_later_loads_are_put_in_order(lake: Lake) -> None:
    """Files that a compaction has filled are left as they are, however often it is repeated."""
    load_points(lake)
    size = sum(task.file.file_size_in_bytes for task in files(lake))
    options = CompactionOptions(target_bytes=size // 4, z_order=("x", "y"))
    dataset = Dataset(lake.catalog, lake.dataset)
    assert compact(dataset, "points", options).files_removed == 0
    compact(dataset, "points", replace(options, rewrite_all=True))
    filled = [task.file.file_size_in_bytes for task in files(lake)]
    assert len(filled) == 4
    options = replace(options, target_bytes=min(filled))
    assert plan_compaction(dataset, "points", options).files_removed == 0
    for n in range(5):
        lake.load([{"x": n, "y": "a", "z": -1}], table_name="points")
    result = compact(dataset, "points", options)
    assert (result.files_removed, result.files_added) == (5, 1)
    assert sorted(row["x"] for row in lake.rows("points") if row["z"] == -1) == [0, 1, 2, 3, 4]


def test_a_table_that_cannot_be_z_ordered_is_left_alone(lake: Lake) -> None:
    """The error names the table, the column and the remedy."""
    lake.load(pa.table({"place": [1], "s": [{"t": 1}]}), table_name="points")
    lake.load(pa.table({"a": [1]}), table_name="ordered", columns={"a": {"sort": True}})
    dataset = Dataset(lake.catalog, lake.dataset)
    for table, column, reason in (
        ("points", "palce", "it has no column `palce`; did you mean `place`?"),
        ("points", "b", "it has no column `b`; use some of place, s."),
        ("points", "s", "column `s` is nested; use columns with single values."),
        ("ordered", "a", "it has a sort order; remove one of the two."),
    ):
        snapshots = lake.snapshots(table)
        message = f"Table `{lake.dataset}.{table}` cannot be z-ordered: {reason}"
        with pytest.raises(InvalidZOrder, match=f"^{re.escape(message)}$"):
            compact(dataset, table, CompactionOptions(z_order=(column,)))
        assert lake.snapshots(table) == snapshots


@pytest.mark.parametrize(
    "ascending",
    [
        pa.array([None, -(2**63), -1, 0, 1, 2**63 - 1], pa.int64()),
        pa.array([None, -(2**31), 0, 2**31 - 1], pa.int32()),
        pa.array([None, False, True]),
        pa.array([None, float("-inf"), -1.5, -1e-300, 0.0, 1e-300, 2.0, float("inf")]),
        pa.array([None, -1.5, 0.0, 1.5], pa.float32()),
        pa.array([None, Decimal("-10.5"), Decimal("0.1"), Decimal("9.9")], pa.decimal128(9, 1)),
        pa.array([None, date(1, 1, 1), date(1970, 1, 1), date(9999, 12, 31)]),
        pa.array([None, time(0), time(12, 30), time(23, 59, 59, 999_999)]),
        pa.array([None, datetime(1969, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]),
        pa.array([None, "", "A", "a", "ab", "b", "é", "日本"]),
        pa.array([None, b"", b"\x00\x01", b"\x01", b"\xff"]),
        pa.array([None, bytes(16), b"\x7f" + bytes(15), b"\xff" * 16], pa.binary(16)),
        pa.array([None, bytes(16), b"\xff" * 16], pa.uuid()),
    ],
    ids=lambda values: str(values.type),
)
def test_keys_are_in_the_order_of_the_values(ascending: pa.Array) -> None:
    """Nulls come first."""
    keys = z_order.keys_of(ascending)
    assert keys.dtype == np.uint64
    assert keys[0] == 0
    assert all(np.diff(keys.astype(object)) >= 0)
    assert len(np.unique(keys)) >= len(ascending) - 1


def test_memory_holds_one_range_even_of_equal_values(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the rows have one place on the curve, so their range is cut into pieces."""
    monkeypatch.setattr(z_order, "SORTED_FILE_ROWS", 500)
    numbers = np.random.default_rng(14)
    values = numbers.integers(0, 1000, 10_000)
    values[::2] = 7
    rows = pa.table({"a": values, "b": numbers.random(10_000) * (values != 7)})
    found = [
        list(batches)
        for batches in z_order.z_ordered(
            lambda columns: iter(rows.select(columns or ["a", "b"]).to_batches(100)),
            ("a", "b"),
            10_000,
            3,
        )
    ]
    assert len(found) == 3
    assert max(batch.num_rows for file in found for batch in file) <= 1_100
    read = pa.Table.from_batches([batch for file in found for batch in file])
    assert read.sort_by([("a", "ascending"), ("b", "ascending")]) == rows.combine_chunks().sort_by(
        [("a", "ascending"), ("b", "ascending")]
    )


def test_no_rows_are_no_files() -> None:
    empty = pa.table({"a": pa.array([], pa.int64())})
    assert not list(z_order.z_ordered(lambda _: iter(empty.to_batches()), ("a",), 5, 2))
