"""What a process has just read of a dataset is its own."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import Future
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.log import recent
from floe_ingestion_defs.destinations.impl.iceberg.log.recent import Opened, recently_opened

if TYPE_CHECKING:
    import pytest
    from destinations.iceberg.conftest import Lake

VERSIONS = "_dlt_version"


def test_a_forked_process_does_not_wait_for_what_its_parent_reads(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load([{"id": 1}], table_name="orders")
    dataset = Dataset(lake.catalog, lake.dataset)
    monkeypatch.setattr(recent, "begin", lambda _: Future())
    monkeypatch.setattr(recent, "is_unread", lambda _: True)
    opened = Opened(dataset, VERSIONS, lacks_schemas=True)
    view = dataset.log.read(beside=opened.read_schemas_beside)
    assert view is not None
    opened.keep(view)
    assert recently_opened(dataset, VERSIONS) is opened
    child = multiprocessing.get_context("fork").Process(
        target=lambda: recently_opened(dataset, VERSIONS).versions()
    )
    child.start()
    child.join(timeout=20)
    alive = child.is_alive()
    child.kill()
    assert not alive
    assert child.exitcode == 0
