"""Data files are worked on at the same time, in their order, and a few of them only."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import FILES_AT_ONCE
from floe_ingestion_defs.destinations.impl.iceberg.parallel.in_parallel import in_parallel

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake


def test_results_come_in_the_order_of_the_files() -> None:
    def compute(sign: int, number: int) -> int:
        time.sleep(0.02 if number % 2 else 0)
        return sign * number

    assert list(in_parallel(compute, -1, range(9))) == [(n, -n) for n in range(9)]


def test_no_more_files_are_in_work_than_there_are_threads() -> None:
    """Each holds batches of rows, so memory must not grow with the number of files."""
    lock, in_work, most = threading.Lock(), 0, 0

    def compute(_: object, __: int) -> None:
        nonlocal in_work, most
        with lock:
            in_work += 1
            most = max(most, in_work)
        time.sleep(0.005)
        with lock:
            in_work -= 1

    assert len(list(in_parallel(compute, None, range(40)))) == 40
    assert 1 <= most <= FILES_AT_ONCE


def test_the_first_error_ends_the_work() -> None:
    done: list[int] = []

    def compute(_: object, number: int) -> None:
        if number == 3:
            msg = "the third"
            raise ValueError(msg)
        done.append(number)

    with pytest.raises(ValueError, match="the third"):
        list(in_parallel(compute, None, range(1000)))
    assert len(done) < 3 + 4 * FILES_AT_ONCE


def test_an_unknown_executor_is_rejected_before_anything_is_loaded(lake: Lake) -> None:
    """As is one whose cluster is not known, or whose extra is not installed."""
    error = lake.rejected([{"id": 1}], table_name="orders", options={"rewrite_executor": "spark"})
    assert str(error) == "'spark' is not a valid rewrite_executor; use one of threads, ray, dask."
    error = lake.rejected([{"id": 1}], table_name="orders", options={"rewrite_executor": "dask"})
    assert str(error).startswith("The rewrite_executor `dask` has no cluster; set DASK_SCHEDULER")
    assert not lake.catalog.namespace_exists(lake.dataset)
