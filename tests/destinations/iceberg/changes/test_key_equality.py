"""Which keys are equal: the table in `docs/destination/plain-dlt.md`, as in dlt's SQL ones."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake, SqlLake

pytestmark = pytest.mark.slow

LONG = "x" * 5000
NFC, NFD = "\u00e9", "e\u0301"
LAST = "\U0010ffff"
KEYS: dict[str, tuple[pa.DataType, list[Any], list[Any]]] = {
    "zero": (pa.float64(), [0.0, 1.0], [-0.0]),
    "negative zero": (pa.float64(), [-0.0, 1.0], [0.0]),
    "nan": (pa.float64(), [math.nan, 1.0], [math.nan]),
    "zeros in one load": (pa.float64(), [1.0], [0.0, -0.0, math.nan, math.nan]),
    "float": (pa.float32(), [-0.0, 1.5], [0.0, 1.5]),
    "long strings": (pa.string(), [LONG + "a", LONG + "c"], [LONG + "a", LONG + "b"]),
    "last code points": (pa.string(), [LAST * 20, LAST * 20 + "a"], [LAST * 20 + "a", "\ud7ff"]),
    "surrogates": (pa.string(), ["\ue000", LAST], ["\U00010000", LAST]),
    "unicode forms": (pa.string(), [NFC, "a", "A", "a "], [NFD, "A"]),
    "binary": (pa.binary(), [b"\xff" * 40, b"", b"\x00"], [b"\xff" * 40, b"\x00\x00", b""]),
    "decimal": (pa.decimal128(20, 5), [Decimal("1.50000"), Decimal(2)], [Decimal("1.5")]),
}
STRATEGIES = ["delete-insert", "upsert", "insert-only"]


@pytest.mark.parametrize("composite", [False, True])
@pytest.mark.parametrize("kind", list(KEYS))
def test_keys_are_equal_where_sql_says_so(
    lake: Lake, sql_lake: SqlLake, kind: str, composite: bool
) -> None:
    column_type, present, incoming = KEYS[kind]
    key = ["k", "j"] if composite else ["k"]
    for number, values in enumerate((present, incoming)):
        rows = pa.table(
            {
                "k": pa.array(values, column_type),
                "j": pa.array([1] * len(values)),
                "n": pa.array([number] * len(values)),
            }
        )
        for each in (lake, sql_lake):
            each.load(rows, table_name="t", primary_key=key, write_disposition="merge")
    assert found(lake) == found(sql_lake)


def found(lake: Lake) -> list[str]:
    return sorted(f"{row['k']!r} {row['n']}".replace("-0.0", "0.0") for row in lake.rows("t"))
