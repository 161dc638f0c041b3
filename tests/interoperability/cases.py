"""The tables that every engine reads: what is loaded into each, and the rows that it then has."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
from dlt.destinations.adapters import iceberg_adapter, iceberg_partition

from interoperability.case import FIRST, SECOND, Case, Row, day, load, merge, scd2, version, window
from interoperability.deletes import DELETES

if TYPE_CHECKING:
    from collections.abc import Callable


MERGED = [*FIRST[:5], *SECOND]
DELETED = [{"id": n, "label": "gone", "deleted": True} for n in (2, 3)]
ALIVE = [{**row, "deleted": False} for row in FIRST]
DELETION: Any = {"deleted": {"hard_delete": True, "data_type": "bool"}}


HOURS = [{"at": day(n), "v": 0} for n in range(1, 7)]

WRITE_MODES = {
    "appended": Case("Append", [load(FIRST), load(SECOND)], {"": FIRST + SECOND}),
    "replaced": Case(
        "Replace", [load(FIRST), load(SECOND, write_disposition="replace")], {"": SECOND}
    ),
    "delete_insert": Case(
        "Merge, `delete-insert`",
        [merge(FIRST, "delete-insert"), merge(SECOND, "delete-insert")],
        {"": MERGED},
    ),
    "upserted": Case(
        "Merge, `upsert`", [merge(FIRST, "upsert"), merge(SECOND, "upsert")], {"": MERGED}
    ),
    "insert_only": Case(
        "Merge, `insert-only`",
        [merge(FIRST, "insert-only"), merge(SECOND, "insert-only")],
        {"": FIRST + SECOND[5:]},
    ),
    "scd2": Case(
        "Merge, `scd2`",
        [scd2(1, "Oslo", "Bergen"), scd2(2, "Tromsø", "Bergen")],
        {"": [version(1, "Oslo", 1, 2), version(2, "Bergen", 1), version(1, "Tromsø", 2)]},
    ),
    "hard_deletes": Case(
        "Merge with `hard_delete`",
        [
            merge(ALIVE, "delete-insert", columns=DELETION),
            merge(DELETED, "delete-insert", columns=DELETION),
        ],
        {"": [row for row in ALIVE if row["id"] not in (2, 3)]},
    ),
    "windowed": Case(
        "Window overwrite",
        [load(HOURS), window([{"at": day(3), "v": 1}], day(3), day(5))],
        {"": [*HOURS[:2], {"at": day(3), "v": 1}, *HOURS[4:]]},
    ),
}

NAIVE = datetime(2026, 2, 3, 4, 5, 6, 789012)
BEFORE_1970 = datetime(1969, 12, 31, 23, 59, 58, 1)
EVERY_TYPE: list[Row] = [
    {
        "id": 1,
        "text": "naïve — ☃ 𝄞",
        "double": 1e308,
        "flag": True,
        "at": NAIVE.replace(tzinfo=UTC),
        "local": NAIVE,
        "big": 2**63 - 1,
        "small": -(2**31),
        "blob": b"\x00\xff",
        "money": Decimal("-1234567.89"),
        "medium": Decimal("12345678901234.5678"),
        "wide": Decimal("-12345678901234567890.123456789"),
        "day": date(2026, 2, 28),
        "document": '{"a":1}',
    },
    {
        "id": 2,
        "text": "",
        "double": -0.5,
        "flag": False,
        "at": BEFORE_1970.replace(tzinfo=UTC),
        "local": BEFORE_1970,
        "big": -(2**63),
        "small": 2**31 - 1,
        "blob": b"\x00",
        "money": Decimal("0.01"),
        "medium": Decimal("-0.0001"),
        "wide": Decimal("0.000000001"),
        "day": date(1969, 12, 31),
        "document": '{"ü":"x"}',
    },
]
EVERY_TYPE.append({name: 3 if name == "id" else None for name in EVERY_TYPE[0]})
TYPE_HINTS: Any = {
    "local": {"data_type": "timestamp", "timezone": False},
    "small": {"data_type": "bigint", "precision": 32},
    "money": {"data_type": "decimal", "precision": 9, "scale": 2},
    "medium": {"data_type": "decimal", "precision": 18, "scale": 4},
    "wide": {"data_type": "decimal", "precision": 38, "scale": 9},
    "document": {"data_type": "json"},
}
TIMES = [{"id": 1, "clock": time(0)}, {"id": 2, "clock": time(23, 59, 59, 999999)}]
EXTREMES = [
    {"id": 1, "day": date(1, 1, 1), "at": datetime(9999, 12, 31, tzinfo=UTC), "text": "x" * 70_000},
    {"id": 2, "day": date(9999, 12, 31), "at": datetime(1, 1, 3, tzinfo=UTC), "text": "\U0010ffff"},
]
ARROW = pa.table(
    {
        "id": pa.array([1, 2]),
        "float": pa.array([1.5, None], pa.float32()),
        "special": pa.array([float("inf"), float("nan")]),
        "large": pa.array(["ü", None], pa.large_string()),
        "coded": pa.array(["a", "b"]).dictionary_encode(),
        "byte": pa.array([255, None], pa.uint8()),
        "nano": pa.array([NAIVE, None], pa.timestamp("ns", "UTC")),
        "narrow": pa.array([Decimal("1.25"), None], pa.decimal128(9, 2)),
    }
)
ARROW_ROWS = [
    {**row, "nano": row["nano"] and row["nano"].to_pydatetime().replace(tzinfo=UTC)}
    for row in ARROW.to_pylist()
]

TYPES = {
    "every_type": Case(
        "Every type of dlt except `time`",
        [load(EVERY_TYPE, columns=TYPE_HINTS)],
        {"": EVERY_TYPE},
    ),
    "times": Case("`time`", [load(TIMES)], {"": TIMES}),
    "extremes": Case("Years 1 and 9999, long strings", [load(EXTREMES)], {"": EXTREMES}),
    "arrow_types": Case("Arrow's types", [load([ARROW])], {"": ARROW_ROWS}),
}

NOTED: list[dict[str, Any]] = [
    {"id": 20, "label": "x", "note": "added"},
    {"id": 21, "label": None, "note": None},
]


def sized(kind: pa.DataType, share: pa.DataType, amount: pa.DataType, first: int) -> pa.Table:
    return pa.table(
        {
            "id": pa.array([first, first + 1]),
            "count": pa.array([first, None], kind),
            "share": pa.array([first / 2, None], share),
            "amount": pa.array([Decimal(first), None], amount),
        }
    )


NARROW = sized(pa.int32(), pa.float32(), pa.decimal128(9, 2), 1)
WIDE = sized(pa.int64(), pa.float64(), pa.decimal128(12, 2), 2**31)

EVOLUTION = {
    "column_added": Case(
        "Column added",
        [load(FIRST), load(NOTED)],
        {"": [*({**row, "note": None} for row in FIRST), *NOTED]},
    ),
    "type_widened": Case(
        "Types widened",
        [load([NARROW]), load([WIDE])],
        {"": NARROW.to_pylist() + WIDE.to_pylist()},
    ),
}

EVENTS: list[Row] = [
    {
        "id": n,
        "text": f"{'abc'[n % 3]}-éé-{n}",
        "at": NAIVE.replace(year=1968 + n % 4, month=1 + n % 12, hour=n % 24, tzinfo=UTC),
        "on_day": date(1969 + n % 3, 12 - n % 5, 1 + n),
    }
    for n in range(24)
]
EVENTS.append({"id": 24, "text": None, "at": None, "on_day": None})


def partitioned(*by: Any) -> list[Callable[[str], Any]]:
    def part(rows: list[Row]) -> Callable[[str], Any]:
        return lambda table: iceberg_adapter(dlt.resource(rows, name=table), partition=list(by))

    return [part(EVENTS[:12]), part(EVENTS[12:])]


PARTITIONS = {
    f"by_{name}": Case(f"Partitioned by {feature}", partitioned(*by), {"": EVENTS})
    for name, feature, by in [
        ("identity", "`identity`", [iceberg_partition.identity("text")]),
        ("day_value", "`identity` of a date", [iceberg_partition.identity("on_day")]),
        ("year", "`year`", [iceberg_partition.year("at")]),
        ("month", "`month`", [iceberg_partition.month("on_day")]),
        ("day", "`day`", [iceberg_partition.day("at")]),
        ("hour", "`hour`", [iceberg_partition.hour("at")]),
        ("bucket", "`bucket`", [iceberg_partition.bucket(4, "text")]),
        ("truncate", "`truncate`", [iceberg_partition.truncate(3, "text")]),
        ("several", "several", [iceberg_partition.year("at"), iceberg_partition.bucket(2, "id")]),
    ]
}


def basket(number: int, *skus: str) -> Row:
    items = [{"sku": sku, "tags": [f"{sku}-{n}" for n in range(2)]} for sku in skus]
    return {"id": number, "items": items}


BASKETS = [basket(1, "a", "b"), basket(2), basket(3, "c")]
LATER = [basket(3, "d", "e"), basket(4, "f")]
SKUS = [(index, sku) for skus in ("ab", "de", "f") for index, sku in enumerate(skus)]


def nested(kind: pa.DataType, *values: Any) -> pa.Table:
    return pa.table({"id": range(len(values)), "v": pa.array(values, kind)})


POINT = pa.struct([("x", pa.int64()), ("at", pa.struct([("c", pa.string())]))])
NESTED_COLUMNS = {
    "lists": ("Lists of Arrow", nested(pa.list_(pa.int64()), [1, 2], [], None, [None])),
    "structs": ("Structs", nested(POINT, {"x": 1, "at": {"c": "y"}}, {"x": None, "at": None})),
    "structs_in_lists": (
        "Lists of structs",
        nested(pa.list_(POINT), [{"x": 1, "at": {"c": None}}], [], None),
    ),
    "maps": ("Maps", nested(pa.map_(pa.string(), pa.int64()), [("a", 1), ("b", None)], [], None)),
}
NARROW = pa.struct([("x", pa.int32()), ("at", pa.struct([("c", pa.string())]))])
WIDE = pa.struct([("at", pa.struct([("d", pa.list_(pa.string()))])), ("x", pa.int64())])

NESTED = {
    "baskets": Case(
        "Nested tables",
        [merge(BASKETS, "delete-insert"), merge(LATER, "delete-insert")],
        {
            "": [{"id": n} for n in range(1, 5)],
            "items": [{"_dlt_list_idx": index, "sku": sku} for index, sku in SKUS],
            "items__tags": [
                {"_dlt_list_idx": n, "value": f"{sku}-{n}"} for _, sku in SKUS for n in range(2)
            ],
        },
    ),
    "structs_extended": Case(
        "Structs with a field more and a wider one",
        [
            load([nested(NARROW, {"x": 1, "at": {"c": "y"}})]),
            load([nested(WIDE, {"x": 2**40, "at": {"d": ["z"]}})]),
        ],
        {
            "": [
                {"id": 0, "v": {"x": 1, "at": {"c": "y", "d": None}}},
                {"id": 0, "v": {"x": 2**40, "at": {"c": None, "d": ["z"]}}},
            ]
        },
    ),
    **{
        name: Case(
            feature,
            [load([rows]), load([rows])],
            {"": rows.to_pylist() * 2},
            maps=frozenset({"v"} if name == "maps" else ()),
        )
        for name, (feature, rows) in NESTED_COLUMNS.items()
    },
}

CASES: dict[str, Case] = {
    **WRITE_MODES,
    **TYPES,
    **EVOLUTION,
    **PARTITIONS,
    **NESTED,
    **DELETES,
}

# A branch's clone of a table, to which the branch appended.
CLONED = "appended"
CLONE = Case("Table of a branch", [load(SECOND)], {"": FIRST + SECOND + SECOND})
