"""Random merges by keys of any type, in partitions of any kind, leave the same rows as SQL."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter, iceberg_partition

from floe_ingestion_defs.destinations import row_count
from floe_ingestion_defs.destinations.impl.iceberg.changes import merge_mode

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake, Row, SqlLake

pytestmark = pytest.mark.slow

# In one, rows of partitions of NaN and of infinite numbers are deleted by position.
SEEDS = [35, *(pytest.param(seed, marks=pytest.mark.all_cases) for seed in range(100, 120))]

LAST = "\U0010ffff"
TIMES = [
    datetime(1900, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1970, 1, 1),
    datetime(2024, 2, 29, 1),
    datetime(2024, 2, 29, 1, 0, 0, 1),
]
FLOATS = [0.0, -0.0, math.nan, math.inf, -math.inf, 1.5]
NUMBERS, DATES = ["bucket", "truncate"], ["bucket", "year", "month", "day"]
# Per type its values, which differ where a file's bounds are truncated, and the partitions by them.
KINDS: dict[str, tuple[pa.DataType, list[Any], list[str]]] = {
    "long": (pa.int64(), [-(2**63), -1000, -1, 0, 1, 2**63 - 1], NUMBERS),
    "int": (pa.int32(), [-(2**31), -1, 0, 1, 5, 2**31 - 1], NUMBERS),
    "text": (
        pa.string(),
        ["", "é", "𝄞" * 20, "𝄞" * 20 + "a", LAST * 17, LAST * 18, "a\x00b", "\ud7ff" * 17],
        NUMBERS,
    ),
    "double": (pa.float64(), [*FLOATS, -1e300, 5e-324], []),
    "float": (pa.float32(), FLOATS, []),
    "decimal": (
        pa.decimal128(38, 9),
        [Decimal("-0.000000001"), Decimal("12345678901234567890123456789.1"), Decimal("1.5")],
        NUMBERS,
    ),
    "money": (pa.decimal128(9, 2), [Decimal("-0.01"), Decimal(0), Decimal("-99999.99")], NUMBERS),
    "date": (pa.date32(), [date(1, 1, 1), date(1969, 12, 31), date(9999, 12, 31)], DATES),
    "local time": (pa.timestamp("us"), TIMES, [*DATES, "hour"]),
    "time": (pa.timestamp("us", "UTC"), [t.replace(tzinfo=UTC) for t in TIMES], [*DATES, "hour"]),
    "binary": (pa.binary(), [b"", b"\x00", b"\xff" * 17, b"\xff" * 18, b"a" * 20], NUMBERS),
    "flag": (pa.bool_(), [True, False], []),
}


@dataclass(frozen=True)
class Loads:
    """Merges into one table, by the columns `k` and `o`, whose types the seed chooses."""

    hints: Row
    partition: list[Any]
    tables: list[pa.Table]
    mode: str
    most_deleted: float

    def resources(self) -> list[Any]:
        made = [dlt.resource([rows], name="t", **self.hints) for rows in self.tables]
        if self.partition:
            made = [iceberg_adapter(resource, partition=self.partition) for resource in made]
        return made


def partition(choose: random.Random, column: str, transforms: list[str]) -> Any:
    name = choose.choice(["identity", *transforms])
    numbers = {"bucket": [3], "truncate": [4]}.get(name, [])
    return getattr(iceberg_partition, name)(*numbers, column)


def drawn(seed: int) -> Loads:
    choose = random.Random(seed)
    kinds = {column: KINDS[choose.choice(sorted(KINDS))] for column in ("k", "o")}
    strategy = choose.choice(["delete-insert", "delete-insert", "upsert", "insert-only"])
    key = choose.choice([["k"], ["k", "o"]])
    hints: Row = {"write_disposition": {"disposition": "merge", "strategy": strategy}}
    columns: dict[str, Row] = {choose.choice(["k", "o", "v"]): {"sort": choose.random() < 0.3}}
    is_unique = strategy != "delete-insert" or choose.random() < 0.6
    hints["primary_key" if is_unique else "merge_key"] = key
    flagged = strategy == "delete-insert" and choose.random() < 0.5
    if flagged:
        columns["gone"] = {"hard_delete": True, "data_type": "bool"}
    tables = []
    for load in range(4):
        rows: dict[Any, Row] = {}
        for n in range(choose.randrange(4, 14)):
            row: Row = {c: choose.choice(values) for c, (_, values, _) in kinds.items()}
            row |= {"v": 100 * load + n, "gone": flagged and n > 0 and choose.random() < 0.3}
            row |= {"late": f"l{n}" if load and n % 3 else None}
            same = tuple(str(0.0 if row[c] == 0 else row[c]) for c in key)
            rows[same if is_unique else n] = row
        fields = [(column, type_) for column, (type_, _, _) in kinds.items()]
        fields += [("v", pa.int64()), *([("gone", pa.bool_())] if flagged else [])]
        fields += [("late", pa.string())] if load else []
        tables.append(pa.Table.from_pylist(list(rows.values()), pa.schema(fields)))
    return Loads(
        {**hints, "columns": columns},
        [partition(choose, c, kinds[c][2]) for c in kinds if choose.random() < 0.5],
        tables,
        choose.choice(merge_mode.MERGE_MODES),
        choose.choice([0.3, 1.0]),
    )


def rows_of(lake: Lake) -> list[str]:
    def plain(value: Any) -> str:
        if isinstance(value, datetime) and value.tzinfo:
            value = value.astimezone(UTC)
        return str(value.normalize() if isinstance(value, Decimal) else value).replace(
            "-0.0", "0.0"
        )

    return sorted(
        str({c: plain(v) for c, v in sorted(row.items()) if v is not None and c[:5] != "_dlt_"})
        for row in lake.arrow("t").to_pylist()
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_random_merges_by_any_key_leave_the_same_rows_as_sql(
    seed: int, lake: Lake, sql_lake: SqlLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each mode, with at most one delete file per data file, and totals that are right."""
    loads = drawn(seed)
    monkeypatch.setattr(merge_mode, "SMALL_FILE_BYTES", 0)
    monkeypatch.setattr(merge_mode, "MOST_DELETED", loads.most_deleted)
    for ours, theirs in zip(loads.resources(), loads.resources(), strict=True):
        lake.load(ours, options={"merge_mode": loads.mode})
        sql_lake.load(theirs)
        rows = rows_of(lake)
        assert rows == rows_of(sql_lake)
        assert row_count(lake.table("t").current_snapshot()) == len(rows)
        assert all(len(task.delete_files) <= 1 for task in lake.table("t").scan().plan_files())
