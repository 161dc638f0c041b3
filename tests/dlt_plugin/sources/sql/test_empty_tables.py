"""A table without rows is created with its columns, by the first load alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.destinations import open_catalog

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("backend", "settings"),
    [
        ("adbc", {"write_mode": "merge", "cursor_field": "id"}),
        ("adbc", {"write_mode": "merge", "merge_strategy": "scd2"}),
        ("pyarrow", {"schema_contract": "freeze"}),
        ("sqlalchemy", {"write_mode": "merge", "cursor_field": "id"}),
    ],
)
def test_an_empty_table_is_created_with_its_columns(
    execute: Callable[[str], None],
    database_url: str,
    load: Callable[..., Any],
    rows: Callable[[str], list[dict[str, Any]]],
    backend: str,
    settings: dict[str, Any],
) -> None:
    execute("CREATE TABLE orders (id int PRIMARY KEY, amount numeric(10, 2), at timestamptz)")
    shop = {
        "name": "shop",
        "source_type": "sql_database",
        "source_config": {"table_names": ["orders"], "backend": backend},
        "credentials": database_url,
        "destination_table": "bronze.orders",
        **settings,
    }
    assert load(shop).rows_loaded == 0
    fields = open_catalog().load_table("bronze.orders").schema().fields
    types = {field.name: str(field.field_type) for field in fields if field.name[0] != "_"}
    assert types == {"id": "long", "amount": "decimal(10, 2)", "at": "timestamptz"}
    if settings.get("write_mode") == "merge":
        assert load(shop).load_ids == []
    execute("INSERT INTO orders VALUES (1, 1.5, '2024-01-01')")
    assert load(shop).rows_loaded == 1
    assert [row["id"] for row in rows("bronze.orders")] == [1]
