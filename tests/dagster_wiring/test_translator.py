from collections.abc import Callable
from datetime import timedelta

import dagster as dg
import pytest
from dagster._core.definitions.metadata import normalize_metadata
from dagster_dlt.translator import DltResourceTranslatorData

from floe_ingestion_defs.dagster_wiring import FloeDltTranslator, create_ingestion_assets
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

MakePlugin = Callable[..., DltIngestionPlugin]


def specs_of(plugin: DltIngestionPlugin) -> dict[str, dg.AssetSpec]:
    (assets,) = create_ingestion_assets(plugin)
    return {spec.key.to_user_string(): spec for spec in assets.specs}


def test_every_resource_is_an_asset_with_a_key_of_one_part(make_plugin: MakePlugin) -> None:
    """The key is ingestion__{source}__{resource}, and does not depend on the table's name."""
    specs = specs_of(make_plugin())

    assert set(specs) == {"ingestion__shop__orders", "ingestion__shop__customers"}
    assert all(len(spec.key.path) == 1 for spec in specs.values())


def test_the_configured_upstream_assets_are_added_to_that_in_the_source_system(
    make_plugin: MakePlugin,
) -> None:
    """The latter is left out here; see `test_upstream.py`."""
    specs = specs_of(
        make_plugin(upstream=False, deps="raw/shop", resources={"customers": {"deps": ["crm"]}})
    )

    assert [dep.asset_key for dep in specs["ingestion__shop__orders"].deps] == [
        dg.AssetKey(["raw", "shop"])
    ]
    assert [dep.asset_key for dep in specs["ingestion__shop__customers"].deps] == [
        dg.AssetKey(["crm"])
    ]


def test_an_asset_names_its_iceberg_table(make_plugin: MakePlugin) -> None:
    """Dagster's other tools identify the table by its name and storage kind."""
    metadata = specs_of(make_plugin())["ingestion__shop__orders"].metadata

    assert metadata["dagster/table_name"] == "bronze.shop_orders"
    assert metadata["dagster/storage_kind"] == "iceberg"


def test_every_value_of_an_asset_s_metadata_is_shown(make_plugin: MakePlugin) -> None:
    """A value that Dagster cannot serialize is shown as `(unserializable)`."""
    metadata = specs_of(make_plugin())["ingestion__shop__orders"].metadata

    shown = {name: value.value for name, value in normalize_metadata(metadata).items()}
    assert shown["floe/resource"] == "orders"
    assert [name for name in shown if name.startswith("dagster_dlt")] == []


def test_an_asset_shows_what_loads_it(make_plugin: MakePlugin) -> None:
    """The UI's icons: dlt, Iceberg and the type of the source."""
    assert specs_of(make_plugin())["ingestion__shop__orders"].kinds == {
        "dlt",
        "iceberg",
        "sql_database",
    }


def test_group_owners_and_tags_come_from_the_configuration(make_plugin: MakePlugin) -> None:
    """A resource's settings win over its source's; tags of both are shown."""
    specs = specs_of(
        make_plugin(
            group_name="sales",
            owners=["team:sales"],
            tags={"tier": "gold"},
            resources={"customers": {"owners": ["dpo@acme.com"], "tags": {"pii": "yes"}}},
        )
    )

    orders, customers = specs["ingestion__shop__orders"], specs["ingestion__shop__customers"]
    assert orders.group_name == customers.group_name == "sales"
    assert list(orders.owners) == ["team:sales"]
    assert list(customers.owners) == ["dpo@acme.com"]
    assert orders.tags["tier"] == customers.tags["tier"] == "gold"
    assert customers.tags["pii"] == "yes"
    assert "pii" not in orders.tags


def test_an_asset_belongs_to_its_source_by_default(make_plugin: MakePlugin) -> None:
    """Group and tag make a source's assets found together without any configuration."""
    spec = specs_of(make_plugin())["ingestion__shop__orders"]

    assert spec.group_name == "shop"
    assert spec.tags["floe/source"] == "shop"
    assert spec.description == "What customers ordered."


def test_an_asset_has_a_freshness_policy_with_the_check_s_windows(
    make_plugin: MakePlugin,
) -> None:
    """Dagster's own freshness shows the same as the check that reads Iceberg."""
    plugin = make_plugin(
        checks={"freshness": {"warn_after": "26h", "fail_after": "50h"}},
        resources={"customers": {"checks": {"freshness": {"deadline": "0 8 * * *"}}}},
    )

    specs = specs_of(plugin)

    assert specs["ingestion__shop__orders"].freshness_policy == dg.FreshnessPolicy.time_window(
        fail_window=timedelta(hours=50), warn_window=timedelta(hours=26)
    )
    assert specs["ingestion__shop__customers"].freshness_policy == dg.FreshnessPolicy.cron(
        deadline_cron="0 8 * * *", lower_bound_delta=timedelta(hours=24)
    )


def test_one_override_changes_every_asset(make_plugin: MakePlugin) -> None:
    """`get_asset_spec` is the only extension point, as in dagster-dlt."""

    class Gold(FloeDltTranslator):
        def get_asset_spec(self, data: DltResourceTranslatorData) -> dg.AssetSpec:
            return super().get_asset_spec(data).replace_attributes(group_name="gold")

    (assets,) = create_ingestion_assets(make_plugin(), translator_class=Gold)

    assert {spec.group_name for spec in assets.specs} == {"gold"}


@pytest.mark.parametrize(
    ("orchestration", "said"),
    [
        ({"cronn": "5 * * * *"}, ["orchestration.cronn", "did you mean 'cron'"]),
        ({"cron": "sometimes"}, ["orchestration.cron", "'sometimes'", "15 6 * * *"]),
        ({"cron_timezone": "Berlin"}, ["cron_timezone", "'Berlin'", "Europe/Berlin"]),
        ({"default_status": "on"}, ["default_status", "'on'", "stopped", "running"]),
        ({"default_status": "running"}, ["default_status", "set cron"]),
        ({"owners": ["sales"]}, ["owners", "'sales'", "team:data"]),
        ({"group_name": "our sales"}, ["group_name", "'our sales'"]),
        ({"deps": ["raw//shop"]}, ["deps", "'raw//shop'"]),
        ({"resources": {"order": {}}}, ["resources.order", "did you mean 'orders'"]),
    ],
)
def test_an_invalid_setting_is_reported_with_source_field_value_and_remedy(
    make_plugin: MakePlugin, orchestration: dict[str, object], said: list[str]
) -> None:
    """A code location with a wrong setting does not load, and says why."""
    with pytest.raises(ValueError, match="source 'shop'") as wrong:
        create_ingestion_assets(make_plugin(**orchestration))

    for part in said:
        assert part in str(wrong.value)
