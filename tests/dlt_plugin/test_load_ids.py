"""Each row of each source has the id of the load that it is from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.files import staged_files
from floe_ingestion_defs.dlt_plugin import LoadResult

Source = dict[str, Any]
Load = Callable[..., LoadResult]


def load_ids(table: str) -> dict[int, str]:
    """Return the load id of each row by its `id`."""
    rows = open_catalog().load_table(table).scan().to_arrow()
    return dict(zip(rows["id"].to_pylist(), rows["_dlt_load_id"].to_pylist(), strict=True))


def test_rows_of_files_have_the_id_of_their_load(files: Source, landing: Path, load: Load) -> None:
    expected = {}
    for number in (1, 2):
        (landing / f"{number}.csv").write_text(f"id,name\n{number},x\n")
        (expected[number],) = load(files).load_ids
    assert load_ids("bronze.items") == expected


@pytest.mark.parametrize("backend", ["pyarrow", "sqlalchemy"])
def test_rows_of_a_database_have_the_id_of_the_load_that_merged_them_last(
    backend: str, database: Any, shop: Source, load: Load
) -> None:
    source = {**shop, "source_config": {**shop["source_config"], "backend": backend}}
    (first,) = load(source).load_ids
    database.run("UPDATE orders SET updated_at = '2024-01-03 10:00:00.000000' WHERE id = 2")
    (second,) = load(source).load_ids
    assert load_ids("bronze.shop_orders") == {1: first, 2: second}


def test_rows_with_the_id_of_their_load_are_not_encoded_again(
    files: Source, landing: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pages that dlt wrote become those of the data file; it took twice as long otherwise."""

    def write_staged(*_: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(staged_files, "write_staged", write_staged)
    (landing / "1.csv").write_text("id,name\n1,x\n")
    (expected,) = load(files).load_ids
    assert load_ids("bronze.items") == {1: expected}


def test_versions_of_rows_do_not_depend_on_the_load(
    files: Source, landing: Path, load: Load
) -> None:
    source = {**files, "write_mode": "merge", "merge_strategy": "scd2"}
    source["source_config"] = {**files["source_config"], "only_new_files": False}
    (landing / "a.csv").write_text("id,name\n1,x\n")
    (first,) = load(source).load_ids
    load(source)
    assert load_ids("bronze.items") == {1: first}


def test_a_table_that_was_loaded_without_it_gets_the_column(
    files: Source, landing: Path, load: Load
) -> None:
    (landing / "1.csv").write_text("id,name\n1,x\n")
    load({**files, "add_load_id": False})
    names = open_catalog().load_table("bronze.items").schema().column_names
    assert "_dlt_load_id" not in names
    (landing / "2.csv").write_text("id,name\n2,x\n")
    (second,) = load(files).load_ids
    assert load_ids("bronze.items") == {1: None, 2: second}


def test_nested_rows_have_the_key_of_their_parent_instead(
    api: Any, items: Source, load: Load
) -> None:
    """As in dlt, also where pages of an API are converted to Arrow tables."""
    api.rows = [{"id": 1, "tags": [{"tag": "a"}]}]
    (first,) = load(items).load_ids
    assert load_ids("bronze.items") == {1: first}
    names = open_catalog().load_table("bronze.items__tags").schema().column_names
    assert {"_dlt_parent_id", "_dlt_load_id"} & {*names} == {"_dlt_parent_id"}
