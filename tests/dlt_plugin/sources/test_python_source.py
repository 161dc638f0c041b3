"""A source written by users is loaded by its own hints."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.dlt_plugin import LoadResult, PipelineConfigurationError

Source = dict[str, Any]
Load = Callable[..., LoadResult]


@pytest.fixture
def orders(monkeypatch: pytest.MonkeyPatch) -> Source:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    return {
        "name": "orders",
        "source_type": "python",
        "source_config": {"factory": "sample_source:orders", "resource_names": ["order"]},
        "destination_table": "bronze.{resource}",
    }


def configured(source: Source, **options: Any) -> Source:
    return {**source, "source_config": {**source["source_config"], **options}}


def test_resources_keep_their_own_settings(
    orders: Source, load: Load, rows: Callable[[str], list[dict[str, Any]]]
) -> None:
    assert load(orders).rows_loaded == 3
    assert load(orders).rows_loaded == 0
    assert load(configured(orders, arguments={"count": 5})).rows_loaded == 2
    assert [row["id"] for row in rows("bronze.order")] == [1, 2, 3, 4, 5]


def test_only_resources_that_are_named_are_loaded(
    orders: Source, load: Load, tables: Callable[[], set[str]]
) -> None:
    load(orders)
    assert tables() == {"bronze.order"}
    load(configured(orders, resource_names=["order", "customer"]))
    assert tables() == {"bronze.order", "bronze.customer"}


def test_the_configuration_takes_precedence_over_the_code(
    orders: Source, load: Load, rows: Callable[[str], list[dict[str, Any]]]
) -> None:
    appended = {
        **configured(orders, resource_names=["customer"]),
        "write_mode": "replace",
        "destination_table": "bronze.people",
    }
    load(appended)
    load(appended)
    assert rows("bronze.people") == [{"name": "Ada"}]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"factory": "sample_source:nothing"}, "nothing"),
        ({"factory": "no_such_module:source"}, "no_such_module"),
        ({"factory": "sample_source:no_source"}, "int"),
        ({"arguments": {"counts": 1}}, "counts"),
        ({"resource_names": ["invoice"]}, "customer, order"),
    ],
)
def test_an_invalid_factory_is_a_configuration_error(
    orders: Source, load: Load, options: dict[str, Any], says: str
) -> None:
    with pytest.raises(PipelineConfigurationError, match=says):
        load(configured(orders, **options))
