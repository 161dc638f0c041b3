"""Rows of nested tables are never left without a parent."""

from __future__ import annotations

from typing import Any

import dlt
import pytest
from dlt.common.schema.exceptions import SchemaCorruptedException
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint


def orders(count: int, disposition: Any, *, root_key: bool = False) -> Any:
    items = [{"v": v, "parts": [{"p": 1}, {"p": 2}]} for v in range(count)]
    rows = [{"id": i, "items": items} for i in range(2)]

    @dlt.source(name="shop", root_key=root_key)
    def shop() -> Any:
        return dlt.resource(rows, name="orders", primary_key="id", write_disposition=disposition)

    return shop()


@pytest.mark.parametrize("first", ["append", "replace"])
def test_a_merge_that_would_orphan_rows_is_rejected(run: Any, first: str) -> None:
    run.pipeline().run(orders(3, first))
    before = run.tables()
    pipeline = run.pipeline()
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline.run(orders(2, "merge"))
    assert isinstance(caught.value.exception, InvalidHint)
    assert run.tables() == before
    assert not pipeline.has_pending_data


def test_a_merge_after_an_append_with_root_keys_keeps_the_tree(same: Any) -> None:
    def program(run: Any) -> None:
        run.pipeline().run(orders(3, "append", root_key=True))
        run.pipeline().run(orders(2, "merge", root_key=True))
        run.pipeline().run(orders(1, "merge", root_key=True))

    assert len(same(program)["orders__items__parts"]) == 4


@pytest.mark.parametrize("first", ["append", "replace", "merge"])
def test_an_insert_leaves_the_trees_of_present_roots_as_they_are(run: Any, first: str) -> None:
    """On `duckdb`, nested rows of the second load have no root."""
    insert = {"disposition": "merge", "strategy": "insert-only"}
    run.pipeline().run(orders(1, first, root_key=True))
    before = run.tables()
    run.pipeline().run(orders(3, insert, root_key=True))
    assert run.tables() == before


def test_an_insert_adds_new_nested_rows_of_roots_that_an_upsert_loaded(same: Any) -> None:
    def program(run: Any) -> None:
        for count, strategy in ((1, "upsert"), (3, "insert-only")):
            disposition = {"disposition": "merge", "strategy": strategy}
            run.pipeline().run(orders(count, disposition, root_key=True))

    assert len(same(program)["orders__items"]) == 6


@pytest.mark.parametrize(
    ("root", "own"),
    [("replace", "append"), ("append", "replace"), ("merge", "append"), ("merge", "replace")],
)
def test_a_nested_table_with_a_disposition_of_its_own_is_rejected(
    run: Any, root: Any, own: str
) -> None:
    hints: Any = {"items": {"write_disposition": own}}
    resource = dlt.resource(
        [{"id": 1, "items": [{"v": 1}]}],
        name="orders",
        primary_key="id",
        write_disposition=root,
        nested_hints=hints,
    )
    with pytest.raises(PipelineStepFailed) as caught:
        run.pipeline().run(resource)
    assert isinstance(caught.value.exception, SchemaCorruptedException)
    assert "nested_hints" in str(caught.value.exception)
    assert run.tables() == {}
