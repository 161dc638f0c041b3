"""What a REST catalog does not allow for one table stops no other one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from destinations.iceberg.conftest import Lake
from servers.proxy import Commit, Proxy, rejection, running_proxy
from servers.stack import rest_stack

from floe_ingestion_defs.destinations import blocked_tables, release_blocked
from floe_ingestion_defs.destinations.impl.iceberg import load as load_step
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import NotPublishable, TableStillBlocked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from servers.seaweedfs import SeaweedFS

pytestmark = pytest.mark.rest


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[Proxy]:
    with running_proxy(seaweedfs.catalog_uri) as running:
        yield running


@pytest.fixture
def lake(
    proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Lake:
    stack = rest_stack(seaweedfs, tmp_path, proxy.uri)
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return Lake(tmp_path, stack.namespace)


def load_orders_unpublished(lake: Lake) -> None:
    """As if the process had died after its commit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(load_step, "publish_own", lambda *_: None)
        lake.load([{"id": 2}], table_name="orders")


@pytest.mark.parametrize(
    ("status", "kind"), [(403, "ForbiddenException"), (400, "BadRequestException")]
)
def test_a_table_that_the_catalog_does_not_commit_to_blocks_itself_alone(
    lake: Lake, proxy: Proxy, status: int, kind: str
) -> None:
    """Each publisher sends its commit once, and releases need no right to the table."""
    lake.load([{"id": 1}], table_name="orders")
    load_orders_unpublished(lake)
    rejected: list[Commit] = []

    def reject(commit: Commit) -> Any:
        rejected.append(commit)
        return rejection(status, kind)

    proxy.faults["orders"] = reject
    lake.load([{"id": 1}], table_name="refunds")
    assert len(rejected) == 1
    lake.load([{"id": 1}], table_name="visits", pipeline="web")
    assert len(rejected) == 1
    assert lake.values("refunds", "id") == lake.values("visits", "id") == [1]

    dataset = Dataset(lake.catalog, lake.dataset)
    assert blocked_tables(dataset).keys() == {"orders"}
    assert isinstance(lake.rejected([{"id": 3}], table_name="orders"), TableStillBlocked)
    assert release_blocked(dataset, "orders") == 1
    assert lake.values("orders____blocked", "id") == [2]
    assert blocked_tables(dataset) == {}

    del proxy.faults["orders"]
    lake.load([{"id": 4}], table_name="orders")
    assert lake.values("orders", "id") == [1, 4]


def test_a_table_that_may_not_be_read_blocks_itself_alone(lake: Lake, proxy: Proxy) -> None:
    """With the permission back, its next load publishes what is pending."""
    lake.load([{"id": 1}], table_name="orders")
    load_orders_unpublished(lake)
    proxy.statuses["tables/orders"] = 403
    lake.load([{"id": 1}], table_name="refunds")
    assert lake.values("refunds", "id") == [1]
    (message,) = blocked_tables(Dataset(lake.catalog, lake.dataset)).values()
    assert "Grant permission to write to the table" in message
    proxy.statuses.clear()
    lake.load([{"id": 3}], table_name="orders")
    assert lake.values("orders", "id") == [1, 2, 3]


def test_a_load_into_the_name_of_a_view_is_rejected(lake: Lake, proxy: Proxy) -> None:
    """SeaweedFS has no views; the proxy answers for one that does."""
    lake.load([{"id": 1}], table_name="refunds")  # A new namespace has no views.
    proxy.statuses["views/orders"] = 204
    error = lake.rejected([{"id": 1}], table_name="orders")
    assert isinstance(error, NotPublishable)
    assert "a view has this name" in str(error)
    lake.load([{"id": 2}], table_name="refunds")
    assert lake.values("refunds", "id") == [1, 2]
