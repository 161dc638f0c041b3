"""Maintenance in Dagster: a job per dataset, an op per table, and observations of the assets."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import dlt
import pytest
from pydantic import ValidationError
from servers.process import free_port

from floe_ingestion_defs.dagster_wiring import (
    build_ingestion_definitions,
    create_shared_definitions,
)
from floe_ingestion_defs.dagster_wiring.automation import maintenance
from floe_ingestion_defs.dagster_wiring.settings.maintenance import MaintenanceSettings
from floe_ingestion_defs.destinations import Dataset, open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
from floe_ingestion_defs.dlt_plugin import DltIngestionConfig, DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

JOB = "maintenance__bronze"


def definitions(
    executor: str = "threads",
    resources: dict[str, dict[str, Any]] | None = None,
    **maintenance: Any,
) -> dg.Definitions:
    """A location with a source per keyword, whose value is its block `maintenance`.

    `resources` has the blocks of their resources, which have the names of the sources.
    """
    of_resources = {
        name: {"resources": {name: {"maintenance": block}}}
        for name, block in (resources or {}).items()
    }
    sources = [
        {
            "name": name,
            "source_type": "filesystem",
            "source_config": {"bucket_url": "data", "file_glob": f"{name}.csv", "format": "csv"},
            "destination_table": f"bronze.{name}",
            "orchestration": {
                **({} if block is None else {"maintenance": block}),
                **of_resources.get(name, {}),
            },
        }
        for name, block in maintenance.items()
    ]
    config = {"sources": sources, "rewrite_executor": executor}
    plugin = DltIngestionPlugin(DltIngestionConfig.model_validate(config))
    loaded = build_ingestion_definitions(plugin)
    return dg.Definitions.merge(loaded, create_shared_definitions(loaded))


@pytest.fixture
def small_files(floe_catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """A dataset whose table `orders` has five small files, and a table with one."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    pipeline = dlt.pipeline(
        "till", destination="iceberg", dataset_name="bronze", pipelines_dir=str(tmp_path / "work")
    )
    for n in range(5):
        tables = ["orders", "returns"] if n == 0 else ["orders"]
        pipeline.run([dlt.resource([{"id": n}], name=name) for name in tables])
    return Dataset(open_catalog(), "bronze")


def test_each_table_is_compacted_in_an_op_of_its_own_and_observed(small_files: Dataset) -> None:
    """The observation has the numbers before and after; all tables of the dataset take part."""
    job = definitions(orders={}, returns=None).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
    assert result.success
    observed = {
        str(event.asset_key.to_user_string()): event.asset_observation_data.asset_observation
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION" and event.asset_key is not None
    }
    assert set(observed) == {"ingestion__orders__orders", "ingestion__returns__returns"}
    metadata = observed["ingestion__orders__orders"].metadata
    assert metadata["files_before"].value == 5
    assert metadata["files_after"].value == 1
    assert (metadata["snapshots_before"].value, metadata["snapshots_expired"].value) == (6, 0)
    orders = small_files.load_table("orders")
    assert orders is not None
    assert len(list(orders.scan().plan_files())) == 1
    assert orders.scan().to_arrow()["id"].to_pylist() == [0, 1, 2, 3, 4]
    steps = {event.step_key for event in result.all_events if event.is_step_success}
    assert {"compact__bronze[orders]", "compact__bronze[returns]"} <= steps
    assert "remove_orphans__bronze" in steps
    assert job.tags["dagster/priority"] == "-10"
    pools = {
        node.name: node.pool for node in job.all_node_defs if isinstance(node, dg.OpDefinition)
    }
    assert pools == {
        "list_tables__bronze": None,
        "compact__bronze": "ingestion_maintenance",
        "remove_orphans__bronze": "ingestion_maintenance",
    }


def test_old_snapshots_expire_in_the_op_of_their_table(small_files: Dataset) -> None:
    """By the age that the block says, all but the newest ten."""
    for _ in range(7):
        orders = small_files.load_table("orders")
        assert orders is not None
        with orders.transaction() as transaction:
            add_snapshot(transaction, ())
    job = definitions(orders={"compact": False, "expire": "1m"}).resolve_job_def(JOB)
    orders = small_files.load_table("orders")
    assert orders is not None
    with orders.transaction() as transaction:
        transaction.set_properties({"history.expire.max-snapshot-age-ms": "0"})
    with dg.DagsterInstance.ephemeral() as instance:
        assert job.execute_in_process(instance=instance).success
    orders = small_files.load_table("orders")
    assert orders is not None
    assert len(orders.metadata.snapshots) == 10
    assert sorted(orders.scan().to_arrow()["id"].to_pylist()) == [0, 1, 2, 3, 4]


def test_a_resource_s_block_overrides_its_dataset_s(small_files: Dataset) -> None:
    """For its own table; what it does not mention is as for the dataset."""
    for n in range(5):
        load_returns(small_files, [n + 100])
    job = definitions(
        resources={"returns": {"compact": False}}, orders={"expire": None}, returns=None
    ).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance)
    observed = {
        event.asset_key.to_user_string()
        for event in result.all_events
        if event.event_type_value == "ASSET_OBSERVATION" and event.asset_key is not None
    }
    assert observed == {"ingestion__orders__orders"}
    assert (count_files(small_files, "orders"), count_files(small_files, "returns")) == (1, 6)


def load_returns(dataset: Dataset, ids: list[int]) -> None:
    pipeline = dlt.pipeline("returns", destination="iceberg", dataset_name=dataset.name)
    rows = [{"id": id_, "Shop No": id_} for id_ in ids]
    pipeline.run(dlt.resource(rows, name="returns"))


def count_files(dataset: Dataset, table: str) -> int:
    loaded = dataset.load_table(table)
    assert loaded is not None
    return len(list(loaded.scan().plan_files()))


def test_combined_files_are_z_ordered_by_columns_of_a_resource(small_files: Dataset) -> None:
    """The columns have the source's names; a table that is in one file stays as it is."""
    for n in range(5):
        load_returns(small_files, [n, 50 - n])
    blocks: dict[str, dict[str, Any]] = {
        "returns": {"z_order": ["id", "Shop No"]},
        "orders": {"z_order": "id"},
    }
    job = definitions(resources=blocks, orders={"compact": False}, returns=None).resolve_job_def(
        JOB
    )
    for _ in range(2):
        with dg.DagsterInstance.ephemeral() as instance:
            assert job.execute_in_process(instance=instance).success
        returns = small_files.load_table("returns")
        assert returns is not None
        snapshot = returns.current_snapshot()
        assert snapshot is not None
        assert len(returns.metadata.snapshots) == 7
        ids = returns.scan().to_arrow()["id"].to_pylist()
        assert ids == [0, 0, 1, 2, 3, 4, 46, 47, 48, 49, 50]
    assert count_files(small_files, "orders") == 1


def test_a_column_to_z_order_by_that_the_table_lacks_is_an_error(small_files: Dataset) -> None:
    """It names the table, the column and the remedy; the other tables are compacted."""
    load_returns(small_files, [1])
    blocks = {"returns": {"z_order": ["shop_nr"]}}
    job = definitions(resources=blocks, orders={}, returns=None).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "compact__bronze[returns]"
    error = str(failed.step_failure_data.error)
    assert "CONFIGURATION: bronze.returns" in error
    assert (
        "Table `bronze.returns` cannot be z-ordered: it has no column `shop_nr`; did you mean "
        "`shop_no`?" in error
    )
    assert count_files(small_files, "orders") == 1


def test_a_resource_s_block_that_has_no_effect_is_rejected() -> None:
    with pytest.raises(PipelineConfigurationError, match=r"maintenance of bronze.orders is conf"):
        definitions(resources={"orders": {"expire": "30d"}}, orders=None)
    with pytest.raises(PipelineConfigurationError, match="z_order has no effect without compact"):
        definitions(resources={"orders": {"compact": False, "z_order": "id"}}, orders={})


def test_a_dataset_is_maintained_only_if_a_source_says_so() -> None:
    with pytest.raises(dg.DagsterInvariantViolationError, match=JOB):
        definitions(orders=None).resolve_job_def(JOB)
    schedule = definitions(orders={"schedule": "30 2 * * *"}).resolve_schedule_def(
        f"{JOB}_schedule"
    )
    assert schedule.cron_schedule == "30 2 * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


def test_sources_of_one_dataset_agree_on_its_maintenance() -> None:
    assert definitions(orders={}, returns={}).resolve_job_def(JOB)
    with pytest.raises(
        PipelineConfigurationError, match="'orders' and 'returns' load into dataset"
    ):
        definitions(orders={}, returns={"compact": False})


def test_orphans_are_not_deleted_while_a_load_may_commit_them() -> None:
    assert MaintenanceSettings().orphans == timedelta(days=3)
    assert MaintenanceSettings(orphans=None).orphans is None
    with pytest.raises(ValidationError, match="orphans must be at least '1d'"):
        MaintenanceSettings.model_validate({"orphans": "23h"})


def test_the_op_that_deletes_orphans_says_which_clone_keeps_them(small_files: Dataset) -> None:
    orders = small_files.load_table("orders")
    assert orders is not None
    task = next(iter(orders.scan().plan_files()))
    path = Path(task.file.file_path.removeprefix("file://"))
    orphan = path.with_name(path.name.replace(path.stem[-32:], "0" * 32))
    orphan.write_bytes(path.read_bytes())
    os.utime(orphan, (0, 0))
    small_files.catalog.create_namespace("other")
    small_files.catalog.register_table("other.copy", orders.metadata_location)
    job = definitions(orders={"compact": False}).resolve_job_def(JOB)

    def sweep() -> dict[str, object]:
        with dg.DagsterInstance.ephemeral() as instance:
            result = job.execute_in_process(instance=instance)
        (output,) = (
            event.step_output_data.metadata
            for event in result.all_events
            if event.event_type_value == "STEP_OUTPUT"
            and event.step_key == "remove_orphans__bronze"
        )
        return {name: entry.value for name, entry in output.items()}

    found = sweep()
    assert (found["files_deleted"], found["files_in_doubt"]) == (0, 1)
    assert found["kept_because"] == "`other.copy` uses its folder"
    small_files.catalog.drop_table("other.copy")
    found = sweep()
    assert (found["files_deleted"], found["files_in_doubt"]) == (1, 0)
    assert "kept_because" not in found


def test_a_table_that_fails_does_not_hold_up_the_others(small_files: Dataset) -> None:
    """The failure shows the category and what to do."""
    table = small_files.load_table("returns")
    assert table is not None
    Path(table.metadata_location.removeprefix("file://")).write_text("{}")
    job = definitions(orders={}).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    assert failed == {"compact__bronze[returns]"}
    succeeded = {event.step_key for event in result.all_events if event.is_step_success}
    assert "remove_orphans__bronze" in succeeded
    orders = small_files.load_table("orders")
    assert orders is not None
    assert len(list(orders.scan().plan_files())) == 1


def test_snapshots_expire_where_the_compaction_fails(small_files: Dataset) -> None:
    """A column to z-order by that the table lacks fails the compaction alone."""
    load_returns(small_files, [1])
    blocks = {"returns": {"z_order": ["absent"]}}
    job = definitions(resources=blocks, orders=None, returns={}).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.user_failure_data is not None
    done = failed.step_failure_data.user_failure_data.metadata
    assert set(done) == {"category", "snapshots_before", "snapshots_expired"}


def test_a_catalog_that_does_not_open_fails_without_its_secrets(
    small_files: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the step that lists the tables nor that of the orphans shows them."""
    uri = "postgresql+psycopg2://user:s3cret-word@127.0.0.1:1/none"
    job = definitions(orders={}).resolve_job_def(JOB)

    def fail(*arguments: object) -> None:
        msg = f"cannot connect to {uri}"
        raise RuntimeError(msg)

    monkeypatch.setattr(maintenance, "open_configured_catalog", fail)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert len(failures) == 2
    for failure in failures:
        assert failure.user_failure_data is not None
        assert "s3cret-word" not in str(failure.error)


def test_compaction_runs_where_the_location_says(
    small_files: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without its Ray cluster it fails, and changes nothing."""
    monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{free_port()}")
    job = definitions("ray", orders={}).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_key == "compact__bronze[orders]"
    assert "TRANSIENT: bronze.orders" in str(failed.step_failure_data.error)
    orders = small_files.load_table("orders")
    assert orders is not None
    assert len(list(orders.scan().plan_files())) == 5
