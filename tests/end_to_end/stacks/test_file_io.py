"""The other of pyiceberg's two FileIOs, on the stacks with an S3 store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from faults.processes import start
from pyiceberg.io.fsspec import FsspecFileIO

from end_to_end.stacks.held_loads import load_and_die, load_held
from floe_ingestion_defs.destinations import Dataset, remove_orphans

COLUMNS = "id integer, name text"


@pytest.mark.parametrize(
    "stack",
    [pytest.param("rest by fsspec", marks=pytest.mark.rest), "postgres_s3 by fsspec"],
    indirect=True,
)
def test_fsspec_loads_merges_recovers_and_lists(shop: Any) -> None:
    """As pyarrow does, also where a process has listed a folder that other writers use."""
    shop.options = {"write_mode": "merge", "primary_key": "id"}
    stack = shop.stack

    def run(function: Any, *arguments: Any) -> Any:
        return start(
            function, shop.config, *arguments, environment=stack.environment, folder=stack.folder
        )

    shop.hold(COLUMNS, (1, "one"), (2, "two"))
    shop.load()
    dataset = Dataset(stack.catalog(), stack.namespace)
    assert isinstance(shop.table.io, FsspecFileIO)
    before = remove_orphans(dataset, timedelta(0))

    shop.hold(COLUMNS, (2, "TWO"), (3, "three"))
    assert run(load_and_die, f"before a commit of {stack.log}").was_killed()
    left = {file.path for file in remove_orphans(dataset, timedelta(0))}
    left -= {file.path for file in before}
    assert len([path for path in left if "/items/data/" in path]) == 1

    gate = stack.folder / "gate"
    gate.touch()
    assert run(load_held, {}, "never", gate).result() == ("", "", 2)
    assert shop.rows("id", "name") == [(1, "one"), (2, "TWO"), (3, "three")]
    shop.hold(COLUMNS, (1, "ONE"))
    shop.load()
    assert shop.rows("id", "name") == [(1, "ONE"), (2, "TWO"), (3, "three")]
    again = {file.path for file in remove_orphans(dataset, timedelta(0))}
    live = {task.file.file_path for task in shop.table.scan().plan_files()}
    assert left <= again
    assert not live & again
