"""What the processes do in the tests of loads that overtake each other."""

from __future__ import annotations

import resource
import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from faults import boundaries, loads
from faults.loads import Row, pipeline
from floe_ingestion_defs.destinations.impl.iceberg import recover
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.changes import file_changes
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.files import staged_files as stage
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.release import release_blocked

if TYPE_CHECKING:
    from pathlib import Path


def open_under(hook: boundaries.Hook | None, namespace: str, folder: Path) -> None:
    """Opens the dataset as every run does first, and so recovers it."""
    if hook:
        boundaries.watch(hook)
    pipeline(namespace, folder).sync_destination()


def open_held(boundary: str, gate: Path, namespace: str, folder: Path) -> None:
    """Opens the dataset, held at a boundary until the gate opens."""
    open_under(boundaries.hold_when(boundary, gate), namespace, folder)


def run_held(boundary: str, gate: Path, kind: str, namespace: str, folder: Path) -> None:
    """Runs a load, held at a boundary until the gate opens."""
    loads.run_disturbed(kind, namespace, folder, boundaries.hold_when(boundary, gate))


def load_rows(
    name: str,
    rows: list[Row],
    disposition: Any,
    namespace: str,
    folder: Path,
    hook: boundaries.Hook | None = None,
) -> None:
    """Loads rows into `events` without opening the dataset first, as a run under way does."""
    run = pipeline(namespace, folder, name)
    run.extract(dlt.resource(rows, name="events", write_disposition=disposition, primary_key="id"))
    run.normalize()
    if hook:
        boundaries.watch(hook)
    run.load()


def load_rows_and_die_at(
    boundary: int, name: str, rows: list[Row], disposition: Any, namespace: str, folder: Path
) -> None:
    """Loads rows into `events` and kills this process at a boundary, if there are so many."""
    load_rows(name, rows, disposition, namespace, folder, boundaries.kill_at(boundary))


def load_rows_and_die(
    boundary: str, name: str, rows: list[Row], disposition: Any, namespace: str, folder: Path
) -> None:
    """Loads rows into `events` and kills this process at a boundary."""
    load_rows(name, rows, disposition, namespace, folder, boundaries.kill_when(boundary))


def load_rows_held(
    boundary: str,
    gate: Path,
    name: str,
    rows: list[Row],
    disposition: Any,
    namespace: str,
    folder: Path,
) -> str:
    """Loads rows into `events`, held at a boundary; returns the kind of error, if there is one."""
    hook = boundaries.hold_when(boundary, gate)
    try:
        load_rows(name, rows, disposition, namespace, folder, hook)
    except PipelineStepFailed as failed:
        return type(failed.exception).__name__
    return ""


def load_rows_with_load_id(load_id: str, name: str, namespace: str, folder: Path) -> None:
    """Loads a row under a given load id, as two runs that start in one instant do."""
    from dlt.extract import storage

    setattr(storage, "create_load_id", lambda: load_id)  # noqa: B010
    load_rows(name, [{"id": 1, "by": name}], "append", namespace, folder)


def drop_table(namespace: str, table: str) -> None:
    """Drop a table as a user does to reload it."""
    open_catalog().drop_table((namespace, table))


def make_otherwise(namespace: str, table: str, column: str) -> None:
    """Create a table again, with one of its text columns holding numbers."""
    import pyarrow as pa

    catalog = open_catalog()
    present = catalog.load_table((namespace, table)).schema().as_arrow()
    catalog.drop_table((namespace, table))
    number = pa.field(column, pa.int64())
    catalog.create_table((namespace, table), present.set(present.get_field_index(column), number))


def delete_staged_files(namespace: str, table: str) -> None:
    """Deletes the files that a committed load which is not published yet has for a table."""
    dataset = Dataset(open_catalog(), namespace)
    view = dataset.log.read()
    assert view is not None
    for load in view.unsettled():
        for intent in load.intent.tables:
            for file in intent.files if intent.table == table else ():
                view.table.io.delete(file.path)


def release(namespace: str, table: str) -> int:
    """Release the loads that block a table."""
    return release_blocked(Dataset(open_catalog(), namespace), table)


def rows_of(namespace: str, table: str) -> list[Row]:
    """A table's rows."""
    rows: list[Row] = open_catalog().load_table((namespace, table)).scan().to_arrow().to_pylist()
    return rows


def open_and_read(namespace: str, folder: Path) -> tuple[list[str], list[tuple[int, str]]]:
    """Opens the dataset as any run does first, after the time for which loads of others are left.

    Returns:
        The pipelines whose loads are committed, in order, and the rows of `events`.
    """
    recover.OTHERS_AFTER = timedelta(0)
    open_under(None, namespace, folder)
    log = rows_of(namespace, "_dlt_loads")
    log.sort(key=lambda row: row["seq"])
    dataset = Dataset(open_catalog(), namespace)
    rows = rows_of(namespace, "events") if dataset.load_table("events") else []
    return [row["pipeline_name"] for row in log], sorted((r["id"], r["by"]) for r in rows)


FILE_BYTES = 100_000
BIG_ROWS = 4_000


def big_rows(first: int = 0, count: int = BIG_ROWS) -> list[Row]:
    """Rows that take more than `FILE_BYTES` in whatever compression."""
    return [{"id": n, "noise": secrets.token_hex(64)} for n in range(first, first + count)]


def load_until_the_disk_is_full(
    when: str, rows: list[Row], namespace: str, folder: Path
) -> tuple[str, bool]:
    """Loads rows while no file may grow past `FILE_BYTES`, from staging or from publishing on.

    Returns:
        The kind of error that ended the load, and whether its package waits to be loaded again.
    """

    def no_more_space() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, resource.RLIM_INFINITY))

    def reject_link(*_: Any) -> None:
        msg = "another file system"
        raise OSError(msg)

    run = pipeline(namespace, folder)
    run.extract(dlt.resource(rows, name="events", write_disposition="merge", primary_key="id"))
    run.normalize()
    owner, name = (stage, "upload") if when == "staging" else (file_changes, "write_data_file")
    original = getattr(owner, name)

    def with_a_full_disk(*arguments: Any) -> Any:
        no_more_space()
        return original(*arguments)

    setattr(owner, name, with_a_full_disk)
    with pytest.MonkeyPatch.context() as patch:
        # A link would need no space.
        patch.setattr("os.link", reject_link)
        with pytest.raises(PipelineStepFailed) as failed:
            run.load()
    return repr(failed.value.exception), bool(run.has_pending_data)


def load_what_is_pending(namespace: str, folder: Path, name: str = loads.PIPELINE) -> None:
    """Runs the pipeline without new data."""
    pipeline(namespace, folder, name).run()


def merge_big(first: int, count: int, namespace: str, folder: Path) -> None:
    """Merges big rows into `events`."""
    load_rows(loads.PIPELINE, big_rows(first, count), "merge", namespace, folder)
