import os
import sqlite3
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.branch import current_branch
from floe_ingestion_defs.dagster_wiring import (
    ObservedTable,
    build_ingestion_definitions,
    create_observed_definitions,
    read_deployment,
)
from floe_ingestion_defs.dagster_wiring.deployment import confine_to_branch
from floe_ingestion_defs.dagster_wiring.location import create_shared_definitions
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

BRANCH = {
    "DAGSTER_CLOUD_DEPLOYMENT_NAME": "a1b2c3",
    "DAGSTER_CLOUD_IS_BRANCH_DEPLOYMENT": "1",
    "DAGSTER_CLOUD_PULL_REQUEST_ID": "123",
    "DAGSTER_CLOUD_GIT_BRANCH": "add-weather",
    "DAGSTER_CLOUD_GIT_SHA": "0f3c",
    "DAGSTER_CLOUD_GIT_REPO": "acme/ingestion",
}


def test_a_process_without_the_variables_of_dagster_cloud_is_local() -> None:
    """Self-hosted and local processes alike: no variable of Dagster+ is set."""
    deployment = read_deployment({})

    assert (deployment.kind, deployment.name) == ("local", "local")
    assert not deployment.is_branch


def test_a_named_deployment_is_production() -> None:
    """Dagster+ names every deployment and marks branches; an unmarked one is production."""
    deployment = read_deployment({"DAGSTER_CLOUD_DEPLOYMENT_NAME": "prod"})

    assert (deployment.kind, deployment.name) == ("production", "prod")


def test_a_branch_deployment_knows_pull_request_branch_and_repository() -> None:
    """The deployment has everything that distinguishes the tables of branches."""
    deployment = read_deployment(BRANCH)

    assert deployment.is_branch
    assert deployment.pull_request_id == "123"
    assert deployment.git_branch == "add-weather"
    assert deployment.git_repository == "acme/ingestion"


def test_code_is_linked_at_the_commit_where_that_is_known() -> None:
    """A branch changes; a commit identifies the code that is running."""
    assert read_deployment(BRANCH).git_revision == "0f3c"
    assert read_deployment({**BRANCH, "DAGSTER_CLOUD_GIT_SHA": ""}).git_revision == "add-weather"


def test_the_process_s_own_environment_is_read_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """No other code reads these variables, so there is nothing to pass on."""
    for name, value in BRANCH.items():
        monkeypatch.setenv(name, value)

    assert read_deployment().is_branch


def test_a_branch_s_tables_are_named_after_its_pull_request() -> None:
    """By the number, and by the repository, because each repository has a pull request 123."""
    assert read_deployment(BRANCH).branch == "pr_123@acme/ingestion"
    assert read_deployment({}).branch is None
    assert read_deployment({"DAGSTER_CLOUD_DEPLOYMENT_NAME": "prod"}).branch is None


def test_branches_without_a_pull_request_differ_in_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names that are equal once truncated, or reduced to letters and digits."""
    names = set()
    for git_branch in ("add-weather", "add_weather", "add-" + "x" * 60, "add-" + "x" * 61, "Ä"):
        without = {**BRANCH, "DAGSTER_CLOUD_PULL_REQUEST_ID": ""}
        branch = read_deployment({**without, "DAGSTER_CLOUD_GIT_BRANCH": git_branch}).branch
        monkeypatch.setenv("FLOE_BRANCH", str(branch))
        current = current_branch()
        assert current is not None
        names.add(current.name)
    assert len(names) == 5


def test_floe_branch_alone_makes_a_branch() -> None:
    """A self-hosted Dagster has branches, too."""
    assert read_deployment({"FLOE_BRANCH": "pr_7"}).is_branch


def test_a_process_is_confined_where_it_serves_a_branch(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started confined stays confined."""
    confine_to_branch()
    assert current_branch() is None
    for name, value in BRANCH.items():
        monkeypatch.setenv(name, value)
    confine_to_branch()
    assert os.environ["FLOE_BRANCH"] == "pr_123@acme/ingestion"
    monkeypatch.setenv("FLOE_BRANCH", "mine")
    confine_to_branch()
    assert os.environ["FLOE_BRANCH"] == "mine"


def test_a_branch_s_assets_are_loaded_into_its_own_tables(
    load: Any, database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same configuration; the asset says which table it is, and production has none."""
    for name, value in BRANCH.items():
        monkeypatch.setenv(name, value)
    result = load()
    event = result.asset_materializations_for_node("load_shop")[0]
    catalog = open_catalog()
    assert event.metadata["dagster/row_count"] == dg.MetadataValue.int(3)
    assert catalog.load_table("bronze__pr_123.shop_orders").scan().to_arrow().num_rows == 3
    assert not catalog.namespace_exists("bronze")


@pytest.mark.parametrize(("branch_tables", "loaded"), [("clone", 1), ("empty", 4)])
def test_a_branch_continues_production_unless_it_is_to_be_empty(
    load: Any,
    shop: dict[str, Any],
    database: sqlite3.Connection,
    branch_tables: str,
    loaded: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first load reads what is new for production, too, and the table has all of it."""
    load()
    with database:
        database.execute("insert into orders values (4, 1.0, '2026-01-04')")
    for name, value in BRANCH.items():
        monkeypatch.setenv(name, value)
    plugin = DltIngestionPlugin({"sources": [shop], "branch_tables": branch_tables})
    job = build_ingestion_definitions(plugin).resolve_job_def("ingestion__shop")
    result = job.execute_in_process(asset_selection=[dg.AssetKey("ingestion__shop__orders")])
    (event,) = result.asset_materializations_for_node("load_shop")
    assert event.metadata["rows_loaded"] == dg.MetadataValue.int(loaded)
    assert open_catalog().load_table("bronze__pr_123.shop_orders").scan().to_arrow().num_rows == 4
    assert open_catalog().load_table("bronze.shop_orders").scan().to_arrow().num_rows == 3


def test_the_job_that_drops_a_branch_s_tables_runs_in_the_branch_only(
    load: Any, shop: dict[str, Any], database: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every location has it; in production its run fails with the reason."""
    load()

    def drop_job() -> dg.JobDefinition:
        built = build_ingestion_definitions(DltIngestionPlugin({"sources": [shop]}))
        location = dg.Definitions.merge(built, create_shared_definitions(built))
        return location.resolve_job_def("drop_branch_tables")

    rejected = drop_job().execute_in_process(raise_on_error=False)
    (failure,) = rejected.filter_events(lambda event: event.is_step_failure)
    assert "Only a branch's tables can be dropped" in str(failure.step_failure_data)
    for name, value in BRANCH.items():
        monkeypatch.setenv(name, value)
    job = drop_job()
    plugin = DltIngestionPlugin({"sources": [shop]})
    plugin.load(plugin.create_pipeline(plugin.source("shop")))
    assert open_catalog().namespace_exists("bronze__pr_123")
    assert job.execute_in_process().success
    assert not open_catalog().namespace_exists("bronze__pr_123")
    assert open_catalog().load_table("bronze.shop_orders").scan().to_arrow().num_rows == 3


@pytest.mark.parametrize(("environment", "running"), [({}, True), (BRANCH, False)])
def test_all_automation_is_off_in_a_branch(
    environment: dict[str, str], running: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every schedule and every sensor of a location in which all are configured to run."""
    for name, value in {**environment, "FLOE_FAILURE_WEBHOOK_URL": "http://127.0.0.1/"}.items():
        monkeypatch.setenv(name, value)
    by_itself = {"default_status": "running", "checks": {"freshness": {"fail_after": "1h"}}}
    files = {
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(tmp_path), "file_glob": "*.csv", "format": "csv"},
    }
    sources = [
        {
            **files,
            "name": name,
            "destination_table": f"bronze.{name}",
            "orchestration": {**by_itself, **trigger},
        }
        for name, trigger in (("daily", {"cron": "5 6 * * *"}), ("new", {"new_files_every": "1m"}))
    ]
    plugin = DltIngestionPlugin({"sources": sources})
    observed = ObservedTable(table="silver.prices", default_status="running")
    loaded = dg.Definitions.merge(
        build_ingestion_definitions(plugin), create_observed_definitions(plugin, [observed])
    )
    location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))
    repository = location.get_repository_def()
    found = {each.name: each.default_status.value for each in repository.schedule_defs}
    found |= {each.name: each.default_status.value for each in repository.sensor_defs}
    assert len(found) == 5
    assert set(found.values()) == {"RUNNING" if running else "STOPPED"}
