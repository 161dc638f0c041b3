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

ASSETS = """
{ assetNodes { assetKey { path } } repositoriesOrError { ... on RepositoryConnection {
  nodes { location { name } schedules { name } } } } }
"""


@pytest.mark.timeout(240)
@pytest.mark.parametrize(
    "ending", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.all_cases)]
)
def test_dev_opens_the_ui_with_everything_loaded_and_ends_with_all_its_children(
    tmp_path: Path, ending: signal.Signals
) -> None:
    """The five assets are there, their world is served, and nothing is left running."""
    port = _free_port()
    process = psutil.Popen(
        [sys.executable, "-m", "dlt_sources.nyc_flights.dev", "--port", str(port)],
        env={**os.environ, "FLOE_HOME": str(tmp_path), "DAGSTER_HOME": "/nowhere"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    children: list[psutil.Process] = []
    try:
        answer = _wait_for(lambda: _ask(port, process))
        children = process.children(recursive=True)
        served = {k: v for c in children for k, v in c.environ().items() if "NYC_FLIGHTS" in k}
        weather = requests.get(f"{served['NYC_FLIGHTS_WEATHER_URL']}/weather", timeout=30).json()
        process.send_signal(ending)
        assert process.wait(60) == 0
        assert psutil.wait_procs(children, timeout=5)[1] == []
    finally:
        for left in [process, *children]:
            if left.is_running():
                left.kill()
    keys = {"/".join(node["assetKey"]["path"]) for node in answer["assetNodes"]}
    assert keys == {
        "ingestion__nyc_flights__flights",
        "ingestion__nyc_reference__airlines",
        "ingestion__nyc_reference__airports",
        "ingestion__nyc_reference__planes",
        "ingestion__nyc_weather__weather",
    }
    (repository,) = answer["repositoriesOrError"]["nodes"]
    assert repository["location"]["name"] == "floe_ingestion"
    assert len(repository["schedules"]) == 3
    assert weather["total"] == 13_014
    assert (tmp_path / "dagster" / "dagster.yaml").exists()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _ask(port: int, process: psutil.Popen) -> dict[str, Any] | None:
    assert process.poll() is None, "dev ended by itself"
    try:
        url = f"http://127.0.0.1:{port}/graphql"
        answer = requests.post(url, json={"query": ASSETS}, timeout=30).json()["data"]
    except requests.ConnectionError:
        return None
    return answer if answer["assetNodes"] else None


def _wait_for(ask: Callable[[], dict[str, Any] | None]) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.5)
    raise TimeoutError("the UI did not show the assets within two minutes")
