"""Copies of one working directory, as a pod and its successor may have, are one load."""

from __future__ import annotations

import multiprocessing
import shutil
from pathlib import Path
from typing import Any

import dlt
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

LOADS: dict[str, dict[str, Any]] = {
    "append": {"write_disposition": "append"},
    "merge": {"write_disposition": "merge", "primary_key": "id"},
    "replace": {"write_disposition": "replace"},
}


def _load(folder: str, dataset_name: str) -> None:
    pipeline = dlt.pipeline(
        "shop", destination="iceberg", dataset_name=dataset_name, pipelines_dir=folder
    )
    pipeline.load()


def _copies(lake: Any, kind: str, count: int) -> list[str]:
    """Extract and normalize one package, and return working directories that each hold it."""
    pipeline = lake.pipeline()
    rows = [{"id": 1, "tags": ["a"]}, {"id": 2, "tags": []}]
    pipeline.extract(rows, table_name="orders", **LOADS[kind])
    pipeline.normalize()
    original = Path(pipeline.pipelines_dir)
    copies = [str(lake.folder / f"copy-{number}") for number in range(count)]
    for copy in copies:
        shutil.copytree(original, copy)
    return copies


def _assert_loaded_once(lake: Any) -> None:
    assert lake.values("orders", "id") == [1, 2]
    assert lake.arrow("orders__tags").num_rows == 1
    view = Dataset(lake.catalog, lake.dataset).log.read()
    assert view is not None
    assert view.last_seq == 1


@pytest.mark.parametrize("kind", LOADS)
def test_copies_of_a_package_that_are_loaded_one_after_another_are_loaded_once(
    kind: str, lake: Any, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = _copies(lake, kind, 2)
    with caplog.at_level("INFO", logger="floe_ingestion_defs"):
        _load(first, lake.dataset)
        assert "of the log already" not in caplog.text
        snapshots = lake.snapshots("orders")
        _load(second, lake.dataset)
        assert "is load 1 of the log already" in caplog.text
    assert lake.snapshots("orders") == snapshots
    _assert_loaded_once(lake)


def test_copies_of_a_package_that_are_loaded_at_the_same_time_are_loaded_once(lake: Any) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [
        context.Process(target=_load, args=(copy, lake.dataset))
        for copy in _copies(lake, "append", 2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(200)
    assert [worker.exitcode for worker in workers] == [0, 0]
    _assert_loaded_once(lake)
