"""Window overwrite: a load replaces exactly a range of one column, as often as it is run."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.extract import DltSource

from floe_ingestion_defs.destinations import iceberg_window
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed, InvalidHint

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake, Row


def hours(rows: list[Row], **hints: Any) -> Any:
    return dlt.resource(rows, name="hours", **hints)


def window_of(rows: list[Row], lower: Any, upper: Any, **hints: Any) -> Any:
    return iceberg_window(hours(rows, **hints), "at", lower, upper)


KINDS: dict[str, Any] = {
    "integers": lambda n: n,
    "doubles": lambda n: n / 2,
    "dates": lambda n: date(2026, 1, n),
    "timestamps with a time zone": lambda n: datetime(2026, 1, n, tzinfo=UTC),
    "text": lambda n: f"{n:03}",
    "decimals": lambda n: Decimal(n) / 10,
}


@pytest.mark.parametrize("kind", KINDS)
def test_exactly_the_window_is_replaced(lake: Lake, kind: str) -> None:
    """The lower bound is inside and the upper is not, regardless of the column's type."""
    at = KINDS[kind]
    lake.load(hours([{"at": at(n), "v": 0} for n in range(1, 7)]))
    lake.load(window_of([{"at": at(3), "v": 1}, {"at": at(3), "v": 2}], at(3), at(5)))
    assert sorted((r["at"], r["v"]) for r in lake.rows("hours")) == [
        (at(1), 0), (at(2), 0), (at(3), 1), (at(3), 2), (at(5), 0), (at(6), 0)
    ]  # fmt: skip
    assert lake.snapshots("hours") == 2


def test_timestamps_without_a_time_zone_are_compared_as_they_are(lake: Lake) -> None:
    """A column without a time zone is compared as it is."""
    columns: Any = {"at": {"data_type": "timestamp", "timezone": False}}
    moments = [datetime(2026, 1, n) for n in range(1, 5)]
    lake.load(hours([{"at": m, "v": 0} for m in moments], columns=columns))
    lake.load(window_of([], moments[1], moments[3], columns=columns))
    assert lake.values("hours", "at") == [moments[0], moments[3]]


def test_a_bound_may_have_another_time_zone_or_none(lake: Lake) -> None:
    """A bound is a point in time: 02:00+02:00 is midnight UTC, as is 00:00 without a time zone."""
    moments = [datetime(2026, 1, 1, n, tzinfo=UTC) for n in range(4)]
    lake.load(hours([{"at": m} for m in moments]))
    lower = datetime(2026, 1, 1, 3, tzinfo=timezone(timedelta(hours=2)))
    lake.load(window_of([], lower, datetime(2026, 1, 1, 3)))
    assert lake.values("hours", "at") == [moments[0], moments[3]]


@pytest.mark.also_on_rest
def test_a_backfill_may_be_run_again(lake: Lake) -> None:
    """The same window gives the same rows; with fewer rows the others are gone."""
    lake.load(hours([{"at": n, "v": 0} for n in range(10)]))
    for _ in range(2):
        lake.load(window_of([{"at": n, "v": 1} for n in range(3, 6)], 3, 6))
    assert len(lake.rows("hours")) == 10
    lake.load(window_of([{"at": 4, "v": 2}], 3, 6))
    assert [r["at"] for r in lake.rows("hours")] == [0, 1, 2, 4, 6, 7, 8, 9]


@pytest.mark.also_on_rest(all_cases=True)
@pytest.mark.parametrize("shape", ["a list", "a generator", "arrow"])
def test_an_empty_window_is_emptied(lake: Lake, shape: str) -> None:
    """A source that finds nothing in the window leaves nothing there, in one snapshot."""

    @dlt.resource(name="hours")
    def nothing() -> Any:
        if shape == "arrow":
            yield pa.table({"at": pa.array([], pa.int64())})

    lake.load(hours([{"at": n} for n in range(5)]))
    empty = hours([]) if shape == "a list" else nothing()
    lake.load(iceberg_window(empty, "at", 1, 4))
    assert lake.values("hours", "at") == [0, 4]
    assert lake.snapshots("hours") == 2


def test_a_window_of_a_new_table_is_loaded(lake: Lake) -> None:
    """The first load may be a window."""
    lake.load(window_of([{"at": 1}], 0, 5))
    assert lake.values("hours", "at") == [1]


def test_an_empty_window_of_a_new_table_is_loaded(lake: Lake) -> None:
    """A backfill may begin where the source has nothing yet."""
    lake.load(window_of([], 0, 5))
    lake.load(window_of([{"at": 1}], 0, 5))
    assert lake.values("hours", "at") == [1]


@pytest.mark.parametrize("outside", [-1, 5, None])
def test_a_row_outside_the_window_is_rejected(lake: Lake, outside: int | None) -> None:
    """The next overwrite of its window would not find it, so nothing is published."""
    lake.load(hours([{"at": n} for n in range(10)]))
    error = lake.rejected(window_of([{"at": 1}, {"at": outside}], 0, 5))
    assert isinstance(error, AuditFailed)
    assert (error.findings[0].table, error.findings[0].column) == ("lake.hours", "at")
    assert lake.values("hours", "at") == list(range(10))


@pytest.mark.also_on_rest
def test_nested_rows_are_replaced_with_their_roots(lake: Lake) -> None:
    """No nested row is left without its root, two levels deep, or doubled."""

    def source(rows: list[Row], lower: int, upper: int) -> Any:
        resource = iceberg_window(hours(rows), "at", lower, upper)
        return DltSource(dlt.Schema("clock"), "clocks", [resource])

    rows = [{"at": n, "a": [{"n": n, "b": [f"{n}x", f"{n}y"]}]} for n in range(5)]
    for lower, upper in ((0, 5), (1, 4)):
        clock = source(rows[lower : upper - (lower > 0)], lower, upper)
        clock.root_key = True
        lake.load(clock)
    assert lake.values("hours", "at") == [0, 1, 2, 4]
    assert lake.values("hours__a", "n") == [0, 1, 2, 4]
    assert lake.values("hours__a__b", "value") == ["0x", "0y", "1x", "1y", "2x", "2y", "4x", "4y"]
    clock = source([], 0, 9)
    clock.root_key = True
    lake.load(clock)
    for table in ("hours", "hours__a", "hours__a__b"):
        assert lake.rows(table) == []


def test_rows_nested_deeper_need_a_root_key(lake: Lake) -> None:
    """Without it nothing leads from them to the window, so the load is rejected."""
    error = lake.rejected(window_of([{"at": 1, "a": [{"b": [1]}]}], 0, 5))
    assert isinstance(error, InvalidHint)
    assert "root_key=True" in str(error)


def test_a_window_applies_to_one_load_only(lake: Lake) -> None:
    """A plain append afterwards appends, also in the same working directory."""
    pipeline = lake.pipeline()
    pipeline.run(window_of([{"at": 1}], 0, 5))
    pipeline.run(hours([{"at": 1}]))
    assert lake.values("hours", "at") == [1, 1]
    lake.load(hours([{"at": 1}]))
    assert lake.values("hours", "at") == [1, 1, 1]


def test_windows_make_no_new_version_of_the_schema(lake: Lake) -> None:
    """A thousand partitions of a backfill leave one schema."""
    for n in range(3):
        lake.load(window_of([{"at": n}], n, n + 1))
    assert len(lake.rows("_dlt_version")) == 1


def test_only_files_in_the_window_are_rewritten(lake: Lake) -> None:
    """Files whose statistics are outside the window stay as they are."""
    for n in range(4):
        lake.load(hours([{"at": n * 10 + i} for i in range(10)]))
    before = {t.file.file_path for t in lake.table("hours").scan().plan_files()}
    lake.load(window_of([{"at": 15}], 10, 20))
    after = {t.file.file_path for t in lake.table("hours").scan().plan_files()}
    assert len(before - after) == 1
    assert len(after - before) == 1


def test_the_column_is_named_as_in_the_source(lake: Lake) -> None:
    """dlt's naming applies to the window's column too."""
    lake.load([{"Event Time": n} for n in range(4)], table_name="hours")
    lake.load(iceberg_window(hours([{"Event Time": 1}]), "Event Time", 1, 3))
    assert lake.values("hours", "event_time") == [0, 1, 3]


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        (5, 5),
        (Decimal(10), Decimal(9)),
        ("2026-03-02", "2026-03-01"),
        ("2026-03-01T00:00:00Z", "2026-03-01T01:00:00+02:00"),
    ],
)
def test_a_window_without_any_value_is_rejected_at_once(lower: Any, upper: Any) -> None:
    """Most likely its bounds are mixed up."""
    with pytest.raises(ValueError, match="is empty"):
        iceberg_window(hours([]), "at", lower, upper)


def test_the_bounds_of_a_window_are_compared_as_values() -> None:
    """As the strings that are persisted, 9 would come after 10."""
    assert iceberg_window(hours([]), "at", Decimal(9), Decimal(10))


def test_a_window_requires_append(lake: Lake) -> None:
    """What a replaced or merged window would mean is not obvious, so it is rejected."""
    error = lake.rejected(window_of([{"at": 1}], 0, 5, write_disposition="replace"))
    assert isinstance(error, InvalidHint)
    assert "append" in str(error)


def test_a_window_of_an_unknown_column_is_rejected(lake: Lake) -> None:
    """The error names the columns that there are."""
    error = lake.rejected(iceberg_window(hours([{"at": 1}]), "when", 0, 5))
    assert isinstance(error, InvalidHint)
    assert "`when`" in str(error)
    assert "at" in str(error)


def test_a_bound_of_another_type_is_rejected(lake: Lake) -> None:
    """The error names the bound and the column's type."""
    error = lake.rejected(window_of([{"at": 1}], "last week", "today"))
    assert isinstance(error, InvalidHint)
    assert "'last week'" in str(error)


def test_a_window_applies_to_all_tables_of_its_resource(lake: Lake) -> None:
    """A resource that names a table for each row may have none for one of them this time."""

    def load(rows: list[Row]) -> None:
        kinds = dlt.resource(rows, name="kinds", table_name=lambda row: row["kind"])
        lake.load(iceberg_window(kinds, "at", 0, 10))

    load([{"kind": "a", "at": 1}, {"kind": "b", "at": 2}])
    load([{"kind": "a", "at": 3}])
    assert lake.values("a", "at") == [3]
    assert lake.rows("b") == []
