"""What the containers of `deploy/docker-compose.yaml` would run, as processes on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psutil
import requests
import yaml
from servers.postgres import USER, Postgres
from servers.process import free_port

from deployment.compose import DEPLOY, read_services, required_variables
from deployment.dockerfile import exec_form, read_steps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from servers.seaweedfs import SeaweedFS

BIN = Path(sys.executable).parent
T = TypeVar("T")


@dataclass(frozen=True)
class Deployment:
    """A running deployment.

    Attributes:
        web: Where the webserver listens.
        services: The process of each service.
        logs: A folder with the output of each.
    """

    web: str
    services: Mapping[str, psutil.Process]
    logs: Path

    def ask(self, query: str, **variables: str) -> dict[str, Any]:
        """Ask the webserver's GraphQL."""
        body: dict[str, Any] = {"query": query, "variables": variables}
        answer = requests.post(f"{self.web}/graphql", json=body, timeout=60).json()
        assert "errors" not in answer, answer["errors"]
        data: dict[str, Any] = answer["data"]
        return data

    def wait_for(self, look: Callable[[], T | None], seconds: float) -> T:
        """Look until something is found.

        Raises:
            TimeoutError: Nothing was, within the time; the message holds the ends of the logs.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for name, process in self.services.items():
                assert process.is_running(), f"{name} ended:\n{self._read_logs()}"
            found = look()
            if found is not None:
                return found
            time.sleep(0.5)
        msg = f"not within {seconds} seconds\n{self._read_logs()}"
        raise TimeoutError(msg)

    def _read_logs(self) -> str:
        return "\n".join(
            f"--- {log.name}\n" + log.read_text(errors="replace")[-4000:]
            for log in sorted(self.logs.glob("*.log"))
        )


@contextmanager
def running_deployment(
    project: Path, module: str, folder: Path, postgres: Postgres, seaweedfs: SeaweedFS
) -> Iterator[Deployment]:
    """Run code server, webserver and daemon with the commands and variables of the containers.

    Only addresses, the module of the code location, and how often the daemon looks for runs that
    have died are others than in the files.

    Args:
        project: Folder of the project that is served.
        module: Its module with the definitions.
        folder: Where the instance's home and the logs go.
        postgres: For Dagster's storage.
        seaweedfs: The catalog and the storage.
    """
    home = folder / "dagster_home"
    home.mkdir()
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(DEPLOY / name, home)
    instance = yaml.safe_load((home / "dagster.yaml").read_text())
    instance["run_monitoring"]["poll_interval_seconds"] = 5  # Two minutes by default.
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    services = read_services(dict.fromkeys(required_variables(), "given"))
    code, web = free_port(), free_port()
    (command,) = [value for name, value in read_steps(DEPLOY / "Dockerfile") if name == "CMD"]
    served = _replaced(
        exec_form(command),
        {"0.0.0.0": "127.0.0.1", "4000": str(code), "floe_ingestion_defs.definitions": module},
    )
    placed = {
        "0.0.0.0": "127.0.0.1",
        "3000": str(web),
        "/opt/dagster/workspace.yaml": str(home / "workspace.yaml"),
    }
    addresses = {
        "DAGSTER_PG_HOST": postgres.host,
        "DAGSTER_PG_PORT": str(postgres.port),
        "DAGSTER_PG_DB": postgres.new_database(),
        "DAGSTER_PG_USERNAME": USER,
        "FLOE_CODE_SERVER_HOST": "127.0.0.1",
        "FLOE_CODE_SERVER_PORT": str(code),
    }
    common = {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(folder),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "true",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "PYTHONUNBUFFERED": "1",
    }

    def variables(name: str) -> dict[str, str]:
        return {**services[name]["environment"], **addresses, **common}

    catalog = {
        f"PYICEBERG_CATALOG__FLOE__{name.replace('.', '__').replace('-', '_').upper()}": value
        for name, value in seaweedfs.catalog_properties().items()
    }
    with ExitStack() as stack:
        running = {
            name: stack.enter_context(
                _running(words, cwd, environment, folder / f"{name}.log"),
            )
            for name, words, cwd, environment in (
                ("code", served, project, {**variables("code"), **catalog}),
                (
                    "webserver",
                    _replaced(services["webserver"]["command"], placed),
                    home,
                    variables("webserver"),
                ),
                (
                    "daemon",
                    _replaced(services["daemon"]["command"], placed),
                    home,
                    variables("daemon"),
                ),
            )
        }
        yield Deployment(f"http://127.0.0.1:{web}", running, folder)


def _replaced(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    return [values.get(word, word) for word in words]


@contextmanager
def _running(
    command: Sequence[str], cwd: Path, environment: Mapping[str, str], log: Path
) -> Iterator[psutil.Process]:
    with log.open("wb") as output:
        process = psutil.Popen(
            [str(BIN / command[0]), *command[1:]],
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process
    finally:
        family = [process, *process.children(recursive=True)] if process.is_running() else [process]
        process.terminate()
        # A run that continues keeps its server waiting; the test has seen what it wanted to.
        _, left = psutil.wait_procs(family, timeout=10)
        for each in left:
            each.kill()
        psutil.wait_procs(left, timeout=10)
