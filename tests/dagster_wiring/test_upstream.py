from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import FloeDltTranslator, build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakePlugin = Callable[..., DltIngestionPlugin]

ORDERS, CUSTOMERS = "ingestion__shop__orders", "ingestion__shop__customers"


def upstream_of(
    plugin: DltIngestionPlugin, translator: type[FloeDltTranslator] = FloeDltTranslator
) -> dict[str, set[str]]:
    """Return the external assets of a location, each with the assets downstream of it."""
    definitions = build_ingestion_definitions(plugin, translator_class=translator)
    graph = definitions.resolve_asset_graph()
    return {
        key.to_user_string(): {child.to_user_string() for child in graph.get(key).child_keys}
        for key in graph.external_asset_keys
    }


def upstream_specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return [
        spec
        for each in definitions.assets or ()
        if isinstance(each, dg.AssetsDefinition) and not each.is_executable
        for spec in each.specs
    ]


def test_each_resource_is_downstream_of_its_table_in_the_source_system(
    make_plugin: MakePlugin,
) -> None:
    """The graph begins where the data begin, without any configuration."""
    assert upstream_of(make_plugin()) == {
        "source__shop__orders": {ORDERS},
        "source__shop__customers": {CUSTOMERS},
    }


def test_an_upstream_asset_can_be_renamed_shared_or_disabled(make_plugin: MakePlugin) -> None:
    """A source's key is shared by its resources; a resource's own setting overrides it."""
    assert upstream_of(make_plugin(upstream="raw/shop")) == {"raw/shop": {ORDERS, CUSTOMERS}}
    assert upstream_of(
        make_plugin(upstream="raw/shop", resources={"orders": {"upstream": False}})
    ) == {"raw/shop": {CUSTOMERS}}
    assert upstream_of(make_plugin(upstream=False)) == {}


def test_the_graph_of_a_job_has_the_upstream_assets_of_its_own_source_only(
    shop: dict[str, Any],
) -> None:
    """Or a location of many sources takes seconds to load, in each process of a run, too."""
    other = {**shop, "name": "other", "destination_table": "bronze.other_{resource}"}
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop, other]}))
    job = definitions.resolve_job_def("ingestion__shop")
    found = {key.to_user_string() for key in job.asset_layer.asset_graph.get_all_asset_keys()}
    upstream = {"source__shop__orders", "source__shop__customers"}
    assert found == {ORDERS, CUSTOMERS, *upstream}


def test_an_upstream_asset_that_a_translator_removes_is_left_out(make_plugin: MakePlugin) -> None:
    """`get_asset_spec` decides, as about everything else of an asset."""

    class Rootless(FloeDltTranslator):
        def get_asset_spec(self, data: Any) -> dg.AssetSpec:
            return super().get_asset_spec(data).replace_attributes(deps=[])

    assert upstream_of(make_plugin(), Rootless) == {}


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ({"credentials": "postgresql+psycopg://u:secret@host/db"}, "postgres"),
        ({"credentials": {"drivername": "mssql+pyodbc", "host": "h"}}, "sqlserver"),
        ({"credentials": "${SHOP_DATABASE}"}, "sql"),
        ({"credentials": "${USER}://host"}, "sql"),
        ({"bucket_url": "s3://landing/orders"}, "s3"),
        ({"bucket_url": "abfss://landing@acme/orders"}, "azure"),
        ({"bucket_url": "/landing/orders"}, "file"),
        ({"bucket_url": "${LANDING}"}, "file"),
    ],
)
def test_an_upstream_asset_shows_the_kind_of_its_system(
    shop: dict[str, Any], source: dict[str, Any], kind: str
) -> None:
    """From the configuration alone; what is known only in a run is generic."""
    if "bucket_url" in source:
        shop |= {"source_type": "filesystem", "source_config": {**source, "format": "csv"}}
        shop |= {"destination_table": "bronze.orders"}
        del shop["credentials"]
    else:
        shop |= source

    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))

    (spec, *_) = upstream_specs(definitions)
    assert spec.kinds == {kind}
    assert spec.group_name == "shop"
    assert "secret" not in repr(spec)


def test_a_rest_endpoint_is_an_upstream_asset(shop: dict[str, Any]) -> None:
    """Its kind is `rest`."""
    shop |= {
        "source_type": "rest_api",
        "source_config": {"client": {"base_url": "http://127.0.0.1"}, "resources": ["orders"]},
    }
    del shop["credentials"]

    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))

    (spec,) = upstream_specs(definitions)
    assert (spec.key, spec.kinds) == (dg.AssetKey("source__shop__orders"), {"rest"})
    assert spec.description == "Endpoint `orders` of the system that source `shop` loads from."


def test_eager_fires_when_a_table_or_its_source_is_updated(
    make_plugin: MakePlugin, instance: dg.DagsterInstance
) -> None:
    """A source system may report its updates; until it does, nothing waits for it."""
    plugin = make_plugin(automation_condition="eager", deps="raw")
    definitions = dg.Definitions.merge(
        build_ingestion_definitions(plugin), dg.Definitions(assets=[dg.AssetSpec("raw")])
    )
    cursor: Any = None

    def requested() -> int:
        nonlocal cursor
        result = dg.evaluate_automation_conditions(definitions, instance, cursor=cursor)
        cursor = result.cursor
        return result.total_requested

    def report(key: str) -> None:
        instance.report_runless_asset_event(dg.AssetMaterialization(key))

    assert requested() == 0
    report("raw")
    assert requested() == 2
    for key in (ORDERS, CUSTOMERS):
        report(key)
    assert requested() == 0
    report("source__shop__orders")
    assert requested() == 1


def test_on_cron_waits_for_configured_assets_only(
    make_plugin: MakePlugin, instance: dg.DagsterInstance
) -> None:
    """Those of `deps`, not the external assets in the source system."""
    plugin = make_plugin(
        automation_condition="on_cron", cron="0 * * * *", resources={"orders": {"deps": ["raw"]}}
    )
    definitions = dg.Definitions.merge(
        build_ingestion_definitions(plugin), dg.Definitions(assets=[dg.AssetSpec("raw")])
    )

    before = dg.evaluate_automation_conditions(
        definitions, instance, evaluation_time=datetime(2026, 3, 1, 4, 55, tzinfo=UTC)
    )
    after = dg.evaluate_automation_conditions(
        definitions,
        instance,
        evaluation_time=datetime(2026, 3, 1, 5, 5, tzinfo=UTC),
        cursor=before.cursor,
    )

    assert after.get_num_requested(dg.AssetKey(CUSTOMERS)) == 1
    assert after.get_num_requested(dg.AssetKey(ORDERS)) == 0
