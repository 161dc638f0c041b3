from typing import Any

import dagster as dg
import pyarrow as pa
import pytest
from pyiceberg.catalog import Catalog
from pyiceberg.table import Table

from floe_ingestion_defs.dagster_wiring import ObservedTable, create_observed_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

KEY = dg.AssetKey(["silver", "prices"])


@pytest.fixture
def prices(floe_catalog: Catalog) -> Table:
    """A table of another writer."""
    floe_catalog.create_namespace("silver")
    return floe_catalog.create_table("silver.prices", schema=pa.schema([("id", pa.int64())]))


@pytest.fixture
def observed() -> dg.Definitions:
    return create_observed_definitions(
        DltIngestionPlugin(), [ObservedTable(table="silver.prices", every="5m")]
    )


def look(definitions: dg.Definitions, cursor: str | None) -> Any:
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance=instance, cursor=cursor)
        return definitions.resolve_sensor_def("snapshots__silver__prices").evaluate_tick(context)


def test_a_new_snapshot_of_a_table_is_observed_once(
    prices: Table, observed: dg.Definitions
) -> None:
    """What is built on the table learns of it by the snapshot's id, its data version."""
    prices.append(pa.table({"id": [1, 2]}))

    first = look(observed, None)
    second = look(observed, first.cursor)
    prices.append(pa.table({"id": [3]}))
    third = look(observed, second.cursor or first.cursor)

    (observation,) = first.asset_events
    assert observation.asset_key == KEY
    assert observation.metadata["dagster/row_count"].value == 2
    # A number would be plotted.
    assert isinstance(observation.metadata["snapshot_id"].value, str)
    assert second.asset_events == []
    assert [event.metadata["dagster/row_count"].value for event in third.asset_events] == [3]


def test_a_table_without_a_snapshot_is_skipped_until_it_has_one(
    prices: Table, observed: dg.Definitions
) -> None:
    """So is one that does not exist yet."""
    assert look(observed, None).asset_events == []
    open_catalog().drop_table("silver.prices")
    assert look(observed, None).asset_events == []


def test_assets_downstream_run_when_the_table_has_changed(
    prices: Table, observed: dg.Definitions
) -> None:
    """Dagster's automation sees the observation as news from upstream."""

    @dg.asset(deps=[KEY], automation_condition=dg.AutomationCondition.eager())
    def report() -> None: ...

    definitions = dg.Definitions.merge(observed, dg.Definitions(assets=[report]))
    with dg.DagsterInstance.ephemeral() as instance:
        dg.materialize([report], instance=instance, selection=[report])
        before = dg.evaluate_automation_conditions(definitions, instance)
        prices.append(pa.table({"id": [1]}))
        context = dg.build_sensor_context(instance=instance)
        sensor = definitions.resolve_sensor_def("snapshots__silver__prices")
        for event in sensor.evaluate_tick(context).asset_events:
            instance.report_runless_asset_event(event)
        after = dg.evaluate_automation_conditions(definitions, instance, cursor=before.cursor)

    assert (before.total_requested, after.total_requested) == (0, 1)


def test_a_table_can_be_observed_by_hand(prices: Table, observed: dg.Definitions) -> None:
    """The button in the UI does what the sensor does."""
    prices.append(pa.table({"id": [1, 2]}))
    job = dg.define_asset_job("look", selection=dg.AssetSelection.all(include_sources=True))
    definitions = dg.Definitions.merge(observed, dg.Definitions(jobs=[job]))

    result = definitions.resolve_job_def("look").execute_in_process()

    (observation,) = result.asset_observations_for_node("observe_silver__prices")
    assert observation.metadata["dagster/row_count"].value == 2
    assert observation.data_version is not None


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"table": "prices"}, "no namespace"),
        ({"table": "a.b", "every": "x"}, "not a valid duration"),
    ],
)
def test_an_invalid_setting_is_rejected(settings: dict[str, str], said: str) -> None:
    """As everywhere, the message says what would be right."""
    with pytest.raises(ValueError, match=said):
        ObservedTable(**settings)
