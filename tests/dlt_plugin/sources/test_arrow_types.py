"""Casts of Arrow columns that keep the meaning of the values, or are rejected."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import ColumnTypeMismatch, conform

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TIMESTAMP = pa.timestamp("us", "UTC")


def cast(value: Any, found: pa.DataType, wanted: pa.DataType) -> Any:
    """Return a value as a column of another type has it."""
    table = pa.table({"paid": pa.array([None, value], found)})
    return conform(table, {"paid": wanted}).column("paid").to_pylist()


@pytest.mark.parametrize(
    ("value", "found", "wanted"),
    [
        (5, pa.int64(), pa.bool_()),
        (0.5, pa.float64(), pa.bool_()),
        (Decimal(2), pa.decimal128(10, 2), pa.bool_()),
        (True, pa.bool_(), pa.int64()),
        (True, pa.bool_(), pa.float64()),
        (NOON, TIMESTAMP, pa.int64()),
        (NOON, TIMESTAMP, pa.time64("us")),
        (date(2026, 3, 1), pa.date32(), pa.int64()),
        (time(12), pa.time64("us"), pa.int64()),
        (1, pa.int64(), TIMESTAMP),
        (1, pa.int32(), pa.date32()),
        (1, pa.int64(), pa.time64("us")),
    ],
)
def test_a_value_of_another_meaning_does_not_fit(
    value: Any, found: pa.DataType, wanted: pa.DataType
) -> None:
    """Arrow would cast 5 to true, and a timestamp to its microseconds since 1970."""
    with pytest.raises(ColumnTypeMismatch, match="'paid'"):
        cast(value, found, wanted)


@pytest.mark.parametrize(
    ("value", "found", "wanted", "same"),
    [
        (1, pa.int64(), pa.bool_(), True),
        (0.0, pa.float64(), pa.bool_(), False),
        (date(2026, 3, 1), pa.date32(), TIMESTAMP, datetime(2026, 3, 1, tzinfo=UTC)),
        (7, pa.int32(), pa.float64(), 7.0),
        ("2026-03-01", pa.string(), pa.date32(), date(2026, 3, 1)),
    ],
)
def test_a_value_of_the_same_meaning_is_cast(
    value: Any, found: pa.DataType, wanted: pa.DataType, same: Any
) -> None:
    """What is equal in the other type is loaded."""
    assert cast(value, found, wanted) == [None, same]


NARROW = pa.struct([("x", pa.int32())])
WIDE = pa.struct([("y", pa.list_(pa.string())), ("x", pa.int64())])
ONE, BOTH = {"x": 1}, {"y": None, "x": 1}


@pytest.mark.parametrize(
    ("found", "wanted", "value", "same"),
    [
        (pa.large_list(NARROW), pa.list_(WIDE), [ONE, None], [BOTH, None]),
        (pa.list_(NARROW, 2), pa.list_(WIDE), [ONE, None], [BOTH, None]),
        (pa.map_(pa.string(), NARROW), pa.map_(pa.string(), WIDE), [("a", ONE)], [("a", BOTH)]),
        (pa.struct([("v", NARROW)]), pa.struct([("v", WIDE)]), {"v": ONE}, {"v": BOTH}),
    ],
)
def test_nested_values_get_the_fields_that_they_lack(
    found: pa.DataType, wanted: pa.DataType, value: Any, same: Any
) -> None:
    """Nulls stay nulls, in a part of a longer column, too."""
    values = pa.array([value, None, value, None, value], found).slice(1)
    table = conform(pa.table({"v": values}), {"v": wanted}, nested=True)
    assert table.schema.field("v").type == wanted
    assert table["v"].to_pylist() == [None, same, None, same]


def test_nested_fields_of_the_same_name_do_not_fit() -> None:
    twice = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(ColumnTypeMismatch, match="'v'"):
        conform(pa.table({"v": twice}), {"v": WIDE}, nested=True)
