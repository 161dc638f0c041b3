"""An executor whose tasks run on a Dask cluster.

A task whose worker is lost runs again, as often as `distributed.scheduler.allowed-failures` of
Dask's configuration says. That is safe: each attempt writes files with new names, and only those of
its result are committed.
"""

from __future__ import annotations

from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import dask
from distributed import Client, default_client
from distributed.protocol import pickle

from floe_ingestion_defs.destinations.impl.iceberg.parallel.cluster_tasks import (
    TASKS_PER_CORE,
    call,
)

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_SECONDS = 10


class DaskExecutor(Executor):
    """An executor that submits tasks to the Dask cluster of this process's client.

    Without a client, one is opened for the cluster that Dask's configuration names. The first
    argument, which all tasks have in common, is sent to the scheduler once, as a task that others
    depend on. Scattered data, which nothing can compute again, would be lost with their worker.

    Raises:
        OSError: No cluster can be reached.
    """

    def __init__(self) -> None:
        self._client: Any = _connect()
        self._executor: Any = self._client.get_executor(pure=False)
        self._shared: Any = None
        self._reference: Any = None

    @property
    def tasks_at_once(self) -> int:
        """How many tasks keep the cluster busy."""
        return TASKS_PER_CORE * max(1, int(sum(self._client.nthreads().values())))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call, of which the first argument is shared with other calls."""
        shared, *others = args
        if self._reference is None or shared is not self._shared:
            self._shared, self._reference = shared, self._share(shared)
        future: Future[T] = self._executor.submit(call, fn, self._reference, *others, **kwargs)
        return future

    def _share(self, shared: object) -> Any:
        dumps: Any = pickle.dumps  # The function has no types.
        # Dask warns of large arguments of a task, which would be sent with each.
        with dask.config.set({"distributed.admin.large-graph-warning-threshold": "1 TiB"}):
            return self._client.submit(pickle.loads, dumps(shared), pure=False)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Release the shared argument, and cancel the tasks that have not ended."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._shared = self._reference = None


def has_cluster() -> bool:
    """Return whether this process has a client, or Dask's configuration names a cluster."""
    return bool(_default_client() or dask.config.get("scheduler-address", None))


def _default_client() -> Any:
    find_client: Any = default_client  # The function has no types.
    try:
        return find_client()
    except ValueError:
        return None


def _connect() -> Any:
    open_client: Any = Client
    return _default_client() or open_client(
        dask.config.get("scheduler-address"), timeout=_CONNECT_SECONDS
    )
