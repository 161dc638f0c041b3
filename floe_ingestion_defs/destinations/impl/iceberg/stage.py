"""Staging: a package's rows become data files that nothing refers to yet."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.json import json

from floe_ingestion_defs.destinations.impl.iceberg.admission.tables import (
    load_current,
    require_accepted_columns,
    require_representable,
    require_values,
    require_writable,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.ahead import read_manifest_list_ahead
from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import file_io
from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.create import creation, is_dropped
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitConflict, InvalidRows
from floe_ingestion_defs.destinations.impl.iceberg.files.schema import evolve, reset, staged_schema
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import default_sort_order
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import (
    InvalidValue,
    stage_file,
    write_staged,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import StagedFile, TableIntent
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOG_UUID
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import (
    rolled_back_loads,
    was_rolled_back,
)
from floe_ingestion_defs.destinations.impl.iceberg.merge_source import merge_sources
from floe_ingestion_defs.destinations.impl.iceberg.parallel.tables import (
    for_each_file,
    for_each_table,
)
from floe_ingestion_defs.destinations.impl.iceberg.plan import (
    TablePlan,
    follow_rollbacks,
    reject_nested_keys,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pyiceberg.table import Table, Transaction
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView
    from floe_ingestion_defs.destinations.impl.iceberg.package import Package


# Arrow's errors among them; a store's are of other types.
_INVALID_VALUES = (ValueError, TypeError, NotImplementedError)

logger = logging.getLogger(__name__)


def stage(
    dataset: Dataset, package: Package, plans: Sequence[TablePlan], view: LogView
) -> list[StagedTable]:
    """Write the package's rows as data files that nothing refers to yet.

    Raises:
        IncompatibleSchema: A column cannot be widened to the type of the rows.
        InvalidRows: A value does not fit the type of its column.
        NotPublishable: A table, or its catalog, does not accept the rows.
    """
    with merge_sources(package, plans) as sources:
        work = _work_on_tables(dataset, package, sources, view)
        if not view.knows_schema(package.schema.stored_version_hash):
            work.append(_work_on_version(dataset, package, view))
        staged = for_each_table(dataset.catalog, lambda stage_table: stage_table(), work)
    return [table for table in staged if table is not None]


def _work_on_tables(
    dataset: Dataset, package: Package, plans: Sequence[TablePlan], view: LogView
) -> list[Callable[[], StagedTable | None]]:
    """Return the staging of each table; the tables themselves are read here."""

    def read(plan: TablePlan) -> tuple[Table | None, Since]:
        since = Since()
        current = load_current(dataset, plan.table, view)
        if current is not None:
            read_manifest_list_ahead(current)
        return current, since

    def read_all(plans: Sequence[TablePlan]) -> dict[str, tuple[Table | None, Since]]:
        found = for_each_table(dataset.catalog, read, plans)
        return dict(zip((plan.table for plan in plans), found, strict=True))

    tables = read_all(plans)
    rolled_back = {name for name, (table, _) in tables.items() if table and was_rolled_back(table)}
    plans = follow_rollbacks(package, plans, rolled_back)
    tables |= read_all([plan for plan in plans if plan.table not in tables])

    def stage_plan(plan: TablePlan) -> StagedTable | None:
        current, since = tables[plan.table]
        require_writable(dataset, plan, current)
        if current is not None and plan.table in rolled_back:
            name, lost = dataset.qualified(plan.table), rolled_back_loads(current, view.uuid)
            if lost:
                logger.warning(
                    "`%s` was rolled back: it lacks loads %s, which do not come back by themselves",
                    name,
                    ", ".join(lost),
                )
            else:
                logger.warning("`%s` was replaced by another writer, with all of its rows", name)
        # A table without rows counts although it does not exist: an earlier load may be about to
        # create it, with rows that this load deletes.
        if current is None and not plan.jobs and not plan.columns:
            return None
        table = _stage_table(dataset, package, plan, view.uuid, current, since)
        require_accepted_columns(dataset.catalog, table)
        require_values(table)
        return table

    return [partial(stage_plan, plan) for plan in plans]


@contextmanager
def _rejecting_invalid_rows(name: str) -> Iterator[None]:
    """Reject rows that cannot be written in the types of their columns.

    The next run extracts such rows again: the source or the column's type has to change first, and
    a package that stayed pending would fail every run.
    """
    try:
        yield
    except _INVALID_VALUES as invalid:
        column = f"column `{invalid.column}`" if isinstance(invalid, InvalidValue) else "a column"
        msg = (
            f"Rows for `{name}` do not fit the type of {column} ({type(invalid).__name__}), such "
            "as a decimal of more than 38 digits or an integer of more than 63 bits. Change the "
            "values, or the column's `data_type`, in the source."
        )
        # Arrow's own message contains the value.
        raise InvalidRows(msg) from None


def _stage_table(
    dataset: Dataset,
    package: Package,
    plan: TablePlan,
    log_uuid: str,
    current: Table | None,
    read: Since,
) -> StagedTable:
    name = dataset.qualified(plan.table)
    with _rejecting_invalid_rows(name):
        incoming = staged_schema(name, plan.columns, [pq.read_schema(job) for job in plan.jobs])
        reject_nested_keys(name, plan.intent.keys, incoming)
        for job in plan.jobs:
            require_representable(name, job)
    created = None
    transaction: Transaction
    if current is None:
        try:
            transaction = created = creation(dataset, plan.intent, incoming)
        except CommitConflict:  # Another process has just created it.
            current = dataset.load_table(plan.table)
            return _stage_table(dataset, package, plan, log_uuid, current, read)
    else:
        transaction = current.transaction()
        if (plan.intent.drop and plan.jobs) or is_dropped(current):
            reset(transaction, name, incoming)
        else:
            evolve(transaction, name, incoming)
    transaction.set_properties({LOG_UUID: log_uuid})  # It is part of the staged files' names.
    metadata, io = transaction.table_metadata, file_io(transaction)

    def stage_job(job: Path) -> list[StagedFile]:
        return stage_file(job, metadata, io, package.load_uid)

    with _rejecting_invalid_rows(name):
        staged = for_each_file(dataset.catalog, stage_job, plan.jobs)
    files = tuple(chain.from_iterable(staged))
    intent = plan.intent.model_copy(
        update={
            "files": files,
            "iceberg_schema": incoming.model_dump_json(),
            "spec": str(metadata.spec()),
            "sort_order": str(default_sort_order(metadata)),
            **_identity(metadata, current, creates=bool(files)),
        }
    )
    return StagedTable(
        name,
        intent,
        metadata,
        io,
        current,
        plan.resource,
        plan.is_nested,
        created,
        read,
        tuple(column for column, hints in plan.columns.items() if hints.get("primary_key")),
    )


def _identity(
    metadata: TableMetadata, current: Table | None, *, creates: bool
) -> dict[str, str | None]:
    """Return the fields of an intent that identify its table, or where to create it."""
    if current is None and not creates:
        return {}
    location = metadata.location if current is None else None
    return {"table_uuid": str(metadata.table_uuid), "location": location}


def _work_on_version(
    dataset: Dataset, package: Package, view: LogView
) -> Callable[[], StagedTable]:
    """Return the staging of the row of `_dlt_version` for a schema that no load had before."""
    schema = package.schema
    table = schema.version_table_name
    plan = TablePlan(
        TableIntent(table=table, disposition="append"), package.prepare_table(table)["columns"]
    )
    row = {
        "version": schema.stored_version,
        "engine_version": schema.ENGINE_VERSION,
        "inserted_at": package.created_at,
        "schema_name": schema.name,
        "version_hash": schema.stored_version_hash,
        "schema": json.dumps(schema.to_dict()),
    }
    naming = schema.naming
    rows = pa.RecordBatch.from_pylist([{naming.normalize_identifier(k): v for k, v in row.items()}])

    def stage_version() -> StagedTable:
        read = Since()
        current = None if view.begins_namespace else dataset.load_table(table)
        staged = _stage_table(dataset, package, plan, view.uuid, current, read)
        files = write_staged([rows], staged.metadata, staged.io, package.load_uid)
        identity = _identity(staged.metadata, staged.current, creates=True)
        intent = staged.intent.model_copy(update={"files": tuple(files), **identity})
        return replace(staged, intent=intent)

    return stage_version
