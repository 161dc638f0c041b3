import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests

LOCATION = """{
  assetNodes { assetKey { path } }
  repositoriesOrError { ... on RepositoryConnection {
    nodes { name location { name } schedules { name } }
  } }
}"""
LAUNCH = """mutation($repository: String!) {
  launchRun(executionParams: { runConfigData: {}, selector: {
    repositoryLocationName: "floe_ingestion", repositoryName: $repository, pipelineName: "ingestion"
  } }) { __typename ... on LaunchRunSuccess { run { runId } } }
}"""
RUN = """query($run: ID!) { runOrError(runId: $run) { ... on Run {
  status assetMaterializations { assetKey { path } }
} } }"""
KEYS = {
    "ingestion__nyc_flights__flights",
    "ingestion__nyc_reference__airlines",
    "ingestion__nyc_reference__airports",
    "ingestion__nyc_reference__planes",
    "ingestion__nyc_weather__weather",
}
# Not loaded by the job: a partitioned source has a job of its own, and the table of another writer
# is only observed.
OTHERS = {"ingestion__nyc_weather_history__weather_history", "silver/delays"}
# External assets, which represent the source systems.
SCHEDULES = {
    "ingestion__nyc_reference_schedule",
    "ingestion__nyc_weather_schedule",
    "ingestion_freshness_schedule",
    "maintenance__bronze_schedule",
}
UPSTREAM = {
    key.replace("ingestion__", "source__") for key in KEYS | OTHERS if key.startswith("ingestion__")
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.all_cases)]
)
def test_dev_opens_a_ui_that_materializes_every_asset_and_ends_with_all_its_children(
    tmp_path: Path, ending: signal.Signals
) -> None:
    """It loads workspace.yaml, serves the simulated systems, and leaves no process behind."""
    port, said = _free_port(), tmp_path / "said"
    with said.open("w") as output:
        process = psutil.Popen(
            [sys.executable, "-m", "dlt_sources.nyc_flights_demo.dev", "--port", str(port)],
            env={**os.environ, "FLOE_HOME": str(tmp_path), "DAGSTER_HOME": "/nowhere"},
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
    children: list[psutil.Process] = []
    try:
        location = _wait_for(lambda: _read_location(port, process))
        run = _materialize_everything(port, location["repositoriesOrError"]["nodes"][0]["name"])
        children = process.children(recursive=True)
        process.send_signal(ending)
        assert process.wait(60) == 0
        assert psutil.wait_procs(children, timeout=5)[1] == []
    finally:
        for left in [process, *children]:
            if left.is_running():
                left.kill()
    assert _keys(location["assetNodes"]) == KEYS | OTHERS | UPSTREAM
    (repository,) = location["repositoriesOrError"]["nodes"]
    assert repository["location"]["name"] == "floe_ingestion"
    assert {schedule["name"] for schedule in repository["schedules"]} == SCHEDULES
    assert run["status"] == "SUCCESS"
    assert _keys(run["assetMaterializations"]) == KEYS
    assert (tmp_path / "dagster" / "dagster.yaml").exists()
    assert f"The Dagster UI is at http://127.0.0.1:{port}." in said.read_text()


def test_dev_rejects_a_port_in_use_before_it_starts_anything(tmp_path: Path) -> None:
    """The error names the port and the way to use another; only the lock's file is created."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        done = subprocess.run(
            [sys.executable, "-m", "dlt_sources.nyc_flights_demo.dev", "--port", str(port)],
            env={**os.environ, "FLOE_HOME": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert done.returncode == 1
    assert f"port {port} is already in use" in done.stderr
    assert "make dev PORT=" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["dev.lock"]


def _materialize_everything(port: int, repository: str) -> dict[str, Any]:
    launched = _ask(port, LAUNCH, repository=repository)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess"
    run_id = launched["run"]["runId"]

    def read_finished_run() -> dict[str, Any] | None:
        run: dict[str, Any] = _ask(port, RUN, run=run_id)["runOrError"]
        return run if run["status"] in ("SUCCESS", "FAILURE", "CANCELED") else None

    return _wait_for(read_finished_run)


def _keys(nodes: list[dict[str, Any]]) -> set[str]:
    return {"/".join(node["assetKey"]["path"]) for node in nodes}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ask(port: int, query: str, **variables: str) -> dict[str, Any]:
    url = f"http://127.0.0.1:{port}/graphql"
    answer = requests.post(url, json={"query": query, "variables": variables}, timeout=60).json()
    assert "errors" not in answer, answer["errors"]
    data: dict[str, Any] = answer["data"]
    return data


def _read_location(port: int, process: psutil.Popen) -> dict[str, Any] | None:
    assert process.poll() is None, "dev ended by itself"
    try:
        location = _ask(port, LOCATION)
    except requests.ConnectionError:
        return None
    return location if location["assetNodes"] else None


def _wait_for(ask: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    # Six steps, each a process that imports Dagster and dlt, on a machine that has more to do.
    deadline = time.monotonic() + 280
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.5)
    msg = "not within five minutes"
    raise TimeoutError(msg)
