"""Where the work per data file runs: in threads of this process, or on a Ray or Dask cluster.

The seam is `concurrent.futures.Executor`: a task is a function, what all tasks have in common, and
a file. It returns metadata or keys; the process that submits it alone commits.
"""

from __future__ import annotations

import os
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from dlt.common.exceptions import MissingDependencyException

from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

if TYPE_CHECKING:
    from collections.abc import Iterator

RewriteExecutor = Literal["threads", "ray", "dask"]

REWRITE_EXECUTORS: tuple[RewriteExecutor, ...] = get_args(RewriteExecutor)

# The package that an executor needs; the extra that installs it has the executor's name.
_PACKAGES: dict[str, str] = {"ray": "ray", "dask": "distributed"}

# As many as there are cores, and not more: each holds batches of its file.
FILES_AT_ONCE = min(4, os.cpu_count() or 1)


def require_executor(executor: str) -> None:
    """Check a configured executor, before anything is loaded.

    Raises:
        InvalidHint: It is not one of `REWRITE_EXECUTORS`, or has no address of a cluster.
        MissingDependencyException: Its extra is not installed.
    """
    if executor not in REWRITE_EXECUTORS:
        msg = (
            f"{executor!r} is not a valid rewrite_executor; use one of "
            f"{', '.join(REWRITE_EXECUTORS)}."
        )
        raise InvalidHint(msg)
    if executor in _PACKAGES and find_spec(_PACKAGES[executor]) is None:
        msg = f"the rewrite_executor `{executor}`"
        raise MissingDependencyException(msg, [f"floe-ingestion-defs[{executor}]"])
    if executor == "dask":
        from floe_ingestion_defs.destinations.impl.iceberg.parallel.dask_executor import has_cluster

        if not has_cluster():
            # Dask would start a cluster of its own.
            msg = (
                "The rewrite_executor `dask` has no cluster; set DASK_SCHEDULER_ADDRESS, such as "
                "tcp://scheduler:8786, or open a `distributed.Client`."
            )
            raise InvalidHint(msg)


@contextmanager
def open_executor(executor: RewriteExecutor, threads: int = FILES_AT_ONCE) -> Iterator[Executor]:
    """Open an executor; tasks that have not begun when the block ends are cancelled.

    Args:
        executor: Its name.
        threads: How many threads there are, if it is `threads`.

    Raises:
        OSError: The cluster cannot be reached.
    """
    require_executor(executor)
    opened: Executor
    if executor == "ray":
        from floe_ingestion_defs.destinations.impl.iceberg.parallel.ray_executor import RayExecutor

        opened = RayExecutor()
    elif executor == "dask":
        from floe_ingestion_defs.destinations.impl.iceberg.parallel.dask_executor import (
            DaskExecutor,
        )

        opened = DaskExecutor()
    else:
        opened = ThreadPoolExecutor(threads, "data-files")
    try:
        yield opened
    finally:
        opened.shutdown(wait=True, cancel_futures=True)


def tasks_at_once(executor: Executor, otherwise: int = FILES_AT_ONCE) -> int:
    """Return how many tasks keep an executor busy; `otherwise` if it does not say."""
    return int(getattr(executor, "tasks_at_once", otherwise))
