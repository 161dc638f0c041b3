"""One run of the demo: the state of the tables, the job in Dagster, and what it loaded."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from threading import Event, Thread
from typing import cast

import dagster as dg
import pyarrow.compute as pc
import structlog
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from dlt_sources.nyc_flights_demo.launched_run import create_launched_run
from dlt_sources.nyc_flights_demo.simulated_systems import settings
from floe_ingestion_defs.destinations import Dataset, open_catalog, recover

_NAMESPACE = "bronze"
_JOB = "ingestion"

# Called with the names of the loaded tables, in the order in which they were loaded.
ShowProgress = Callable[[list[str]], None]


class RunFailedError(RuntimeError):
    """The job failed; the message names the failed steps and the reasons."""


@dataclass(frozen=True)
class TableState:
    """The state of a table in the catalog.

    Attributes:
        rows: Its rows; 0 where the table does not exist.
        snapshot_id: Its current snapshot, if it has one.
        newest_update: The largest `updated_at` of a reference table that has rows.
    """

    rows: int = 0
    snapshot_id: int | None = None
    newest_update: datetime | None = None


@dataclass(frozen=True)
class AssetLoad:
    """What one run loaded into one asset, according to its materialization.

    Attributes:
        asset: The asset's key.
        rows_loaded: Rows that this run loaded.
        total_rows: Rows of the table afterwards.
        snapshot_id: The table's current snapshot afterwards.
        seconds: Duration of the load of the asset's source.
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
        title: What the source systems received before the run.
        loads: What it loaded, by table.
    """

    title: str
    loads: Mapping[str, AssetLoad]


def read_tables() -> dict[str, TableState]:
    """Return the state of the demo's tables in the catalog.

    Loads that a killed run committed but did not publish are published first, as by every load
    that opens the dataset; otherwise their rows would count as new.
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
            newest = cast("datetime | None", pc.max(updates).as_py())
        snapshot = table.current_snapshot()
        states[name] = TableState(
            rows=table.scan().count(),
            snapshot_id=snapshot.snapshot_id if snapshot else None,
            newest_update=newest.replace(tzinfo=None) if newest else None,
        )
    return states


def keep_quiet() -> None:
    """Show only the demo's own lines and errors in this process's terminal.

    The logs of a run are in Dagster's event log, where the UI shows them.
    """
    os.environ["RUNTIME__LOG_LEVEL"] = "ERROR"  # dlt's
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def load_job() -> dg.JobDefinition:
    """Load the code location, and return its job over all assets."""
    from floe_ingestion_defs.definitions import defs

    return defs().resolve_job_def(_JOB)


def run_job(job: dg.JobDefinition, title: str, show_progress: ShowProgress) -> DemoRun:
    """Run a job in this process, on the local instance.

    Args:
        job: The job over all assets.
        title: What the source systems received before the run.
        show_progress: Called repeatedly with the names of the loaded tables.

    Raises:
        RunFailedError: A step failed.
        KeyboardInterrupt: The user pressed Ctrl-C.
    """
    with dg.DagsterInstance.get() as instance:
        run = create_launched_run(
            instance,
            job,
            tags={"demo": title},
            # The UI shows the logs of a run; the caller reports failures.
            run_config={
                "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
                "execution": {"config": {"in_process": {}}},
            },
        )
        try:
            with _watch(instance, run.run_id, show_progress):
                result = execute_run(InMemoryJob(job), run, instance)
        except dg.DagsterExecutionInterruptedError:
            raise KeyboardInterrupt from None
        if not result.success:
            raise _failure_of(result)
    loads = [
        _read_load(event.materialization)
        for event in result.all_events
        if event.event_type == dg.DagsterEventType.ASSET_MATERIALIZATION
    ]
    return DemoRun(title, {load.table: load for load in loads})


def _read_load(materialization: dg.AssetMaterialization) -> AssetLoad:
    values = {name: entry.value for name, entry in materialization.metadata.items()}
    return AssetLoad(
        asset=materialization.asset_key.to_user_string(),
        rows_loaded=cast("int", values["rows_loaded"]),
        total_rows=cast("int", values["dagster/row_count"]),
        snapshot_id=int(cast("str", values["snapshot_id"])),
        seconds=cast("float", values["duration_seconds"]),
    )


# Dagster raises on Ctrl-C between steps, and reports Ctrl-C in a step as that step's failure.
_INTERRUPTS = ("KeyboardInterrupt", dg.DagsterExecutionInterruptedError.__name__)


def _failure_of(result: dg.JobExecutionResult) -> RunFailedError | KeyboardInterrupt:
    failures = [event for event in result.all_events if event.is_step_failure]
    if any(_name_error(event) in _INTERRUPTS for event in failures):
        return KeyboardInterrupt()
    causes = [f"{event.step_key}: {_describe_cause(event)}" for event in failures]
    return RunFailedError("\n".join(causes) or f"run {result.run_id} failed before its first step")


def _name_error(event: dg.DagsterEvent) -> str | None:
    error = event.step_failure_data.error
    return error.cls_name if error else None


def _describe_cause(event: dg.DagsterEvent) -> str:
    """Return the failure's description, or else the message of the root cause."""
    data = event.step_failure_data
    if data.user_failure_data and data.user_failure_data.description:
        return data.user_failure_data.description
    error = data.error
    while error and error.cause:
        error = error.cause
    return error.message.strip() if error else "failed without an error"


@contextmanager
def _watch(instance: dg.DagsterInstance, run_id: str, show: ShowProgress) -> Iterator[None]:
    """Show which assets a run has materialized so far, while the block runs."""
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
