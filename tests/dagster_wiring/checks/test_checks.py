import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

Load = Callable[..., dg.ExecuteInProcessResult]
MakePlugin = Callable[..., DltIngestionPlugin]

ORDERS = dg.AssetKey("ingestion__shop__orders")
CUSTOMERS = dg.AssetKey("ingestion__shop__customers")


def evaluations_of(
    result: dg.ExecuteInProcessResult,
) -> dict[tuple[dg.AssetKey, str], dg.AssetCheckEvaluation]:
    return {
        (evaluation.asset_key, evaluation.check_name): evaluation
        for evaluation in result.get_asset_check_evaluations()
    }


def test_checks_of_schema_age_and_health_are_enabled_by_default(
    make_plugin: MakePlugin,
) -> None:
    """They cost next to nothing, and what they find affects the readers of the table."""
    graph = build_ingestion_definitions(make_plugin()).resolve_asset_graph()

    assert {(key.asset_key, key.name) for key in graph.asset_check_keys} == {
        (ORDERS, "schema_contract"),
        (ORDERS, "freshness"),
        (ORDERS, "table_health"),
        (CUSTOMERS, "schema_contract"),
        (CUSTOMERS, "freshness"),
        (CUSTOMERS, "table_health"),
    }


def test_checks_are_configured_on_a_source_and_on_a_resource(make_plugin: MakePlugin) -> None:
    """A resource's own setting of a check takes the place of the source's."""
    plugin = make_plugin(
        checks={"schema_contract": False, "table_health": False, "unique_key": True},
        resources={"orders": {"checks": {"unique_key": False, "freshness": {"fail_after": "2d"}}}},
    )

    graph = build_ingestion_definitions(plugin).resolve_asset_graph()

    assert {(key.asset_key, key.name) for key in graph.asset_check_keys} == {
        (ORDERS, "freshness"),
        (CUSTOMERS, "freshness"),
        (CUSTOMERS, "unique_key"),
    }


def test_the_description_of_a_check_states_its_requirement(
    make_plugin: MakePlugin,
) -> None:
    """The UI shows this sentence above the figures."""
    plugin = make_plugin(
        checks={
            "freshness": {"fail_after": "26h"},
            "unique_key": True,
            "not_null": True,
            "row_count_change": {"max_decrease": 0.2},
        }
    )

    (checks,) = build_ingestion_definitions(plugin).asset_checks or []
    described = {spec.name: spec.description for spec in checks.check_specs}

    assert described == {
        "schema_contract": "The table has all declared columns, with their declared types.",
        "freshness": "The last successful load is no more than 26 hours old.",
        "table_health": "All committed loads are published and were not removed, and the table has "
        "few small files, deleted rows and old snapshots.",
        "unique_key": "No two rows have the same key `id`.",
        "not_null": "Every row has a value in `id`.",
        "row_count_change": "A load removes no more than 20% of the table's rows.",
    }


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"schema_contrakt": True}, "schema_contrakt"),
        ({"freshness": True}, "fail_after"),
        ({"unique_key": {"severity": "warn", "blocking": True}}, "never blocks"),
    ],
)
def test_an_invalid_check_stops_the_location(
    make_plugin: MakePlugin, checks: dict[str, Any], said: str
) -> None:
    """The message names the source and the field, as for any other setting."""
    with pytest.raises(ValueError, match=f"source 'shop'(.|\n)*{said}"):
        build_ingestion_definitions(make_plugin(checks=checks))


def test_a_check_that_does_not_fit_its_resource_stops_the_location(shop: dict[str, Any]) -> None:
    """Such as a clock without a cursor, or a key without columns."""
    del shop["cursor_field"]
    shop["orchestration"] = {"checks": {"freshness": {"clock": "cursor", "fail_after": "1d"}}}

    with pytest.raises(ValueError, match="requires a cursor_field"):
        build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))


def test_checks_run_with_every_load(load: Load, shop: dict[str, Any]) -> None:
    """All of them, on the table as it is after the load."""
    shop["orchestration"] = {
        "checks": {
            "freshness": {"fail_after": "26h"},
            "unique_key": True,
            "not_null": True,
            "row_count_change": True,
        }
    }

    evaluations = evaluations_of(load())

    assert len(evaluations) == 12
    assert all(evaluation.passed for evaluation in evaluations.values())


def test_a_check_can_be_run_alone(
    load: Load, shop: dict[str, Any], instance: dg.DagsterInstance
) -> None:
    """It loads nothing."""
    shop["orchestration"] = {"checks": {"freshness": {"fail_after": "26h"}}}
    load()
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
    key = dg.AssetCheckKey(ORDERS, "freshness")
    alone = dg.define_asset_job("alone", selection=dg.AssetSelection.checks(key))

    result = (
        dg.Definitions.merge(definitions, dg.Definitions(jobs=[alone]))
        .resolve_job_def("alone")
        .execute_in_process(instance=instance)
    )

    assert list(evaluations_of(result)) == [(ORDERS, "freshness")]
    assert result.get_asset_materialization_events() == []


def test_a_check_of_severity_warn_does_not_fail_the_run(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection
) -> None:
    """It is shown as a warning, and everything continues."""
    shop["primary_key"] = ["id", "updated_at"]
    shop["orchestration"] = {"checks": {"unique_key": {"columns": "id", "severity": "warn"}}}
    database.execute("insert into orders values (1, 0.5, '2026-01-09')")
    database.commit()

    result = load()

    evaluation = evaluations_of(result)[ORDERS, "unique_key"]
    assert result.success
    assert not evaluation.passed
    assert evaluation.severity == dg.AssetCheckSeverity.WARN


def test_a_violated_frozen_contract_is_shown_as_a_failed_check(
    load: Load,
    shop: dict[str, Any],
    database: sqlite3.Connection,
    instance: dg.DagsterInstance,
) -> None:
    """Nothing is published, and the check names the column although it could not run."""
    shop["schema_contract"] = "freeze"
    load()
    database.execute("alter table orders add column note text")
    database.execute("insert into orders values (4, 1.0, '2026-01-04', 'gift')")
    database.commit()

    result = load(raise_on_error=False)

    evaluation = evaluations_of(result)[ORDERS, "schema_contract"]
    key = dg.AssetCheckKey(ORDERS, "schema_contract")
    (shown, *_) = instance.event_log_storage.get_asset_check_execution_history(key, limit=1)
    assert shown.status.value == "FAILED"
    assert not result.success
    assert not evaluation.passed
    assert evaluation.metadata["column"].value == "note"
    assert open_catalog().load_table("bronze.shop_orders").scan().to_arrow().num_rows == 3


def test_a_load_that_fails_leaves_the_other_checks_as_they_are(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection, instance: dg.DagsterInstance
) -> None:
    """If all were red, the violated one would be hidden; they evaluate the unchanged table.

    With `isolation: resource`, what a neighbour loaded is looked at although the step failed.
    """
    checks = {"unique_key": True, "not_null": True, "row_count_change": True}
    shop.update(schema_contract="freeze", isolation="resource")
    shop["orchestration"] = {"checks": checks}
    load()
    database.execute("alter table orders add column note text")
    database.execute("insert into orders values (4, 1.0, '2026-01-04', 'gift')")
    database.execute("insert into customers values (3, '2026-01-03')")
    database.commit()

    result = load(raise_on_error=False)

    history = instance.event_log_storage.get_asset_check_execution_history
    shown = {
        (key, name): history(dg.AssetCheckKey(key, name), limit=1)[0]
        for key in (ORDERS, CUSTOMERS)
        for name in ("schema_contract", *checks)
    }
    assert {record.run_id for record in shown.values()} == {result.run_id}
    red = [of for of, record in shown.items() if record.status.value != "SUCCEEDED"]
    assert red == [(ORDERS, "schema_contract")]
    changed = evaluations_of(result)[CUSTOMERS, "row_count_change"].metadata
    assert (changed["rows_before"].value, changed["rows"].value) == (2, 3)


def test_a_table_that_cannot_be_read_does_not_hide_why_the_load_failed(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the catalog is unavailable, the run shows the failure of the load."""
    load()
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__URI", "sqlite:////proc/nowhere/catalog.db")

    result = load(raise_on_error=False)

    (failure,) = [event for event in result.all_events if event.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert data.metadata["source"].value == "shop"
    assert list(result.get_asset_check_evaluations()) == []


PEOPLE = """
import dlt

ROWS = [{"id": 1, "pets": [{"name": "Rex"}]}]


def people():
    return dlt.resource(ROWS, name="people")
"""


def test_a_violation_in_a_nested_table_is_shown_on_the_asset_of_its_root(
    instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the root is an asset, so the check is shown there."""
    (tmp_path / "frozen_people.py").write_text(PEOPLE)
    monkeypatch.syspath_prepend(tmp_path)
    source = {
        "name": "crm",
        "source_type": "python",
        "source_config": {"factory": "frozen_people:people", "resource_names": ["people"]},
        "destination_table": "bronze.{resource}",
        "schema_contract": "freeze",
    }
    definitions = build_ingestion_definitions(DltIngestionPlugin({"sources": [source]}))
    job = definitions.resolve_job_def("ingestion__crm")
    assert job.execute_in_process(instance=instance).success
    sys.modules["frozen_people"].ROWS[0]["pets"] = [{"name": "Rex", "kind": "dog"}]

    result = job.execute_in_process(instance=instance, raise_on_error=False)

    (evaluation,) = [
        found
        for found in result.get_asset_check_evaluations()
        if found.check_name == "schema_contract"
    ]
    assert evaluation.asset_key == dg.AssetKey("ingestion__crm__people")
    assert (evaluation.passed, evaluation.metadata["column"].value) == (False, "kind")
