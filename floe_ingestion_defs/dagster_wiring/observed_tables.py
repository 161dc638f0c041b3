"""Iceberg tables that other systems write, as assets that Dagster observes.

Downstream assets of such a table can then run when it has a new snapshot, and the lineage shows
where the data comes from.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import dagster as dg
from pydantic import Field, field_validator

from floe_ingestion_defs.dagster_wiring.automation.default_status import sensor_status
from floe_ingestion_defs.dagster_wiring.beta_warnings import allow_beta
from floe_ingestion_defs.dagster_wiring.settings.types import (
    AssetKeyText,
    Duration,
    Group,
    OneOrMore,
    Owner,
    Settings,
)
from floe_ingestion_defs.dagster_wiring.translator import STORAGE_KIND
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.config.field_rules import check_destination_table

_DATA_VERSION_TAG = "dagster/data_version"


class ObservedTable(Settings):
    """A table of the catalog that another system writes."""

    table: str = Field(description="Table to observe, as namespace.table.")
    key: AssetKeyText | None = Field(
        default=None,
        description="Key of the asset, with parts separated by '/'. Default: namespace/table.",
    )
    every: Duration = Field(
        default="1m",
        validate_default=True,
        description="How often a sensor looks for a new snapshot, such as '5m'.",
    )
    default_status: Literal["stopped", "running"] = Field(
        default="stopped",
        description="Whether the sensor is running as soon as the location is deployed.",
    )
    description: str | None = Field(
        default=None, description="Description of the table, shown in Dagster."
    )
    group_name: Group | None = Field(default=None, description="Asset group in the UI.")
    owners: OneOrMore[Owner] = Field(
        default=(),
        description="Owners of the asset: e-mail addresses, or teams such as 'team:data'.",
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Tags of the asset.")
    deps: OneOrMore[AssetKeyText] = Field(
        default=(),
        description="Keys of upstream assets, from which the table is built, with parts separated "
        "by '/'. Default: none.",
    )

    @field_validator("table")
    @classmethod
    def _table_has_a_namespace(cls, value: str) -> str:
        return check_destination_table(value)

    @property
    def asset_key(self) -> dg.AssetKey:
        """Key of the asset."""
        return dg.AssetKey.from_user_string(self.key or self.table.replace(".", "/"))

    @property
    def identifier(self) -> str:
        """The table's identifier in a form that can be part of a name."""
        return self.table.replace(".", "__")


def create_observed_definitions(
    plugin: DltIngestionPlugin, tables: Sequence[ObservedTable]
) -> dg.Definitions:
    """Create an observable asset for each table, and the sensor that observes it.

    Args:
        plugin: The plugin, whose configuration defines the catalog.
        tables: The tables.
    """
    return dg.Definitions(
        assets=[_create_asset(plugin, table) for table in tables],
        sensors=[_create_sensor(plugin, table) for table in tables],
    )


@allow_beta("multi_observable_source_asset")
def _create_asset(plugin: DltIngestionPlugin, table: ObservedTable) -> dg.AssetsDefinition:
    spec = dg.AssetSpec(
        table.asset_key,
        description=table.description,
        group_name=table.group_name,
        owners=table.owners,
        tags=table.tags,
        deps=[dg.AssetKey.from_user_string(key) for key in table.deps],
        kinds={STORAGE_KIND},
        metadata={"dagster/table_name": table.table, "dagster/storage_kind": STORAGE_KIND},
    )

    @dg.multi_observable_source_asset(  # type: ignore[untyped-decorator]
        name=f"observe_{table.identifier}", specs=[spec]
    )
    def observe() -> Iterator[dg.ObserveResult]:
        snapshot = _read_snapshot(plugin, table)
        if snapshot is not None:
            yield dg.ObserveResult(
                asset_key=table.asset_key,
                data_version=dg.DataVersion(str(snapshot["snapshot_id"])),
                metadata=snapshot,
            )

    assets: dg.AssetsDefinition = observe
    return assets


def _create_sensor(plugin: DltIngestionPlugin, table: ObservedTable) -> dg.SensorDefinition:
    @dg.sensor(
        name=f"snapshots__{table.identifier}",
        target=None,
        minimum_interval_seconds=int(table.every.total_seconds()),
        default_status=sensor_status(running=table.default_status == "running"),
        description=f"Observe every new snapshot of `{table.table}`.",
    )
    def look_for_snapshot(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        snapshot = _read_snapshot(plugin, table)
        if snapshot is None:
            return dg.SkipReason(f"{table.table} has no snapshot yet.")
        version = str(snapshot["snapshot_id"])
        if version == context.cursor:
            return dg.SkipReason(f"{table.table} has no new snapshot.")
        observation = dg.AssetObservation(
            asset_key=table.asset_key, metadata=snapshot, tags={_DATA_VERSION_TAG: version}
        )
        return dg.SensorResult(asset_events=[observation], cursor=version)

    return look_for_snapshot


def _read_snapshot(plugin: DltIngestionPlugin, table: ObservedTable) -> dict[str, Any] | None:
    """Return the metadata of a table's current snapshot; None if it has none."""
    from floe_ingestion_defs.dagster_wiring.tables import load_tables
    from floe_ingestion_defs.destinations import row_count

    found = load_tables(plugin, [table.table])[table.table]
    snapshot = found.current_snapshot() if found is not None else None
    if found is None or snapshot is None:
        return None
    rows = row_count(snapshot)
    return {
        "dagster/uri": found.location(),
        # A string, because a plot of identifiers over time is meaningless.
        "snapshot_id": str(snapshot.snapshot_id),
        "committed_at": dg.MetadataValue.timestamp(snapshot.timestamp_ms / 1000),
        **({} if rows is None else {"dagster/row_count": rows}),
    }
