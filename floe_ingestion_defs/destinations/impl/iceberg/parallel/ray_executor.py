"""An executor whose tasks run on a Ray cluster, such as one of KubeRay's.

A task whose worker or node is lost runs again, as often as Ray's own `RAY_TASK_MAX_RETRIES` says.
That is safe: each attempt writes files with new names, and only those of its result are committed.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import ray
from ray.exceptions import RayTaskError

from floe_ingestion_defs.destinations.impl.iceberg.parallel.cluster_tasks import (
    TASKS_PER_CORE,
    call,
)

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
T = TypeVar("T")

_CONNECT_SECONDS = 10.0


class RayExecutor(Executor):
    """An executor that submits tasks to the Ray cluster that Ray's own variables name.

    The cluster is the one of `RAY_ADDRESS`, or the one on this machine. The driver puts the first
    argument, which all tasks have in common, into the object store once, and tasks refer to it.

    Raises:
        OSError: No cluster can be reached.
    """

    def __init__(self) -> None:
        if not ray.is_initialized():
            _connect()
        self._shared: Any = None
        self._reference: Any = None
        self._running: dict[Future[Any], Any] = {}

    @property
    def tasks_at_once(self) -> int:
        """How many tasks keep the cluster busy."""
        cluster: Any = ray  # The function has no types.
        resources = cluster.cluster_resources()
        return TASKS_PER_CORE * max(1, int(resources.get("CPU", 1)))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Submit a call, of which the first argument is shared with other calls."""
        shared, *others = args
        if self._reference is None or shared is not self._shared:
            self._shared, self._reference = shared, ray.put(shared)
        name = getattr(fn, "__name__", "task").strip("_")
        task = ray.remote(call).options(name=name)
        reference = task.remote(fn, self._reference, *others, **kwargs)
        future: Future[T] = Future()
        self._running[future] = reference
        reference.future().add_done_callback(lambda done: self._end(future, done))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Release the shared argument, and cancel the tasks that have not ended.

        A cancelled task leaves files that nothing refers to, as a killed one does, so `wait` has no
        effect.
        """
        if cancel_futures:
            for reference in list(self._running.values()):
                ray.cancel(reference)
        self._shared = self._reference = None

    def _end(self, future: Future[Any], done: Future[Any]) -> None:
        self._running.pop(future, None)
        error = done.exception()
        if isinstance(error, RayTaskError):
            # The cause alone: Ray's message contains the stack trace of the worker.
            error = error.cause
        if error is None:
            future.set_result(done.result())
        else:
            future.set_exception(error)


def _connect() -> None:
    # Without an address, Ray would start a cluster of its own.
    address = os.environ.get("RAY_ADDRESS") or "auto"
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        # Ray itself waits for minutes.
        with socket.create_connection((host, int(port)), _CONNECT_SECONDS):
            pass
    handler = signal.getsignal(signal.SIGTERM)
    ray.init(
        address,
        ignore_reinit_error=True,
        configure_logging=False,
        log_to_driver=False,
        logging_level=logging.WARNING,
    )
    if threading.current_thread() is threading.main_thread():
        # Ray's handler would end the process in the middle of a load.
        signal.signal(signal.SIGTERM, handler)
