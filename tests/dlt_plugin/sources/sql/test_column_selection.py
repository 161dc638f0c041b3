"""Which columns of a database table are loaded, and what a typo in their names leads to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, PipelineConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

Source = dict[str, Any]


def selecting(shop: Source, **columns: dict[str, list[str]]) -> Source:
    return {**shop, "source_config": {**shop["source_config"], **columns}}


@pytest.mark.parametrize(
    ("columns", "loaded"),
    [
        ({"included_columns": {"orders": ["id", "updated_at"]}}, {"id", "updated_at"}),
        (
            {"excluded_columns": {"orders": ["note", "paid", "day", "share"]}},
            {"id", "amount", "updated_at"},
        ),
    ],
)
def test_the_listed_columns_are_loaded(
    shop: Source,
    load: Callable[..., Any],
    table: Callable[[str], pa.Table],
    columns: dict[str, dict[str, list[str]]],
    loaded: set[str],
) -> None:
    load(selecting(shop, **columns))
    assert set(table("bronze.shop_orders").column_names) == loaded


@pytest.mark.parametrize("backend", ["auto", "sqlalchemy"])
@pytest.mark.parametrize("setting", ["included_columns", "excluded_columns"])
def test_a_name_that_is_not_a_column_fails_the_load(
    shop: Source,
    load: Callable[..., Any],
    tables: Callable[[], set[str]],
    setting: str,
    backend: str,
) -> None:
    """With dlt's own arguments, the column that must not be loaded would be, with a green run."""
    source = selecting(shop, **{setting: {"orders": ["id", "nots"]}})
    source["source_config"]["backend"] = backend
    with pytest.raises(PipelineConfigurationError, match=rf"{setting}\.orders names 'nots'.*note"):
        load(source)
    assert tables() == set()


@pytest.mark.parametrize("setting", ["included_columns", "excluded_columns"])
def test_a_name_that_is_not_a_loaded_table_is_rejected_at_definition_time(
    shop: Source, setting: str
) -> None:
    with pytest.raises(PipelineConfigurationError, match=rf"{setting} names table 'ordres'"):
        DltIngestionPlugin({"sources": [selecting(shop, **{setting: {"ordres": ["id"]}})]})
