import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from dlt.common.normalizers.naming.snake_case import NamingConvention

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.sources.source_columns import SourceColumns

Load = Callable[..., dg.ExecuteInProcessResult]

ORDERS = dg.AssetKey("ingestion__shop__orders")
UPSTREAM = dg.AssetKey("source__shop__orders")


def lineage_of(
    result: dg.ExecuteInProcessResult, key: dg.AssetKey = ORDERS
) -> dict[str, list[tuple[dg.AssetKey, str]]] | None:
    """Return the recorded lineage of an asset: the upstream columns of each of its columns."""
    (event,) = [
        event for event in result.get_asset_materialization_events() if event.asset_key == key
    ]
    found = event.materialization.metadata.get("dagster/column_lineage")
    if found is None:
        return None
    assert isinstance(found, dg.TableColumnLineageMetadataValue)
    return {
        name: [(dep.asset_key, dep.column_name) for dep in deps]
        for name, deps in found.column_lineage.deps_by_column.items()
    }


def load_files(rows: list[dict[str, Any]], folder: Path, **settings: Any) -> dg.Definitions:
    """Return a location with a source of one JSONL file."""
    folder.mkdir(exist_ok=True)
    (folder / f"{len(list(folder.iterdir()))}.jsonl").write_text(
        "\n".join(json.dumps(row) for row in rows)
    )
    source = {
        "name": "shop",
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(folder), "file_glob": "*.jsonl", "format": "jsonl"},
        "destination_table": "bronze.orders",
        **settings,
    }
    return build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))


def test_the_lineage_of_a_column_is_the_renamed_column_of_the_source(
    load: Load, database: sqlite3.Connection
) -> None:
    """Names are normalized, so a column is found in the source system only by its lineage."""
    database.execute('alter table orders rename column total to "TotalAmount"')
    database.commit()

    found = lineage_of(load())

    assert found is not None
    assert found["total_amount"] == [(UPSTREAM, "TotalAmount")]
    assert found["id"] == [(UPSTREAM, "id")]
    assert set(found) == {"id", "total_amount", "updated_at", "_dlt_load_id"}


def test_a_load_with_nothing_new_keeps_the_lineage(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """The UI shows the lineage of the last materialization, which must be complete."""
    shop["orchestration"] = {"resources": {"orders": {"upstream": "raw/orders"}}}
    first = lineage_of(load())

    assert first == lineage_of(load())
    assert first is not None
    assert first["total"] == [(dg.AssetKey(["raw", "orders"]), "total")]


def test_without_an_asset_upstream_there_is_no_lineage(load: Load, shop: dict[str, Any]) -> None:
    """Lineage names columns of an asset; without one there is nothing to name."""
    shop["orchestration"] = {"upstream": False}

    assert lineage_of(load()) is None


def test_the_lineage_of_a_field_of_an_object_is_its_path(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    """Objects become columns, and two names that differ by case become one column."""
    rows = [
        {"id": 1, "shipTo": {"City": "Bonn", "geo": {"lat": 50.7}}},
        {"id": 2, "Note": "gift"},
    ]
    python = {"factory": f"{__name__}:objects", "arguments": {"rows": rows}}
    source = {
        "name": "shop",
        "source_type": "python",
        "source_config": {**python, "resource_names": ["orders"]},
        "destination_table": "bronze.{resource}",
    }
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))

    job = definitions.resolve_job_def("ingestion__shop")
    found = lineage_of(job.execute_in_process(instance=instance))

    assert found is not None
    assert found["ship_to__city"] == [(UPSTREAM, "shipTo.City")]
    assert found["ship_to__geo__lat"] == [(UPSTREAM, "shipTo.geo.lat")]
    assert found["note"] == [(UPSTREAM, "Note")]
    assert found["_dlt_load_id"] == found["_dlt_id"] == []


def objects(rows: list[dict[str, Any]]) -> Any:
    """Return a resource of the given rows."""
    import dlt

    return dlt.resource(rows, name="orders")


def test_data_frames_have_lineage_and_other_objects_are_passed_on() -> None:
    """What a resource yields is not changed, whatever it is."""
    step, frame, other = SourceColumns(), pd.DataFrame({"OrderID": [1]}), object()

    assert step(frame) is frame
    assert step(other) is other
    found = step.of_table(["order_id", "note"], NamingConvention())
    assert found.with_values == {"order_id": ("OrderID",)}


@pytest.mark.parametrize("contract", ["evolve", "discard_value"])
def test_files_and_contracts_do_not_change_the_lineage(
    tmp_path: Path, instance: dg.DagsterInstance, contract: str
) -> None:
    """A column that the contract removes has none; one of an earlier file keeps its own."""
    settings = {"schema_contract": contract, "columns": {"OrderID": "bigint"}}
    first = load_files([{"OrderID": 1, "Gate": "A"}], tmp_path / "files", **settings)
    key = dg.AssetKey("ingestion__shop__orders")

    found = lineage_of(
        first.resolve_job_def("ingestion__shop").execute_in_process(instance=instance), key
    )
    again = load_files([{"OrderID": 2}], tmp_path / "files", **settings)
    later = lineage_of(
        again.resolve_job_def("ingestion__shop").execute_in_process(instance=instance), key
    )

    assert found is not None
    assert found["order_id"] == [(UPSTREAM, "OrderID")]
    assert ("gate" in found) == (contract == "evolve")
    assert found == later
