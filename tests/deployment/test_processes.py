"""A whole deployment as processes: what the containers run, with the files that they have."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from pyiceberg.catalog import load_catalog
from servers.postgres import Postgres
from servers.seaweedfs import SeaweedFS

from deployment.processes import Deployment, running_deployment
from floe_ingestion_defs.scaffold.new_project import make_project

ROWS = 2_000
TAG = {"container_config": {"resources": {"limits": {"memory": "4Gi"}}}}
SOURCE = f'''
from pathlib import Path

import dlt
import psutil


@dlt.resource
def rows(killed: str, ids=dlt.sources.incremental("id", initial_value=0)):
    """Rows that name the processes that loaded them; the first run is killed halfway."""
    run = psutil.Process()  # The load and its checks are steps in the process of the run.
    for number in range(ids.last_value + 1, {ROWS} + 1):
        if number == {ROWS} // 2 and not Path(killed).exists():
            Path(killed).write_text(str(run.pid))
            run.kill()
        yield {{"id": number, "run": run.pid, "server": run.ppid()}}
'''
DEFS = """
type: floe_ingestion_defs.components.IngestionComponent
attributes:
  sources:
    - name: shop
      source_type: python
      source_config:
        factory: dlt_sources.shop:rows
        resource_names: [rows]
        arguments: {{killed: {killed}}}
      destination_table: {namespace}.{{resource}}
      write_mode: append
      orchestration:
        cron: "* * * * *"
        default_status: running
        run_tags: {{dagster-k8s/config: {tag}}}
"""
RUNS = """{ runsOrError { ... on Runs { results {
  runId status parentRunId tags { key value } stats { ... on RunStatsSnapshot { stepsSucceeded } }
} } } }"""
SCHEDULES = """{ repositoriesOrError { ... on RepositoryConnection { nodes {
  location { name }
  schedules { name scheduleState { status ticks(limit: 5) { status runIds } } }
} } } }"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a source that is loaded every minute, and whose first run is killed."""
    folder = tmp_path_factory.mktemp("deployed")
    make_project("acme_ingestion", folder)
    for path in ("dlt_sources/shop", "acme_ingestion/defs/shop"):
        (folder / path).mkdir()
    (folder / "dlt_sources/shop/__init__.py").write_text(SOURCE)
    defs = DEFS.format(
        killed=folder / "killed", namespace=f"lake_{folder.name}".lower(), tag=json.dumps(TAG)
    )
    (folder / "acme_ingestion/defs/shop/defs.yaml").write_text(defs)
    return folder


@pytest.fixture(scope="module")
def deployment(
    project: Path,
    tmp_path_factory: pytest.TempPathFactory,
    postgres: Postgres,
    seaweedfs: SeaweedFS,
) -> Iterator[Deployment]:
    """Code server, webserver and daemon, with Dagster's storage in PostgreSQL and tables in S3."""
    folder = tmp_path_factory.mktemp("deployment")
    with running_deployment(
        project, "acme_ingestion.definitions", folder, postgres, seaweedfs
    ) as running:
        yield running


def _tags(run: dict[str, Any]) -> dict[str, str]:
    return {tag["key"]: tag["value"] for tag in run["tags"]}


@pytest.mark.rest
@pytest.mark.timeout(400)
def test_a_schedule_s_run_that_is_killed_is_started_again_and_loads_once(
    deployment: Deployment, project: Path, seaweedfs: SeaweedFS
) -> None:
    """Without an operator: the tick, the run in its own process, its death, and the new run."""

    def read_runs() -> list[dict[str, Any]] | None:
        try:
            runs: list[dict[str, Any]] = deployment.ask(RUNS)["runsOrError"]["results"]
        except requests.ConnectionError:
            return None
        # The freshness checks have a schedule of their own.
        runs = [run for run in runs if "ingestion__shop_schedule" in _tags(run).values()]
        succeeded = [run for run in runs if run["status"] == "SUCCESS" and run["parentRunId"]]
        return runs if succeeded else None

    runs = deployment.wait_for(read_runs, seconds=300)
    first = runs[-1]
    (again,) = [run for run in runs if run["parentRunId"] == first["runId"]]
    assert (first["status"], again["status"]) == ("FAILURE", "SUCCESS")
    assert (project / "killed").exists()

    tags = _tags(again)
    assert tags["dagster/schedule_name"] == "ingestion__shop_schedule"
    assert json.loads(tags["dagster-k8s/config"]) == TAG

    (repository,) = deployment.ask(SCHEDULES)["repositoriesOrError"]["nodes"]
    assert repository["location"]["name"] == "floe_ingestion"
    (schedule,) = [each for each in repository["schedules"] if "shop" in each["name"]]
    assert schedule["scheduleState"]["status"] == "RUNNING"
    assert any(first["runId"] in tick["runIds"] for tick in schedule["scheduleState"]["ticks"])

    catalog = load_catalog("floe", **seaweedfs.catalog_properties())
    table = catalog.load_table((f"lake_{project.name}".lower(), "rows")).scan().to_arrow()
    assert Counter(table["id"].to_pylist()) == Counter(range(1, ROWS + 1))
    (run,) = set(table["run"].to_pylist())
    (server,) = set(table["server"].to_pylist())
    assert run != int((project / "killed").read_text())
    services = {process.pid for process in deployment.services.values()}
    assert run not in services
    # The code server's proxy and the server that it keeps; the run is that one's child.
    code = deployment.services["code"]
    assert server in {code.pid, *(child.pid for child in code.children(recursive=True))}
    assert len(table.column_names) > 3
