"""A tree of tables that is loaded with different dispositions."""

from __future__ import annotations

from typing import Any

import pytest

from floe_ingestion_defs.destinations.impl.iceberg import load as load_step


def order(number: int) -> Any:
    return {"id": number, "items": [{"n": number}]}


@pytest.mark.parametrize("later", ["merge", "append"])
def test_a_load_publishes_the_appends_to_nested_tables_before_it(lake: Any, later: str) -> None:
    """Although their pipeline is another one, and may still be publishing them."""
    arguments: Any = {"table_name": "t", "primary_key": "id"}
    lake.load([order(1)], write_disposition="append", **arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        lake.load([order(2)], write_disposition="append", **arguments)
    lake.load([order(3)], write_disposition=later, pipeline="other", **arguments)
    assert lake.values("t", "id") == [1, 2, 3]
    assert lake.values("t__items", "n") == [1, 2, 3]
