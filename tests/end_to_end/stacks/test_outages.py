"""Servers that become unavailable in the middle of a load, temporarily or permanently."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from faults.boundaries import wait_for
from faults.processes import start
from servers.postgres import Postgres, running_postgres
from servers.seaweedfs import SeaweedFS, running_seaweedfs
from servers.stack import Stack, postgres_stack, rest_stack

from end_to_end.stacks.held_loads import load_held
from floe_ingestion_defs.destinations import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.catalog import rest as rest_catalog
from floe_ingestion_defs.dlt_plugin import DestinationWriteError, ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from servers.process import Server

UPLOAD = "inside the upload of items"
BEFORE_COMMIT, AFTER_COMMIT = "before a commit of {log}", "after a commit of {log}"
BEFORE_PUBLISHING = "before a commit of items"


@pytest.fixture(scope="module")
def own_seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """One that these tests stop and start, and no others use."""
    with running_seaweedfs(tmp_path_factory.mktemp("own_seaweedfs")) as server:
        yield server


@pytest.fixture(scope="module")
def own_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One that these tests stop and start, and no others use."""
    with running_postgres(tmp_path_factory.mktemp("own_postgres")) as server:
        yield server


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    """The server that goes away."""
    owner = "own_seaweedfs" if request.param == "rest" else "own_postgres"
    server: Server = request.getfixturevalue(owner).server
    return server


@pytest.fixture
def stack(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stack:
    """A stack on that server."""
    if request.node.callspec.params["server"] == "rest":
        chosen = rest_stack(request.getfixturevalue("own_seaweedfs"), tmp_path)
    else:
        chosen = postgres_stack(request.getfixturevalue("own_postgres"), tmp_path)
    for name, value in {**chosen.environment, "RUNTIME__DLTHUB_TELEMETRY": "false"}.items():
        monkeypatch.setenv(name, value)
    return chosen


@pytest.fixture
def load_without(
    shop: Any, server: Server, stack: Stack
) -> Callable[..., tuple[tuple[str, str, int], float]]:
    """Loads in another process, and stops the server when the load reaches a boundary.

    Returns what `load_held` does, and the seconds that the load continued without the server.
    """

    def load(boundary: str, retries: Any, *, back_after: float | None) -> Any:
        shop.options = {"cursor_field": "id"}
        shop.hold("id integer, name text", (1, "one"), (2, "two"))
        gate = stack.folder / "gate"
        child = start(
            load_held,
            shop.config,
            retries,
            boundary.format(log=stack.log),
            gate,
            environment=stack.environment,
            folder=stack.folder,
        )
        wait_for(Path(f"{gate}.reached"))
        server.stop()
        started = time.monotonic()
        gate.touch()
        if back_after is not None:
            time.sleep(back_after)
            server.start()
        result = child.result()
        if back_after is None:
            server.start()
        return result, time.monotonic() - started

    return load


@pytest.mark.parametrize(
    ("server", "boundary"),
    [
        pytest.param("rest", UPLOAD, marks=pytest.mark.rest),
        pytest.param("rest", BEFORE_COMMIT, marks=pytest.mark.rest),
        pytest.param("rest", AFTER_COMMIT, marks=pytest.mark.rest),
        ("postgres", BEFORE_COMMIT),
        ("postgres", BEFORE_PUBLISHING),
    ],
    indirect=["server"],
)
def test_a_load_survives_its_server_s_restart(shop: Any, load_without: Any, boundary: str) -> None:
    """It is retried until the server is back, and each row is loaded once."""
    retries = {"max_retries": 6, "initial_delay_seconds": 0.4}
    (category, error, _), _ = load_without(boundary, retries, back_after=1.0)
    assert (category, error) == ("", "")
    assert shop.rows("id") == [(1,), (2,)]
    assert shop.load().rows_loaded == 0
    assert len(shop.table.snapshots()) == 1
    view = Dataset(shop.stack.catalog(), shop.stack.namespace).log.read()
    assert view is not None
    assert view.last_seq == 1


@pytest.mark.parametrize(
    ("server", "boundary"),
    [
        pytest.param("rest", UPLOAD, marks=pytest.mark.rest),
        ("postgres", BEFORE_COMMIT),
    ],
    indirect=["server"],
)
def test_a_server_that_stays_unavailable_ends_the_load(
    shop: Any, load_without: Any, boundary: str
) -> None:
    """In bounded time, by an error that names it; nothing is half-done, and the next run loads."""
    retries = {"max_retries": 2, "initial_delay_seconds": 0.2}
    (category, error, _), seconds = load_without(boundary, retries, back_after=None)
    assert category == "TRANSIENT"
    assert "127.0.0.1" in error
    assert "efused" in error or "ould not connect" in error
    assert seconds < 60
    dataset = Dataset(shop.stack.catalog(), shop.stack.namespace)
    view = dataset.log.read()
    assert view is None or view.last_seq == 0
    assert dataset.load_table("items") is None
    assert shop.load().rows_loaded == 2
    assert shop.rows("id") == [(1,), (2,)]


@pytest.mark.parametrize("server", [pytest.param("rest", marks=pytest.mark.rest)], indirect=True)
def test_a_catalog_that_never_responds_ends_the_load(
    shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It accepts the connection and never responds; pyiceberg alone would wait forever."""
    monkeypatch.setattr(rest_catalog, "ANSWER_SECONDS", 0.5)
    shop.hold("id integer", (1,))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__URI", address)
        monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__OAUTH2_SERVER_URI", f"{address}/tokens")
        with pytest.raises(DestinationWriteError, match="Read timed out") as failed:
            shop.load()
    assert failed.value.category is ErrorCategory.TRANSIENT
