"""The fixtures `seaweedfs`, `postgres`, `spark` and `stack`; an absent server is an error."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from servers.dask_cluster import running_dask
from servers.postgres import Postgres, running_postgres
from servers.ray_cluster import running_ray
from servers.seaweedfs import SeaweedFS, running_seaweedfs
from servers.spark import Spark, running_spark
from servers.stack import Stack, StackKind, postgres_stack, rest_stack, sqlite_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def seaweedfs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedFS]:
    """An Iceberg REST catalog and its S3 store, for the whole session."""
    with running_seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A PostgreSQL server, for the whole session."""
    with running_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Spark]:
    """Spark with Iceberg Java, for the whole session; `servers.spark` says how to use it."""
    with running_spark(tmp_path_factory.mktemp("spark")) as server:
        yield server


@pytest.fixture(scope="session")
def ray_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Ray cluster with two workers, for the whole session."""
    with running_ray(tmp_path_factory.mktemp("ray")) as address:
        yield address


@pytest.fixture(scope="session")
def dask_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Dask cluster with two workers, for the whole session."""
    with running_dask(tmp_path_factory.mktemp("dask")) as address:
        yield address


@pytest.fixture(params=["sqlite", pytest.param("rest", marks=pytest.mark.rest)])
def stack(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stack:
    """A catalog of each kind, configured in the environment, with a namespace of the test's own."""
    chosen = make_stack(request.param, request, tmp_path)
    for name, value in chosen.environment.items():
        monkeypatch.setenv(name, value)
    return chosen


def make_stack(kind: StackKind, request: pytest.FixtureRequest, folder: Path) -> Stack:
    """A new stack; starts the servers that it needs, unless they run."""
    match kind:
        case "sqlite":
            return sqlite_stack(folder)
        case "postgres":
            return postgres_stack(request.getfixturevalue("postgres"), folder)
        case "rest":
            return rest_stack(request.getfixturevalue("seaweedfs"), folder)
        case "postgres_s3":
            store = request.getfixturevalue("seaweedfs")
            return postgres_stack(request.getfixturevalue("postgres"), folder, store)
