"""Tables whose data files have delete files, of merges and of another engine."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from dlt.destinations.adapters import iceberg_adapter, iceberg_partition

from interoperability.case import (
    FIRST,
    SECOND,
    Case,
    Row,
    day,
    load,
    merge,
    numbered,
    scd2,
    version,
    window,
)

if TYPE_CHECKING:
    from collections.abc import Callable

_MERGE_ON_READ = (
    "ALTER TABLE {} SET TBLPROPERTIES ('write.delete.mode' = 'merge-on-read'%s)",
    "DELETE FROM {} WHERE id % 3 = 0",
)
KEPT = [row for row in FIRST if row["id"] % 3]
DELETE_IN_PLACE = (_MERGE_ON_READ[0] % "", _MERGE_ON_READ[1])


def on_read(loading: Callable[[str], Any], partition: Any = None) -> Callable[[str], Any]:
    """Return a load that deletes rows by position."""
    properties = {"write.merge.mode": "merge-on-read"}
    return lambda table: iceberg_adapter(
        loading(table), partition=partition, table_properties=properties
    )


def deleted_in_place(rows: list[Row], partition: Any = None) -> Callable[[str], Any]:
    return on_read(merge(rows, "upsert"), partition)


MANY = numbered(*range(40))
CHANGED = [numbered(1, 5, 39, label="second"), numbered(5, 6, 40, label="third")]
REMAINING = [row for row in MANY if row["id"] not in (1, 5, 6, 39)]
TWICE = [*REMAINING, *(row for row in CHANGED[0] if row["id"] != 5), *CHANGED[1]]


def noted(rows: list[Row], note: str | None = "added") -> list[Row]:
    return [{**row, "note": note} for row in rows]


def dated(rows: list[Row]) -> list[Row]:
    """Return rows with a day, which another label changes."""
    return [{**row, "on_day": date(2026, 1, 1 + len(row["label"]) % 3)} for row in rows]


BY_DAY = [iceberg_partition.identity("on_day")]
MERGED_BY_DAY = [deleted_in_place(dated(rows), BY_DAY) for rows in (MANY, *CHANGED)]
TEN_DAYS = [{"at": day(n), "v": 0} for n in range(1, 11)]


VERSIONS = [
    version(1, "Oslo", 1, 2),
    version(1, "Tromsø", 2),
    *(version(n, city, 1) for n, city in enumerate(("Bergen", "Bodø", "Voss"), start=2)),
]

_SHARED_DELETES = (
    _MERGE_ON_READ[0] % ", 'write.delete.granularity' = 'partition'",
    "DELETE FROM {} WHERE id IN (0, 1, 2, 3)",
)

DELETES = {
    "merged_on_read": Case(
        "Merge on read, twice",
        [deleted_in_place(rows) for rows in (MANY, *CHANGED)],
        {"": TWICE},
    ),
    "merged_by_day": Case("Merge on read in partitions", MERGED_BY_DAY, {"": dated(TWICE)}),
    "merged_and_compacted": Case(
        "Merge on read in partitions, then a compaction",
        MERGED_BY_DAY,
        {"": dated(TWICE)},
        compacts=True,
    ),
    "merged_and_evolved": Case(
        "Merge on read, with a column more",
        [deleted_in_place(rows) for rows in (MANY, CHANGED[0], noted(CHANGED[1]))],
        {"": noted(TWICE[:-3], None) + noted(TWICE[-3:])},
    ),
    "merged_and_repartitioned": Case(
        "Merge on read, before and after the partition spec changed",
        [deleted_in_place(rows) for rows in (MANY, CHANGED[0])],
        {"": TWICE},
        spark=("ALTER TABLE {} ADD PARTITION FIELD bucket(2, id)",),
        last_load=deleted_in_place(CHANGED[1]),
    ),
    "retired_on_read": Case(
        "Merge on read, `scd2`",
        [
            on_read(scd2(1, "Oslo", "Bergen", "Bodø", "Voss")),
            on_read(scd2(2, "Tromsø", "Bergen", "Bodø", "Voss")),
        ],
        {"": VERSIONS},
    ),
    "windowed_on_read": Case(
        "Window overwrite on read",
        [load(TEN_DAYS), on_read(window([{"at": day(3), "v": 1}], day(3), day(5)))],
        {"": [*TEN_DAYS[:2], {"at": day(3), "v": 1}, *TEN_DAYS[4:]]},
    ),
    "shared_deletes_merged": Case(
        "Position deletes of several files by Spark, then a merge on read",
        [deleted_in_place(MANY[:20]), deleted_in_place(MANY[20:])],
        {"": [*(row for row in TWICE if row["id"] > 3)]},
        spark=_SHARED_DELETES,
        last_load=deleted_in_place([*(row for row in TWICE if row["id"] in (5, 6, 39, 40))]),
    ),
    "position_deletes": Case(
        "Position deletes by Spark", [load(FIRST)], {"": KEPT}, spark=DELETE_IN_PLACE
    ),
    "position_deletes_merged": Case(
        "Position deletes by Spark, then a merge",
        [merge(FIRST, "upsert")],
        {"": [*(row for row in KEPT if row["id"] < 5), *SECOND]},
        spark=DELETE_IN_PLACE,
        last_load=merge(SECOND, "upsert"),
    ),
    "deletion_vectors": Case(
        "Deletion vectors by Spark (format 3)",
        [load(FIRST)],
        {"": KEPT},
        spark=(_MERGE_ON_READ[0] % ", 'format-version' = '3'", _MERGE_ON_READ[1]),
    ),
}
