"""A table that is gone while its cursor is kept is not loaded in part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DestinationWriteError, DltIngestionPlugin, LoadRequest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Source = dict[str, Any]


@pytest.fixture
def files(tmp_path: Path) -> Source:
    (tmp_path / "a.csv").write_text("id\n1\n2\n")
    return {
        "name": "files",
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(tmp_path), "file_glob": "*.csv", "format": "csv"},
        "destination_table": "bronze.shop_orders",
    }


@pytest.mark.parametrize("kind", ["shop", "files"])
def test_a_load_after_the_table_was_dropped_by_hand_fails_and_offers_a_refresh(
    kind: str,
    request: pytest.FixtureRequest,
    load: Callable[..., Any],
    rows: Callable[[str], list[dict[str, Any]]],
) -> None:
    """Nothing is new, so the run would be green, and the table stay incomplete."""
    source = request.getfixturevalue(kind)
    load(source)
    open_catalog().drop_table("bronze.shop_orders")
    for _ in range(2):
        with pytest.raises(DestinationWriteError, match=r"shop_orders does not exist.*refresh"):
            load(source)
    plugin = DltIngestionPlugin({"sources": [source]})
    whole = LoadRequest(refresh="drop_data")
    plugin.load(plugin.create_pipeline(plugin.source(source["name"]), request=whole))
    assert sorted(row["id"] for row in rows("bronze.shop_orders")) == [1, 2]
    assert load(source).rows_loaded == 0


def test_a_source_without_rows_has_no_table_to_miss(
    shop: Source, load: Callable[..., Any], database: Any
) -> None:
    database.run("DELETE FROM orders")
    assert load(shop).rows_loaded == 0
    assert load(shop).rows_loaded == 0
