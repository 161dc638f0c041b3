"""The work on data files runs on a Ray or Dask cluster, and again where a worker was killed.

The cluster and its workers are real. A FileIO holds the first worker that creates a certain file,
so that it is killed in the middle of its task.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dask
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import ray
from distributed import default_client
from distributed.comm.tcp import TCP
from dlt.pipeline.exceptions import PipelineStepFailed
from ray._private.serialization import SerializationContext
from servers.held_file_io import HELD, HOLDER

from floe_ingestion_defs.destinations.impl.iceberg.changes import file_changes
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import RowsLost
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions
from floe_ingestion_defs.destinations.impl.iceberg.parallel.cluster_tasks import TaskFailed
from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import (
    open_executor,
    tasks_at_once,
)
from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import FileScanTask

    from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import RewriteExecutor

PAIRS = CompactionOptions(min_files=2, target_bytes=6_000)
KEYED: dict[str, Any] = {"table_name": "orders", "write_disposition": "merge", "primary_key": "id"}


@dataclass(frozen=True)
class Cluster:
    """A cluster with two workers, which this process can connect to.

    Attributes:
        executor: The executor that submits to it.
        variable: The variable that names its address.
        leave: Ends this process's connection.
    """

    executor: RewriteExecutor
    variable: str
    leave: Callable[[], object]

    @property
    def options(self) -> dict[str, str]:
        return {"rewrite_executor": self.executor}

    @property
    def merge_on_read(self) -> dict[str, str]:
        return {**self.options, "merge_mode": "merge-on-read"}


def close_dask_client() -> None:
    find_client: Any = default_client  # The function has no types.
    with suppress(ValueError):
        find_client().close()


CLUSTERS = {
    "ray": Cluster("ray", "RAY_ADDRESS", ray.shutdown),
    "dask": Cluster("dask", "DASK_SCHEDULER_ADDRESS", close_dask_client),
}


@pytest.fixture(autouse=True, scope="module", params=CLUSTERS)
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    name = request.param
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(CLUSTERS[name].variable, request.getfixturevalue(f"{name}_address"))
        dask.config.refresh()
        yield CLUSTERS[name]
        CLUSTERS[name].leave()
    dask.config.refresh()


def kill_the_worker_that_creates(
    file: str, act: Callable[[], object], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> object:
    """Do something, and kill the first process that creates such a file while it is held."""
    holder = folder / "holder"
    killed: list[int] = []
    monkeypatch.setenv("PYICEBERG_CATALOG__FLOE__PY_IO_IMPL", "servers.held_file_io.HeldFileIO")
    for name, value in ((HELD, file), (HOLDER, str(holder))):
        variable = name.upper().replace(".", "__").replace("-", "_")
        monkeypatch.setenv(f"PYICEBERG_CATALOG__FLOE__{variable}", value)

    def kill() -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and not killed:
            if holder.exists() and (pid := holder.read_text()):
                assert int(pid) != os.getpid()
                os.kill(int(pid), signal.SIGKILL)
                killed.append(int(pid))
            time.sleep(0.01)

    killer = threading.Thread(target=kill)
    killer.start()
    result = act()
    killer.join()
    assert len(killed) == 1
    return result


def load_in_steps(lake: Lake, count: int) -> None:
    for n in range(count):
        lake.load([{"id": 10 * n + i, "name": f"n{n}"} for i in range(10)], table_name="orders")


def scan(lake: Lake) -> list[FileScanTask]:
    return list(lake.table("orders").scan().plan_files())


def file_paths(lake: Lake) -> set[str]:
    return {task.file.file_path for task in scan(lake)}


def test_a_compaction_survives_the_death_of_a_worker(
    cluster: Cluster, lake: Lake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its group is rewritten by another one, and all of them are committed at once."""
    load_in_steps(lake, 6)
    before, snapshots = lake.rows("orders"), lake.snapshots("orders")

    def act() -> None:
        dataset = Dataset(lake.catalog, lake.dataset, rewrite_executor=cluster.executor)
        result = compact(dataset, "orders", PAIRS)
        assert result.files_removed == 6
        assert 1 < result.files_added < 6

    kill_the_worker_that_creates("-compacted-", act, tmp_path, monkeypatch)
    assert lake.rows("orders") == before
    assert lake.snapshots("orders") == snapshots + 1


@pytest.mark.parametrize(
    ("mode", "file"), [("copy-on-write", "-rewritten-"), ("merge-on-read", "-deletes-")]
)
def test_a_merge_survives_the_death_of_a_worker(
    mode: str,
    file: str,
    cluster: Cluster,
    lake: Lake,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In copy-on-write as in merge-on-read, in one snapshot."""
    options = {**cluster.options, "merge_mode": mode}
    load_in_steps(lake, 4)
    snapshots = lake.snapshots("orders")
    changed = [{"id": 10 * n, "name": "changed"} for n in range(5)]
    kill_the_worker_that_creates(
        file, lambda: lake.load(changed, options=options, **KEYED), tmp_path, monkeypatch
    )
    names = {row["id"]: row["name"] for row in lake.rows("orders")}
    assert names == {n: f"n{n // 10}" for n in range(40)} | {10 * n: "changed" for n in range(5)}
    assert len(lake.rows("orders")) == len(names)
    assert lake.snapshots("orders") == snapshots + 1


def test_rows_that_a_dimension_retires_are_moved_by_workers(
    cluster: Cluster, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are deleted in place and written again with the end of their validity."""
    arguments: dict[str, Any] = {
        "table_name": "orders",
        "write_disposition": {"disposition": "merge", "strategy": "scd2"},
    }
    rows: list[dict[str, Any]] = [{"id": n, "name": f"n{n}"} for n in range(20)]
    lake.load(rows, **arguments)
    rows[3]["name"] = "changed"
    # Of this process only; nothing else writes the rows of earlier files.
    monkeypatch.delattr(file_changes, "write_staged")
    lake.load(rows, options=cluster.merge_on_read, **arguments)
    deletes = {file for task in scan(lake) for file in task.delete_files}
    assert len(deletes) == 1
    found = lake.arrow("orders").to_pylist()
    retired = [row["name"] for row in found if row["_dlt_valid_to"] is not None]
    active = sorted(row["name"] for row in found if row["_dlt_valid_to"] is None)
    assert retired == ["n3"]
    assert active == sorted(row["name"] for row in rows)


def test_keys_are_found_by_workers(cluster: Cluster, lake: Lake) -> None:
    """Strategy `insert-only` looks for the keys that the table has already."""
    load_in_steps(lake, 2)
    disposition = {"disposition": "merge", "strategy": "insert-only"}
    rows = [{"id": n, "name": "new"} for n in (3, 13, 23)]
    lake.load(rows, options=cluster.options, **{**KEYED, "write_disposition": disposition})
    assert lake.values("orders", "id") == [*range(20), 23]


def worker_id(_: object, __: int) -> int:
    time.sleep(0.3)
    return os.getpid()


def test_work_is_done_by_several_workers(cluster: Cluster) -> None:
    deadline = time.monotonic() + 60
    with open_executor(cluster.executor) as executor:
        # A worker that another test killed is replaced.
        while tasks_at_once(executor) < 4 and time.monotonic() < deadline:
            time.sleep(0.1)
    workers = {pid for _, pid in in_parallel(worker_id, None, range(8), cluster.executor)}
    assert len(workers) == 2
    assert os.getpid() not in workers


class Counted:
    """Counts how often this process pickles it."""

    def __init__(self) -> None:
        self.times = 0

    def __getstate__(self) -> dict[str, int]:
        self.times += 1
        return {"times": self.times}


def add(shared: Counted, number: int) -> int:
    assert shared.times
    return 1 + number


def test_what_tasks_have_in_common_is_sent_once(cluster: Cluster) -> None:
    """Such as the keys of a merge, which tasks refer to."""
    shared = Counted()
    found = list(in_parallel(add, shared, range(9), cluster.executor))
    assert found == [(n, n + 1) for n in range(9)]
    assert shared.times == 1


def test_a_merge_sends_its_keys_once_and_no_rows(
    cluster: Cluster, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows have 40 bytes, and keys 8; all bytes that the driver sends are counted."""
    rows = 50_000
    ids = pa.array(range(rows), pa.int64())
    names = pc.utf8_lpad(ids.cast(pa.string()), 32, "0")
    for _ in range(4):
        lake.load(pa.table({"id": ids, "name": names}), table_name="orders")
    list(in_parallel(add, Counted(), [1], cluster.executor))
    sent = COUNT_SENT[cluster.executor](monkeypatch)
    lake.load(pa.table({"id": ids, "name": names}), options=cluster.merge_on_read, **KEYED)
    assert lake.table("orders").scan().count() == rows
    assert 8 * rows < sum(sent) < 1.5 * 8 * rows, sent


def count_sent_to_ray(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the size of each argument and object that Ray serializes is added."""
    sent: list[int] = []
    serialize: Any = SerializationContext.serialize

    def counted(self: SerializationContext, value: Any) -> Any:
        serialized = serialize(self, value)
        sent.append(serialized.total_bytes)
        return serialized

    monkeypatch.setattr(SerializationContext, "serialize", counted)
    return sent


def count_sent_to_dask(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which the size of each message of this process is added."""
    sent: list[int] = []
    write: Any = TCP.write

    async def counted(self: TCP, *args: Any, **kwargs: Any) -> int:
        size: int = await write(self, *args, **kwargs)
        sent.append(size)
        return size

    monkeypatch.setattr(TCP, "write", counted)
    return sent


COUNT_SENT = {"ray": count_sent_to_ray, "dask": count_sent_to_dask}


class Unpicklable(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def fail(_: object, number: int) -> None:
    raise [RowsLost(3, 1, 1), Unpicklable(1, 2), FileNotFoundError("gone")][number]


def test_the_error_of_a_task_is_raised_as_if_it_were_local(cluster: Cluster) -> None:
    """Without the worker's stack trace, by its own class: some classes block a table."""
    for number, (expected, message) in enumerate(
        [
            (RowsLost, r"^Files with 3 rows, of which 1"),
            (TaskFailed, r"^Unpicklable: 1 and 2$"),
            (FileNotFoundError, r"^gone$"),
        ]
    ):
        with pytest.raises(expected, match=message) as caught:
            list(in_parallel(fail, None, [number], cluster.executor))
        assert type(caught.value) is expected


def test_a_load_without_its_cluster_is_published_by_the_next(
    cluster: Cluster, lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed, and the failure is transient."""
    load_in_steps(lake, 2)
    cluster.leave()
    with monkeypatch.context() as patch:
        patch.setenv(cluster.variable, "127.0.0.1:1")
        dask.config.refresh()
        with pytest.raises(PipelineStepFailed):
            lake.load([{"id": 1, "name": "changed"}], options=cluster.options, **KEYED)
    dask.config.refresh()
    assert "changed" not in lake.values("orders", "name")
    lake.load([{"id": 2, "name": "changed"}], options=cluster.options, **KEYED)
    assert lake.values("orders", "name").count("changed") == 2
