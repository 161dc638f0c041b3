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
