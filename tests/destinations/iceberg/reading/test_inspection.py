"""The reading side of the public face, on tables that loads made."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import dlt
import pyarrow as pa
import pytest
from pyiceberg.io.pyarrow import PyArrowFileIO

from floe_ingestion_defs.destinations import (
    InvalidHint,
    column_bounds,
    count_window_rows,
    files_added_last,
    live_files,
    read_columns,
    summary_count,
)

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

DAYS = [date(2026, 1, n) for n in range(1, 7)]


@pytest.fixture
def days(lake: Lake) -> Lake:
    """A table of two data files: days 1 to 3 and days 4 to 6."""
    for half in (DAYS[:3], DAYS[3:]):
        rows = [{"id": day.day, "day": day, "name": f"day {day.day}"} for day in half]
        lake.load(dlt.resource(rows, name="days"))
    return lake


def test_the_files_of_the_last_load_are_those_of_its_snapshot_alone(days: Lake) -> None:
    """A key check compares what came with what was there, so the two must not mix."""
    table = days.table("days")
    (added,) = files_added_last(table)
    assert len(live_files(table)) == 2
    (batch,) = read_columns(table, [added], ["id"])
    assert batch.to_pydict() == {"id": [4, 5, 6]}


def test_a_table_without_a_snapshot_has_no_files(lake: Lake) -> None:
    """A table that was created and never written to is empty, and not an error."""
    lake.catalog.create_namespace("lake")
    table = lake.catalog.create_table("lake.new", pa.schema([("id", pa.int64())]))
    assert files_added_last(table) == live_files(table) == []
    assert summary_count(table.current_snapshot(), "total-records") is None


def test_columns_are_read_in_the_requested_order_and_in_the_table_s_types(lake: Lake) -> None:
    """A file that was written before its column was widened reads like the others."""
    for kind in (pa.int32(), pa.int64()):
        lake.load(dlt.resource(pa.table({"id": pa.array([1], kind), "v": ["x"]}), name="wide"))
    table = lake.table("wide")
    batches = list(read_columns(table, live_files(table), ["v", "id"]))
    assert {str(batch.schema.field("id").type) for batch in batches} == {"int64"}
    assert all(set(batch.schema.names) == {"v", "id"} for batch in batches)


def test_bounds_are_those_of_one_file(days: Lake) -> None:
    """They answer which file holds the newest row, so no other file's values may be among them."""
    table = days.table("days")
    found = {column_bounds(table, task.file, "id") for task in live_files(table)}
    assert found == {(1, 3), (4, 6)}
    (added,) = files_added_last(table)
    epoch = date(1970, 1, 1)
    assert column_bounds(table, added.file, "day") == tuple(
        (day - epoch).days for day in (DAYS[3], DAYS[5])
    )


def test_a_file_without_statistics_has_no_bounds(days: Lake) -> None:
    """No bounds are guessed: the caller has to read the file."""
    table = days.table("days")
    (added,) = files_added_last(table)
    added.file.lower_bounds.clear()
    assert column_bounds(table, added.file, "id") is None


@pytest.mark.parametrize(
    ("column", "lower", "upper", "rows"),
    [
        ("day", "2026-01-02", "2026-01-05", 3),
        ("day", "2026-01-01", "2026-01-07", 6),
        ("day", "2027-01-01", "2027-01-02", 0),
        ("id", 3, 4, 1),
    ],
)
def test_the_lower_bound_of_a_window_is_counted_and_the_upper_is_not(
    days: Lake, column: str, lower: str | int, upper: str | int, rows: int
) -> None:
    """As everywhere that a window is a range."""
    assert count_window_rows(days.table("days"), column, lower, upper) == rows


def test_a_window_is_counted_from_the_files_that_may_hold_a_row_of_it(
    days: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A partition's count must not cost a scan of the whole table."""
    table = days.table("days")
    opened: list[str] = []
    open_input = PyArrowFileIO.new_input

    def record(io: PyArrowFileIO, location: str) -> object:
        opened.append(location)
        return open_input(io, location)

    monkeypatch.setattr(PyArrowFileIO, "new_input", record)
    assert count_window_rows(table, "day", "2026-01-05", "2026-01-06") == 1
    (added,) = files_added_last(table)
    assert [path for path in opened if path.endswith(".parquet")] == [added.file.file_path]


def test_a_bound_that_is_not_a_value_of_the_column_is_rejected(days: Lake) -> None:
    """The error names the bound and the type; a wrong count would be believed."""
    with pytest.raises(InvalidHint, match="soon"):
        count_window_rows(days.table("days"), "day", "soon", "2026-01-05")


def test_a_summary_gives_the_numbers_that_its_writer_gave(days: Lake) -> None:
    """An absent number is None, which is not 0."""
    snapshot = days.table("days").current_snapshot()
    assert summary_count(snapshot, "total-records") == 6
    assert summary_count(snapshot, "added-data-files") == 1
    assert summary_count(snapshot, "total-beans") is None
    assert isinstance(summary_count(snapshot, "added-files-size"), int)
