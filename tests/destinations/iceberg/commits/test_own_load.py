"""A load is published on what was known when it was staged, unless another writer was faster."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import dlt
import pytest

from floe_ingestion_defs.destinations import iceberg
from floe_ingestion_defs.destinations.impl.iceberg.commits import own_load
from floe_ingestion_defs.destinations.impl.iceberg.log.load_log import LoadLog

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from servers.stack import Stack


def load(stack: Stack, name: str, rows: list[dict[str, int]], around: Any = None) -> None:
    destination = iceberg(around_phase=around) if around else iceberg()
    pipeline = dlt.pipeline(
        name, str(stack.folder / name), destination=destination, dataset_name=stack.namespace
    )
    pipeline.run(rows, table_name="orders")


@pytest.mark.parametrize("exists", [False, True], ids=["creates", "appends"])
@pytest.mark.parametrize("phase", ["audit", "commit", "publish"])
def test_a_load_that_another_one_overtakes_adds_its_rows_once(
    phase: str, exists: bool, stack: Stack
) -> None:
    expected = [1, 2]
    if exists:
        load(stack, "before", [{"id": 0}])
        expected.insert(0, 0)

    def around(begun: str) -> Any:
        if begun == phase:
            load(stack, "other", [{"id": 2}])
        return nullcontext()

    load(stack, "one", [{"id": 1}], around)
    table = stack.catalog().load_table(f"{stack.namespace}.orders")
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == expected
    log = stack.catalog().load_table(f"{stack.namespace}.{stack.log}").scan().to_arrow()
    assert sorted(log["seq"].to_pylist()) == list(range(1, len(expected) + 1))


def test_a_load_whose_dataset_is_dropped_after_its_commit_creates_no_table(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A table is created a second after the commit only where the log still has the load."""

    def around(begun: str) -> Any:
        if begun == "publish":
            catalog = stack.catalog()
            for identifier in catalog.list_tables(stack.namespace):
                catalog.drop_table(identifier)
        return nullcontext()

    monkeypatch.setattr(own_load, "CONFIRM_SECONDS", 0.0)
    with pytest.raises(Exception, match="dropped or replaced"):
        load(stack, "one", [{"id": 1}], around)
    assert (stack.namespace, "orders") not in stack.catalog().list_tables(stack.namespace)


def test_the_tables_that_a_load_creates_share_a_look_at_the_log(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A load of 300 new tables looks itself up once per second, and not once per table."""
    looks: list[None] = []
    peek = LoadLog.peek

    def counted(log: LoadLog) -> Any:
        looks.append(None)
        return peek(log)

    def around(begun: str) -> Any:
        if begun == "publish":
            time.sleep(own_load.CONFIRM_SECONDS)
        return nullcontext()

    monkeypatch.setattr(LoadLog, "peek", counted)
    tables = [dlt.resource([{"id": 1}], name=f"t{number}") for number in range(4)]
    lake.load(tables, options={"around_phase": around})
    assert len(looks) == 1
    assert lake.values("t3", "id") == [1]
