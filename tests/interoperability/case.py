"""What a table of the matrix is, and the loads that most of them are made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dlt

from floe_ingestion_defs.destinations import iceberg_window

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Row = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A table.

    Attributes:
        feature: What it shows, as docs/destination/interoperability.md names it.
        loads: Make the resources that are loaded one after another.
        rows: The rows that the table has in the end, per nested table as well; "" is the root.
        spark: Statements of Spark's that follow the loads; `{}` is the table.
        last_load: Is loaded after those.
        compacts: Whether the table is compacted at last.
        maps: The columns that are maps, which engines show in several forms.
    """

    feature: str
    loads: Sequence[Callable[[str], Any]]
    rows: Mapping[str, list[Row]]
    spark: tuple[str, ...] = ()
    last_load: Callable[[str], Any] | None = None
    maps: frozenset[str] = field(default=frozenset())
    compacts: bool = False


def load(rows: Any, **hints: Any) -> Callable[[str], Any]:
    return lambda table: dlt.resource(rows, name=table, **hints)


def merge(rows: list[Row], strategy: str, **hints: Any) -> Callable[[str], Any]:
    disposition = {"disposition": "merge", "strategy": strategy}
    return load(rows, primary_key="id", write_disposition=disposition, **hints)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def version(number: int, city: str, since: int, until: int | None = None) -> Row:
    end = None if until is None else day(until)
    return {"id": number, "city": city, "since": day(since), "until": end}


def scd2(number: int, *cities: str) -> Callable[[str], Any]:
    disposition: Any = {
        "disposition": "merge",
        "strategy": "scd2",
        "validity_column_names": ["since", "until"],
        "boundary_timestamp": day(number).isoformat(),
    }
    rows = [{"id": n, "city": city} for n, city in enumerate(cities, start=1)]
    return load(rows, write_disposition=disposition)


def window(rows: list[Row], lower: datetime, upper: datetime) -> Callable[[str], Any]:
    return lambda table: iceberg_window(dlt.resource(rows, name=table), "at", lower, upper)


def numbered(*numbers: int, label: str = "first") -> list[Row]:
    return [{"id": n, "label": f"{label} {n}"} for n in numbers]


FIRST, SECOND = numbered(*range(10)), numbered(*range(5, 13), label="second")
