"""The work on data files runs on a Dask cluster, whose executor is a standard one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed import Client, LocalCluster

from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


def _finished_tasks(dask_scheduler: Any) -> list[str]:
    """Return the tasks that workers ran, from the scheduler's record of transitions."""
    return [
        str(step[0])
        for step in dask_scheduler.transition_log
        if step[1] == "processing" and step[2] == "memory"
    ]


def test_a_compaction_runs_on_the_workers_of_a_cluster(lake: Lake) -> None:
    """The process that has the client submits the groups, and commits what comes back."""
    for n in range(6):
        lake.load([{"id": 10 * n + i, "name": f"n{n}"} for i in range(10)], table_name="orders")
    before, snapshots = lake.rows("orders"), lake.snapshots("orders")
    options = CompactionOptions(min_files=2, target_bytes=6_000)
    dataset = Dataset(lake.catalog, lake.dataset)
    start_cluster: Any = LocalCluster  # Neither class has types.
    connect: Any = Client
    cluster = start_cluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
    )
    with cluster, connect(cluster) as client, client.get_executor(pure=False) as executor:
        result = compact(dataset, "orders", options, executor)
        keys = client.run_on_scheduler(_finished_tasks)
    assert len(keys) == result.files_added
    assert result.files_removed == 6
    assert 1 < result.files_added < 6
    assert lake.rows("orders") == before
    assert lake.snapshots("orders") == snapshots + 1
