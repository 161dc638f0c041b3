"""JSON pages that skip dlt's normalizer make the same tables as those that do not."""

import random
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pytest
from dlt.common.schema import Schema

from floe_ingestion_defs.dlt_plugin import LoadResult
from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
from floe_ingestion_defs.dlt_plugin.sources.rest.page_tables import PageConverter

pytestmark = pytest.mark.slow

Source = dict[str, Any]
Load = Callable[..., LoadResult]

SEEDS = [*range(2), *(pytest.param(seed, marks=pytest.mark.all_cases) for seed in range(2, 30))]
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
    "a list in an object": [{"id": 1, "Part A": {"Some Tags": [1, 2], "x": [{"y": {"z": [1]}}]}}],
    "lists of lists": [{"id": 1, "a": [[1, 2], [[3], []], "b", None, {"value": 1.5}]}],
    "lists with nothing in them": [{"id": 1, "a": [], "b": [None]}, {"id": 2, "a": None}],
    "a list later": [{"id": 1, "a": 1}, {"id": 2}, {"id": 3, "a": [1]}, {"id": 4, "a": [2]}],
    "a value after a list": [{"id": 1, "a": [1]}, {"id": 2}, {"id": 3, "a": 1}, {"id": 4}],
    "two lists of one name": [
        {"id": 1, "A a": [1], "a_a": [2]},
        {"id": 2, "a": {"b": [1]}, "a__b": [2]},
    ],
    "another type later in a list": [{"id": 1, "a": [1]}, {"id": 2}, {"id": 3, "a": ["b"]}],
    "a long list": [{"id": 1, "a" * 40: [{"b" * 40: [{"c" * 40: [1]}]}]}],
    "no name": [{"id": 1, "": 1, " ": {"": 2}}],
    "another type later": [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": "three"}],
    "a float later": [{"id": 1, "n": 1}, {"id": 2, "n": 2}, {"id": 3, "n": 3.5}],
    "a float later in a page": [{"id": 1, "n": 1}, {"id": 2, "n": 2.5}],
    "a type that a nested page decides": [
        {"id": 1, "at": "2024-01-01T10:00:00Z", "tags": ["a"], "n": 1, "in": {"at": 1.5}},
        {"id": 2},
        {"id": 3, "at": "a", "n": 1, "in": {"at": 2.5}},
        {"id": 4, "at": "b", "n": 2},
        {"id": 5, "n": 2.5},
        {"id": 6, "n": 3.5, "in": {"at": "b"}},
    ],
    "numbers for text": [{"id": 1, "n": "x"}, {"id": 2, "n": "y"}, {"id": 3, "n": 3}],
    "no rows": [],
}


def everything(tables: set[str], table: Callable[[str], pa.Table]) -> dict[str, Any]:
    """All tables: the types of the columns, and the rows, regardless of their order."""
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


@pytest.fixture
def tables_of_both_ways(
    items: Source,
    load: Load,
    api: Any,
    table: Callable[[str], pa.Table],
    tables: Callable[[], set[str]],
) -> Callable[..., list[dict[str, Any]]]:
    """Loads rows by pages of two, load after load, both ways, and gives what each made of them."""

    def load_both_ways(
        loads: list[list[dict[str, Any]]], write_mode: str, **more: Any
    ) -> list[dict[str, Any]]:
        found = []
        for way in ("fast", "slow"):
            options = {**items["source_config"], **more, "pages_as_arrow": way == "fast"}
            source = {
                **items,
                "source_config": options,
                "name": way,
                "destination_table": f"{way}.items",
                "write_mode": write_mode,
                "primary_key": "id",
            }
            for rows in loads:
                api.rows = rows
                load(source)
            found.append(everything({t for t in tables() if t.startswith(f"{way}.")}, table))
        return found

    return load_both_ways


@pytest.mark.parametrize(
    ("page", "write_mode"),
    [(page, "append") for page in PAGES]
    + [
        (page, "merge")
        for page in ("plain", "nested", "objects", "another type later", "a list in an object")
    ],
)
def test_arrow_and_dicts_make_the_same_tables(
    tables_of_both_ways: Callable[..., list[dict[str, Any]]], page: str, write_mode: str
) -> None:
    arrow, dicts = tables_of_both_ways([PAGES[page]] * 2, write_mode)
    assert arrow == dicts


@pytest.mark.parametrize("depth", [0, 1])
def test_arrow_and_dicts_make_the_same_tables_where_nesting_is_limited(
    tables_of_both_ways: Callable[..., list[dict[str, Any]]], depth: int
) -> None:
    """What lies deeper is JSON; a later page may have plain values in its place."""
    rows = [*PAGES["objects"], *PAGES["nested"], {"id": 9, "Inner Part": "a"}, {"id": 10}]
    arrow, dicts = tables_of_both_ways([rows] * 2, "append", max_table_nesting=depth)
    assert arrow == dicts


@pytest.mark.parametrize("seed", SEEDS)
def test_arrow_and_dicts_make_the_same_tables_of_random_pages(
    tables_of_both_ways: Callable[..., list[dict[str, Any]]], seed: int
) -> None:
    """Of rows whose fields come and go, change their type now and then, and hold one another."""
    choose = random.Random(seed)
    print(f"seed {seed}")
    ids = iter(range(1000))
    loads = [
        [{"id": next(ids), **an_object(choose, 2)} for _ in range(choose.randrange(2, 12))]
        for _ in range(2)
    ]
    arrow, dicts = tables_of_both_ways(loads, choose.choice(["append", "merge"]))
    assert arrow == dicts


def an_object(choose: random.Random, depth: int) -> dict[str, Any]:
    """Some of ten fields, each mostly with a value of its own kind."""
    fields = choose.sample(range(10), choose.randrange(1, 8))
    return {f"Field {n}": a_value(choose, n, depth) for n in fields if n < 7 or depth}


def a_value(choose: random.Random, kind: int, depth: int) -> Any:
    if choose.random() < 0.1:
        return None
    if choose.random() < 0.03:
        kind = choose.randrange(10)
    match kind:
        case 0:
            return choose.randrange(-(2**31), 2**31)
        case 1:
            return choose.choice([0.5, 1e10, -2.25])
        case 2:
            return choose.random() < 0.5
        case 3:
            return f"2024-01-{choose.randrange(10, 30)}T10:00:00Z"
        case 4:
            return f"2024-01-{choose.randrange(10, 30)}"
        case 5 | 6:
            return choose.choice(["a", "", "æ", "7", "NaN"])
        case 7 | 8:
            return an_object(choose, depth - 1) if depth else {}
        case _:
            few = range(choose.randrange(3))
            return [{"n": n, **an_object(choose, 0)} if choose.random() < 0.5 else n for n in few]


def test_the_id_of_a_merged_row_is_the_one_that_dlt_gives_it(
    items: Source, load: Load, api: Any
) -> None:
    from floe_ingestion_defs.destinations import open_catalog

    api.rows = [{"id": 1, "Name": "a"}, {"id": 2, "Name": "b"}]
    found = []
    for way in (True, False):
        options = {**items["source_config"], "pages_as_arrow": way}
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


def test_a_page_with_lists_is_converted_and_not_passed_to_dlt() -> None:
    """The comparisons above would also pass if dlt normalized every page with a list."""
    spec = ResourceSpec("orders", "bronze.orders", write_mode="merge", primary_key=("id",))
    converter = PageConverter(spec, Schema("shop"), nested=True)
    rows = [{"id": n, "lines": [{"sku": "a", "tags": ["b", "c"]}], "no": []} for n in range(3)]
    found = converter.convert(rows, ["x", "y", "z"], "1")
    assert [(table.name, table.parent, table.rows.num_rows) for table in found] == [
        ("orders", None, 3),
        ("orders__lines", "orders", 3),
        ("orders__lines__tags", "orders__lines", 6),
    ]
    assert found[2].rows["_dlt_root_id"].to_pylist() == ["x", "x", "y", "y", "z", "z"]
