from collections.abc import Callable
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakePlugin = Callable[..., DltIngestionPlugin]


@pytest.fixture(autouse=True)
def _no_telemetry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")


@pytest.fixture
def shop() -> dict[str, Any]:
    """A source of two tables, as somebody would configure it."""
    return {
        "name": "shop",
        "description": "What customers ordered.",
        "source_type": "sql_database",
        "source_config": {"table_names": ["orders", "customers"]},
        "credentials": "${SHOP_DATABASE}",
        "destination_table": "bronze.shop_{resource}",
        "write_mode": "merge",
        "primary_key": "id",
        "cursor_field": "updated_at",
    }


@pytest.fixture
def make_plugin(shop: dict[str, Any]) -> MakePlugin:
    """Makes a plugin with the shop's source, its `orchestration:` as given."""

    def make(**orchestration: Any) -> DltIngestionPlugin:
        return DltIngestionPlugin({"sources": [{**shop, "orchestration": orchestration}]})

    return make
