"""A run continues from the last committed load, regardless of failed loads in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    IngestionError,
    LoadResult,
    PipelineConfigurationError,
)

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]


def test_a_failed_run_leaves_the_cursor_where_it_was(
    shop: Source, load: Load, database: Any, rows: Rows
) -> None:
    load(shop)
    database.run("INSERT INTO orders (id, updated_at) VALUES (3, '2024-05-01 00:00:00.000000')")
    # A second resource that fails takes the whole load with it.
    both = {
        **shop,
        "source_config": {"table_names": ["orders", "absent"]},
        "resources": {"absent": {"cursor_field": "x"}},
    }
    with pytest.raises(IngestionError):
        load(both)
    assert load(shop).rows_loaded == 1
    assert sorted(row["id"] for row in rows("bronze.shop_orders")) == [1, 2, 3]


def test_a_new_working_directory_continues_from_the_cursor(
    files: Source, landing: Path, load: Load, tmp_path: Path
) -> None:
    (landing / "a.csv").write_text("id\n1\n")
    load(files)
    leftovers = [path for path in tmp_path.iterdir() if path.name not in ("landing", "floe")]
    assert leftovers == []
    assert load(files).rows_loaded == 0


def test_resources_of_one_source_have_cursors_of_their_own(
    shop: Source, load: Load, database: Any
) -> None:
    database.run("CREATE TABLE refunds (id INTEGER PRIMARY KEY, updated_at DATETIME NOT NULL)")
    database.run("INSERT INTO refunds VALUES (1, '2020-01-01 00:00:00.000000')")
    both = {**shop, "source_config": {"table_names": ["orders", "refunds"]}}
    assert load(both, resources=["orders"]).rows_loaded == 2
    assert load(both, resources=["refunds"]).rows_loaded == 1
    assert load(both).rows_loaded == 0


@pytest.mark.parametrize("backend", ["pyarrow", "sqlalchemy"])
def test_rows_without_a_cursor_fail_or_are_included_or_excluded(
    shop: Source, load: Load, database: Any, rows: Rows, backend: str
) -> None:
    database.run("CREATE TABLE visits (id INTEGER PRIMARY KEY, updated_at DATETIME)")
    database.run("INSERT INTO visits VALUES (1, '2020-01-01 00:00:00.000000'), (2, NULL)")
    visits = {**shop, "source_config": {"table_names": ["visits"], "backend": backend}}
    with pytest.raises(IngestionError, match="on_cursor_value_missing"):
        load(visits)
    load({**visits, "on_cursor_value_missing": "exclude"})
    assert [row["id"] for row in rows("bronze.shop_visits")] == [1]
    for _ in range(2):
        load({**visits, "on_cursor_value_missing": "include"})
        assert [row["id"] for row in rows("bronze.shop_visits")] == [1, 2]


def test_a_missing_cursor_column_fails_by_its_name(
    files: Source, landing: Path, load: Load, tables: Callable[[], set[str]]
) -> None:
    (landing / "a.csv").write_text("id\n1\n")
    with pytest.raises(IngestionError, match="updated_at"):
        load({**files, "cursor_field": "updated_at"})
    assert tables() == set()


@pytest.fixture
def run() -> Callable[..., LoadResult]:
    """Loads a source, with what is asked of one load."""

    def run(source: Source, **request: Any) -> LoadResult:
        plugin = DltIngestionPlugin({"sources": [source], "retry_config": {"max_retries": 0}})
        return plugin.load(plugin.create_pipeline(plugin.source(source["name"])), **request)

    return run


@pytest.fixture(params=["filesystem", "sql_database", "rest_api"])
def days(
    request: pytest.FixtureRequest,
    files: Source,
    shop: Source,
    items: Source,
    landing: Path,
    database: Any,
    api: Any,
) -> tuple[Source, Callable[[list[int]], None]]:
    """A source of one row a day, appended, and what makes it have the rows of given days."""
    common = {
        "name": "days",
        "write_mode": "append",
        "cursor_field": "at",
        "destination_table": "bronze.days",
        "primary_key": "id",
        "columns": {"at": "timestamp"},
        "initial_value": "2024-01-01T00:00:00Z",
    }
    if request.param == "filesystem":

        def set_files(numbers: list[int]) -> None:
            lines = [f"{number},2024-01-{number:02}T12:00:00Z\n" for number in numbers]
            (landing / "days.csv").write_text("id,at\n" + "".join(lines))

        return {**files, **common}, set_files
    if request.param == "sql_database":
        database.run("CREATE TABLE days (id INTEGER PRIMARY KEY, at DATETIME NOT NULL)")

        def set_table(numbers: list[int]) -> None:
            database.run("DELETE FROM days")
            database.run(
                "INSERT INTO days VALUES (?, ?)",
                [(number, f"2024-01-{number:02} 12:00:00.000000") for number in numbers],
            )

        common["columns"] = {}
        return {**shop, **common, "source_config": {"table_names": ["days"]}}, set_table

    def set_api(numbers: list[int]) -> None:
        api.rows = [{"id": n, "at": f"2024-01-{n:02}T12:00:00Z"} for n in numbers]

    resource = {
        "name": "days",
        "endpoint": {
            "path": "items",
            "data_selector": "data",
            "params": {"since": "{incremental.start_value}"},
        },
    }
    return {
        **items,
        **common,
        "source_config": {**items["source_config"], "resources": [resource]},
    }, set_api


WINDOW = {"start": "2024-01-02T00:00:00Z", "end": "2024-01-04T00:00:00Z"}


def ids(rows: Rows) -> list[int]:
    return sorted(row["id"] for row in rows("bronze.days"))


def test_a_backfill_replaces_the_rows_of_the_window_and_keeps_the_cursor(
    days: Any, run: Callable[..., LoadResult], rows: Rows
) -> None:
    source, have = days
    have([1, 2, 3, 4, 5])
    run(source)
    have([1, 3, 4, 5, 6])
    assert run(source, **WINDOW).rows_loaded == 1
    assert ids(rows) == [1, 3, 4, 5]
    assert run(source, **WINDOW).rows_loaded == 1
    assert ids(rows) == [1, 3, 4, 5]
    assert run(source).rows_loaded == 1
    assert ids(rows) == [1, 3, 4, 5, 6]


def test_a_result_has_the_cursor_before_and_after(
    days: Any, run: Callable[..., LoadResult]
) -> None:
    """The stored cursor before a load is the one after the load before; a window moves none."""
    source, have = days
    have([1, 2])
    first = run(source).resources["days"]
    assert first.cursor_before is None
    assert str(first.cursor_after).replace("T", " ").startswith("2024-01-02 12:00:00")
    have([1, 2, 3])
    second = run(source).resources["days"]
    assert second.cursor_before == first.cursor_after
    assert str(second.cursor_after).replace("T", " ").startswith("2024-01-03 12:00:00")
    for again in (run(source, **WINDOW), run(source)):
        day = again.resources["days"]
        assert day.cursor_before == day.cursor_after == second.cursor_after


def test_a_backfill_of_a_window_that_has_become_empty_empties_it(
    days: Any, run: Callable[..., LoadResult], rows: Rows
) -> None:
    source, have = days
    have([1, 2, 3, 4])
    run(source)
    have([1, 4])
    assert run(source, **WINDOW).rows_loaded == 0
    assert ids(rows) == [1, 4]


def test_a_backfill_of_a_merged_table_updates_by_key(
    days: Any, run: Callable[..., LoadResult], rows: Rows
) -> None:
    source, have = days
    source["write_mode"] = "merge"
    have([1, 2, 3, 4])
    run(source)
    have([2, 3, 4])
    assert run(source, **WINDOW).rows_loaded == 2
    assert ids(rows) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("change", "asked", "says"),
    [
        ({}, {"start": 1}, "end is missing"),
        ({}, {"start": 2, "end": 1}, "must be after its start"),
        ({"cursor_field": None}, {"start": 1, "end": 2}, "cursor_field"),
        ({"write_mode": "replace"}, {"start": 1, "end": 2}, "replace"),
        ({}, {"limit": 0}, "limit is 0"),
    ],
)
def test_an_invalid_window_is_rejected(
    shop: Source,
    run: Callable[..., LoadResult],
    change: dict[str, Any],
    asked: dict[str, Any],
    says: str,
) -> None:
    with pytest.raises(PipelineConfigurationError, match=says):
        run({**shop, **change}, **asked)


def test_the_load_after_a_limited_one_continues_where_it_stopped(
    shop: Source, run: Callable[..., LoadResult], database: Any
) -> None:
    database.run(
        "INSERT INTO orders (id, updated_at) VALUES (?, ?)",
        [(number, f"2023-01-{number:02} 00:00:00.000000") for number in range(28, 10, -1)],
    )
    assert run(shop, limit=5).rows_loaded == 5
    assert run(shop).rows_loaded == 15


def test_a_limited_load_of_files_reads_each_of_them_whole(
    files: Source, landing: Path, run: Callable[..., LoadResult]
) -> None:
    for name in "abc":
        (landing / f"{name}.csv").write_text("id\n1\n2\n3\n")
    assert run(files, limit=4).rows_loaded == 6
    assert run(files).rows_loaded == 3


def test_a_refresh_loads_everything_again(
    shop: Source, run: Callable[..., LoadResult], rows: Rows
) -> None:
    run(shop)
    assert run(shop, refresh="drop_data").rows_loaded == 2
    assert len(rows("bronze.shop_orders")) == 2
    assert run(shop).rows_loaded == 0
