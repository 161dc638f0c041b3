"""One run of the demo: what the tables are like before, the job through Dagster, what it loaded."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from typing import cast
from uuid import uuid4

import dagster as dg
import pyarrow.compute as pc
import structlog

from dlt_sources.nyc_flights import settings
from floe_ingestion_defs.destinations import Dataset, open_catalog, recover

_NAMESPACE = "bronze"
_JOB = "ingestion"

# Called with the names of the tables that are done, in the order in which they were.
ShowProgress = Callable[[list[str]], None]


class RunFailedError(RuntimeError):
    """The job did not succeed; the message says which steps failed and why."""


@dataclass(frozen=True)
class TableState:
    """A table as it stands in the catalog.

    Attributes:
        rows: Its rows; 0 for a table that is not there.
        snapshot_id: Its current snapshot, if it has one.
        newest_update: The largest `updated_at`, of a reference table that has rows.
    """

    rows: int = 0
    snapshot_id: int | None = None
    newest_update: datetime | None = None


@dataclass(frozen=True)
class AssetLoad:
    """What one run did to one asset, as its materialization says.

    Attributes:
        asset: The asset's key.
        rows_loaded: Rows that this run loaded.
        total_rows: Rows of the table afterwards.
        snapshot_id: The snapshot that the table stands at afterwards.
        seconds: How long the load of the asset's source took.
    """

    asset: str
    rows_loaded: int
    total_rows: int
    snapshot_id: int
    seconds: float

    @property
    def table(self) -> str:
        """The table's name without its namespace, which is the resource's name."""
        return self.asset.rpartition("__")[2]


@dataclass(frozen=True)
class DemoRun:
    """One run of the job.

    Attributes:
        title: What had happened in the outside world before.
        loads: What it did, by table.
    """

    title: str
    loads: Mapping[str, AssetLoad]


def read_tables() -> dict[str, TableState]:
    """Reads how the worked example's tables stand in the catalog.

    What a killed run had committed and not yet published is published first, as every load does
    when it opens the dataset; else its rows would seem to be new.
    """
    dataset = Dataset(open_catalog(), _NAMESPACE)
    if (view := dataset.log.read()) is not None:
        recover(dataset, view)
    states: dict[str, TableState] = {}
    for name in settings.ROWS_OF_THE_YEAR:
        table = dataset.load_table(name)
        if table is None:
            states[name] = TableState()
            continue
        newest = None
        if name in settings.REFERENCE_TABLES:
            updates = table.scan(selected_fields=("updated_at",)).to_arrow()["updated_at"]
            newest = cast(datetime | None, pc.max(updates).as_py())
        snapshot = table.current_snapshot()
        states[name] = TableState(
            rows=table.scan().count(),
            snapshot_id=snapshot.snapshot_id if snapshot else None,
            newest_update=newest.replace(tzinfo=None) if newest else None,
        )
    return states


def keep_quiet() -> None:
    """Keeps this process's terminal to the demo's own lines, and to errors.

    What happens in a run stands in Dagster's event log, for the UI to show.
    """
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"  # dlt's
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def load_job() -> dg.JobDefinition:
    """Loads the code location, and gives its job over all assets."""
    from floe_ingestion_defs.definitions import defs

    return defs().resolve_job_def(_JOB)


def run_job(job: dg.JobDefinition, title: str, show_progress: ShowProgress) -> DemoRun:
    """Runs a job in this process, on the local instance.

    Args:
        job: The job over all assets.
        title: What happened in the outside world before.
        show_progress: Told now and then which tables are done.

    Raises:
        RunFailedError: A step failed.
        KeyboardInterrupt: Somebody pressed Ctrl-C.
    """
    run_id = str(uuid4())
    with dg.DagsterInstance.get() as instance:
        try:
            with _watch(instance, run_id, show_progress):
                result = job.execute_in_process(
                    instance=instance,
                    run_id=run_id,
                    raise_on_error=False,
                    tags={"demo": title},
                    # What a run logs stands in the UI; what goes wrong is told by the caller.
                    run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
                )
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        if not result.success:
            raise _failure_of(result)
        events = result.get_asset_materialization_events()
    loads = [_read_load(event.materialization) for event in events]
    return DemoRun(title, {load.table: load for load in loads})


def _read_load(materialization: dg.AssetMaterialization) -> AssetLoad:
    values = {name: entry.value for name, entry in materialization.metadata.items()}
    return AssetLoad(
        asset=materialization.asset_key.to_user_string(),
        rows_loaded=cast(int, values["rows_loaded"]),
        total_rows=cast(int, values["dagster/row_count"]),
        snapshot_id=int(cast(str, values["snapshot_id"])),
        seconds=cast(float, values["duration_seconds"]),
    )


# Dagster reports Ctrl-C between steps by raising, and within a step as that step's failure.
_INTERRUPTS = ("KeyboardInterrupt", dg.DagsterExecutionInterruptedError.__name__)


def _failure_of(result: dg.ExecuteInProcessResult) -> RunFailedError | KeyboardInterrupt:
    failures = [event for event in result.all_events if event.is_step_failure]
    if any(_name_error(event) in _INTERRUPTS for event in failures):
        return KeyboardInterrupt()
    causes = [f"{event.step_key}: {_describe_cause(event)}" for event in failures]
    return RunFailedError("\n".join(causes) or f"run {result.run_id} failed before its first step")


def _name_error(event: dg.DagsterEvent) -> str | None:
    error = event.step_failure_data.error
    return error.cls_name if error else None


def _describe_cause(event: dg.DagsterEvent) -> str:
    """The sentence that the wiring wrote for people, or else what was raised at the bottom."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else "it failed without an error"


@contextmanager
def _watch(instance: dg.DagsterInstance, run_id: str, show: ShowProgress) -> Iterator[None]:
    """Shows which assets a run has materialized so far, while the block runs."""
    ended = Event()

    def look() -> None:
        entries = instance.all_logs(run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION)
        keys = [e.dagster_event.asset_key for e in entries if e.dagster_event]
        show([key.to_user_string().rpartition("__")[2] for key in keys if key])

    def look_again_and_again() -> None:
        while not ended.wait(0.3):
            look()

    thread = Thread(target=look_again_and_again, name="demo-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        look()
