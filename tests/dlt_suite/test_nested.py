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


def test_a_nested_table_with_a_disposition_of_its_own_is_rejected(run: Any) -> None:
    hints: Any = {"items": {"write_disposition": "append"}}
    rows = [{"id": 1, "items": [{"v": 1}]}]
    resource = dlt.resource(rows, name="orders", write_disposition="replace", nested_hints=hints)
    with pytest.raises(PipelineStepFailed) as caught:
        run.pipeline().run(resource)
    assert isinstance(caught.value.exception, SchemaCorruptedException)
    assert run.tables() == {}
