from pathlib import Path
from typing import Any

import dagster as dg
import dlt
import pytest
from dagster_dlt import dlt_assets

from floe_ingestion_defs.dagster_wiring import FloeDltResource, create_ingestion_assets
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin


def test_assets_of_dagster_dlt_run_with_the_resource_too(tmp_path: Path) -> None:
    """A location that has some of its own keeps them, under the single key `dlt`."""

    @dlt.source(name="own")
    def own() -> Any:
        return dlt.resource([{"id": 1}, {"id": 2}], name="things")

    pipeline = dlt.pipeline(
        "own", pipelines_dir=str(tmp_path), destination="iceberg", dataset_name="bronze"
    )

    @dlt_assets(dlt_source=own(), dlt_pipeline=pipeline)
    def assets(context: dg.AssetExecutionContext, dlt: FloeDltResource) -> Any:
        yield from dlt.run(context=context)

    result = dg.materialize([assets], resources={"dlt": FloeDltResource()})

    assert result.success
    assert open_catalog().load_table("bronze.things").scan().to_arrow().num_rows == 2


def test_a_source_of_the_plugin_is_not_run_with_another_source(
    shop: dict[str, Any],
) -> None:
    """The plugin makes one for every run; a caller that passes one would believe it was loaded."""
    (assets,) = create_ingestion_assets(DltIngestionPlugin({"sources": [shop]}))

    @dlt.source(name="other")
    def other() -> Any:
        return dlt.resource([], name="things")

    @dg.multi_asset(specs=list(assets.specs), can_subset=True)
    def with_a_source(context: dg.AssetExecutionContext, dlt: FloeDltResource) -> Any:
        yield from dlt.run(context=context, dlt_source=other())

    with pytest.raises(dg.DagsterInvariantViolationError, match="without dlt_source"):
        dg.materialize([with_a_source], resources={"dlt": FloeDltResource()})
