"""The executor starts processes only for steps that can run at the same time."""

import os
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring.runs.executor import sequence_or_multiprocess_executor

if TYPE_CHECKING:
    from pathlib import Path


@dg.op
def first() -> int:
    return os.getpid()


@dg.op
def second(before: int) -> int:
    return os.getpid()


@dg.op(out=dg.DynamicOut(int))
def several() -> Any:
    yield dg.DynamicOutput(os.getpid(), mapping_key="a")


@dg.job(executor_def=sequence_or_multiprocess_executor)
def in_sequence() -> None:
    second(first())


@dg.job(executor_def=sequence_or_multiprocess_executor)
def beside_each_other() -> None:
    first.alias("one")()
    first.alias("other")()


@dg.job(executor_def=sequence_or_multiprocess_executor)
def for_each() -> None:
    several().map(second)


@dg.op(retry_policy=dg.RetryPolicy(max_retries=1))
def fails_once(context: dg.OpExecutionContext) -> int:
    if context.retry_number == 0:
        raise OSError
    return os.getpid()


@dg.job(executor_def=sequence_or_multiprocess_executor)
def retried() -> None:
    second(fails_once())


@pytest.mark.parametrize(
    ("job", "is_one_process"),
    [(in_sequence, True), (retried, True), (beside_each_other, False), (for_each, False)],
)
def test_steps_in_sequence_run_in_the_process_of_the_run(
    job: dg.JobDefinition, is_one_process: bool, tmp_path: "Path"
) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        result = dg.execute_job(dg.reconstructable(job), instance=instance)
        assert result.success
        of_processes = dg.DagsterEventType.STEP_WORKER_STARTING
        started = [e for e in result.all_events if e.event_type == of_processes]
    assert (started == []) is is_one_process
