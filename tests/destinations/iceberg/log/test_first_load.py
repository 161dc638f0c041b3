"""The first load of a dataset: few looks for a log, and never a second log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from servers.proxy import Proxy, running_proxy
from servers.stack import Stack, rest_stack

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

CREATED, EXISTS, FORBIDDEN = 200, 409, 403


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[Proxy]:
    with running_proxy(seaweedfs.catalog_uri) as running:
        yield running


@pytest.fixture
def stack(proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path) -> Stack:
    """A REST catalog behind the proxy: by another URI, nothing is known of its logs."""
    return rest_stack(seaweedfs, tmp_path, proxy.uri)


def dataset_by(uri: str, stack: Stack) -> Dataset:
    return Dataset(open_catalog("floe", {**stack.properties, "uri": uri}), stack.namespace)


@pytest.mark.rest
@pytest.mark.parametrize("answer", [EXISTS, FORBIDDEN, CREATED])
def test_a_log_that_another_process_has_created_since_it_was_looked_up_is_found(
    answer: int, stack: Stack, proxy: Proxy, seaweedfs: SeaweedFS
) -> None:
    """Whatever the catalog responds to the creation of a namespace that exists."""
    log = dataset_by(proxy.uri, stack).log
    assert log.read() is None
    other = dataset_by(seaweedfs.catalog_uri, stack).log.read_or_create()
    proxy.statuses["namespaces"] = answer
    assert log.read_or_create().uuid == other.uuid


@pytest.mark.rest
def test_a_log_is_created_in_a_namespace_that_exists(
    stack: Stack, proxy: Proxy, seaweedfs: SeaweedFS
) -> None:
    dataset = dataset_by(proxy.uri, stack)
    assert dataset.log.read() is None
    dataset.catalog.create_namespace(dataset.namespace)
    view = dataset.log.read_or_create()
    assert not view.begins_namespace
    found = dataset_by(seaweedfs.catalog_uri, stack).log.read()
    assert found is not None
    assert found.uuid == view.uuid


def test_a_load_whose_new_log_another_process_replaces_is_committed_to_that_log(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a catalog lets two processes create one table at the same time."""
    original: Any = vars(load_step)["audit"]
    logs: list[str] = []

    def audit(dataset: Dataset, *arguments: Any) -> None:
        if not logs:
            dataset.catalog.drop_table(dataset.log.identifier)
            logs.append(Dataset(dataset.catalog, dataset.name).log.read_or_create().uuid)
        original(dataset, *arguments)

    monkeypatch.setattr(load_step, "audit", audit)
    lake.load([{"id": 1}], table_name="orders")
    assert lake.values("orders", "id") == [1]
    view = Dataset(lake.catalog, lake.dataset).log.read()
    assert view is not None
    assert (view.uuid, view.last_seq, view.settled_seq) == (logs[0], 1, 1)
