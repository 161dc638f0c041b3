"""A run goes on from the last load that was committed, whatever became of those in between."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import IngestionError, LoadResult

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


def test_a_working_directory_is_not_needed_to_go_on(
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


def test_a_missing_cursor_column_fails_by_its_name(
    files: Source, landing: Path, load: Load, tables: Callable[[], set[str]]
) -> None:
    (landing / "a.csv").write_text("id\n1\n")
    with pytest.raises(IngestionError, match="updated_at"):
        load({**files, "cursor_field": "updated_at"})
    assert tables() == set()
