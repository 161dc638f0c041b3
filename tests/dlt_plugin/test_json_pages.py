"""Flat JSON pages that skip dlt's normalizer make the same tables as those that do not."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.dlt_plugin import LoadResult

Source = dict[str, Any]
Load = Callable[..., LoadResult]

PAGES: dict[str, list[dict[str, Any]]] = {
    "plain": [
        {"id": 1, "name": "a", "share": 0.5, "yes": True, "nothing": None},
        {"id": 2, "name": "b", "share": 2, "yes": False, "nothing": None},
        {"id": 3, "late": 7},
    ],
    "moments": [
        {
            "id": 1,
            "at": "2024-01-01T10:00:00Z",
            "local": "2024-01-01T10:00:00",
            "day": "2024-01-01",
        },
        {"id": 2, "at": "2024-01-01T12:00:00+02:00", "local": None, "day": "2024-01-02"},
    ],
    "odd names": [{"id": 1, "Some Name": "x", "otherName": 1}],
    "nested": [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "inside": {"x": 1}}],
    "nested later": [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3, "tags": ["a"]}],
    "objects": [
        {"id": 1, "Inner Part": {"x": 1, "Deep One": {"at": "2024-01-01T10:00:00Z", "no": None}}},
        {"id": 2, "Inner Part": None},
        {"id": 3, "Inner Part": {"x": 3, "y": 0.5}, "empty": {}},
        {"id": 4, "Inner Part": {"Deep One": {"at": None}}, "late": {"z": True}},
    ],
    "an object with a list": [{"id": 1, "a": {"x": 1}}, {"id": 2, "a": {"x": 2, "tags": ["t"]}}],
    "an object later": [{"id": 1, "a": 1}, {"id": 2, "a": 2}, {"id": 3, "a": {"x": 1}}],
    "an object in a page of numbers": [{"id": 1, "a": {"x": 1}}, {"id": 2, "a": 2}],
    "an object named as a field": [{"id": 1, "a": {"b": 1}, "a__b": 2}],
    "a deep object": [{"id": 1, "a" * 40: {"b" * 40: {"c" * 40: 1}}}],
    "a list in a list of objects": [{"id": 1, "a": [{"b": [{"c": 1}], "d": 2}]}],
    "no name": [{"id": 1, "": 1, " ": {"": 2}}],
    "another type later": [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": "three"}],
    "a float later": [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3.5}],
    "a float later in a page": [{"id": 1, "n": 1}, {"id": 2, "n": 2.5}],
    "numbers for text": [{"id": 1, "n": "x"}, {"id": 2, "n": "y"}, {"id": 3, "n": 3}],
    "no rows": [],
}


def everything(tables: set[str], table: Callable[[str], pa.Table]) -> dict[str, Any]:
    """All tables: the types of the columns, and the rows, whatever their order."""
    found = {}
    for name in tables:
        rows = table(name)
        columns = sorted(rows.column_names)
        found[name.split(".")[1]] = (
            {
                column: str(rows.schema.field(column).type).replace("large_", "")
                for column in columns
            },
            sorted(repr([row[column] for column in columns]) for row in rows.to_pylist()),
        )
    return found


@pytest.mark.parametrize(
    ("page", "write_mode"),
    [(page, "append") for page in PAGES]
    + [(page, "merge") for page in ("plain", "nested", "objects", "another type later")],
)
def test_both_ways_make_the_same_tables(
    items: Source,
    load: Load,
    api: Any,
    table: Callable[[str], pa.Table],
    tables: Callable[[], set[str]],
    page: str,
    write_mode: str,
) -> None:
    api.rows = PAGES[page]
    for way in (True, False):
        options = {**items["source_config"], "flat_pages_as_arrow": way}
        source = {
            **items,
            "source_config": options,
            "name": f"way_{way}".lower(),
            "destination_table": f"way_{way}.items".lower(),
            "write_mode": write_mode,
            "primary_key": "id",
        }
        load(source)
        load(source)
    arrow, dicts = (
        everything({name for name in tables() if name.startswith(f"way_{way}")}, table)
        for way in ("true", "false")
    )
    assert arrow == dicts


def test_the_id_of_a_merged_row_is_the_one_that_dlt_gives_it(
    items: Source, load: Load, api: Any
) -> None:
    from floe_ingestion_defs.destinations.iceberg.catalog import open_catalog

    api.rows = [{"id": 1, "Name": "a"}, {"id": 2, "Name": "b"}]
    found = []
    for way in (True, False):
        options = {**items["source_config"], "flat_pages_as_arrow": way}
        name = f"way_{way}".lower()
        merged = {
            **items,
            "source_config": options,
            "name": name,
            "destination_table": f"{name}.items",
            "write_mode": "merge",
            "primary_key": ["Name"],
        }
        load(merged)
        rows = open_catalog().load_table(f"{name}.items").scan().to_arrow()
        found.append(sorted(rows["_dlt_id"].to_pylist()))
        assert len(set(rows["_dlt_load_id"].to_pylist())) == 1
    assert found[0] == found[1]
