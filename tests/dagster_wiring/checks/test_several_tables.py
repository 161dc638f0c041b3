"""An asset whose rows name their tables lists and checks each of them."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import dlt
import pytest

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

ASSET = dg.AssetKey("ingestion__github__events")
EVENTS: list[dict[str, Any]] = []
FIRST = [{"id": 1, "type": "push", "size": 1}, {"id": 2, "type": "fork", "size": 2}]


@dlt.resource(name="events", table_name=lambda row: row["type"], write_disposition="append")
def events() -> Iterator[Any]:
    yield EVENTS


@pytest.fixture
def offer(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set the events of the source; the plugin imports this file under another name."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    module = importlib.import_module("test_several_tables")
    return lambda *rows: monkeypatch.setattr(module, "EVENTS", list(rows))


def run(
    instance: dg.DagsterInstance, checks: dict[str, Any], *, succeeds: bool = True
) -> dg.ExecuteInProcessResult:
    source = {
        "name": "github",
        "source_type": "python",
        "source_config": {"factory": "test_several_tables:events", "resource_names": ["events"]},
        "destination_table": "bronze.{resource}",
        "orchestration": {"checks": checks},
    }
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))
    job = definitions.resolve_job_def("ingestion__github")
    result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert result.success == succeeds
    return result


def test_an_asset_lists_and_checks_the_tables_that_its_rows_name(
    offer: Callable[..., None], instance: dg.DagsterInstance
) -> None:
    offer(*FIRST)
    checks = {"unique_key": {"columns": "id"}, "not_null": {"columns": "size"}}
    result = run(instance, checks)
    (materialization,) = result.asset_materializations_for_node("load_github")
    metadata = {name: value.value for name, value in materialization.metadata.items()}
    assert (metadata["rows_loaded"], metadata["dagster/row_count"], metadata["tables"]) == (2, 2, 2)
    listed = materialization.metadata["loaded_tables"]
    assert isinstance(listed, dg.TableMetadataValue)
    assert [record.data["table"] for record in listed.records] == ["bronze.fork", "bronze.push"]
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    assert evaluations["unique_key"].passed
    assert evaluations["not_null"].passed
    offer({"id": 1, "type": "push", "size": None}, {"id": 3, "type": "star", "size": 1})
    result = run(instance, checks)
    evaluations = {e.check_name: e for e in result.get_asset_check_evaluations()}
    for name in ("unique_key", "not_null"):
        assert not evaluations[name].passed
        assert "bronze.push: " in str(evaluations[name].description)
        assert evaluations[name].metadata["failed_tables"].value == 1


def test_a_blocking_check_of_one_table_keeps_the_load_from_being_published(
    offer: Callable[..., None], instance: dg.DagsterInstance
) -> None:
    checks = {"unique_key": {"columns": "id", "blocking": True}}
    offer(*FIRST)
    run(instance, checks)
    offer({"id": 3, "type": "push", "size": 3}, {"id": 2, "type": "fork", "size": 4})
    result = run(instance, checks, succeeds=False)
    failed = [e for e in result.get_asset_check_evaluations() if not e.passed]
    assert [evaluation.check_name for evaluation in failed] == ["unique_key"]
    for table, ids in (("push", [1]), ("fork", [2])):
        rows = open_catalog().load_table(f"bronze.{table}").scan().to_arrow()
        assert rows["id"].to_pylist() == ids
