"""Staging: a package's rows become data files that nothing refers to yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from dlt.common.json import json

from floe_ingestion_defs.destinations.impl.iceberg.audit import StagedTable
from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import file_io
from floe_ingestion_defs.destinations.impl.iceberg.commits import create_table_transaction
from floe_ingestion_defs.destinations.impl.iceberg.files.layout import (
    DEFAULT_PROPERTIES,
    partition_spec,
    sort_order,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.names import LOG_PROPERTY
from floe_ingestion_defs.destinations.impl.iceberg.files.schema import evolve, reset, staged_schema
from floe_ingestion_defs.destinations.impl.iceberg.files.sorting import default_sort_order
from floe_ingestion_defs.destinations.impl.iceberg.files.staged_files import (
    stage_file,
    write_staged,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import Layout, StagedFile, TableIntent
from floe_ingestion_defs.destinations.impl.iceberg.plan import (
    TablePlan,
    plan_load,
    refuse_nested_keys,
)
from floe_ingestion_defs.destinations.impl.iceberg.publish import is_dropped

if TYPE_CHECKING:
    from pyiceberg.table import Table, Transaction

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView
    from floe_ingestion_defs.destinations.impl.iceberg.package import Package


def stage(dataset: Dataset, package: Package, view: LogView) -> list[StagedTable]:
    """Writes the package's rows as data files that nothing refers to yet.

    Raises:
        IncompatibleSchema: A column cannot be widened to what the rows hold.
    """
    staged = []
    for plan in plan_load(package):
        current = dataset.load_table(plan.table)
        # A table without rows counts although it is not there: an earlier load may be about to
        # create it, with rows that go.
        if current is not None or plan.jobs or plan.columns:
            staged.append(_stage_table(dataset, package, plan, view.uuid, current))
    if not view.knows_schema(package.schema.stored_version_hash):
        staged.append(_stage_version(dataset, package, view.uuid))
    return staged


def _stage_table(
    dataset: Dataset, package: Package, plan: TablePlan, log_uuid: str, current: Table | None
) -> StagedTable:
    name = dataset.qualified(plan.table)
    file_schemas = [pq.read_schema(job) for job in plan.jobs]
    incoming = staged_schema(name, plan.columns, file_schemas)
    refuse_nested_keys(name, plan.keys, incoming)
    transaction: Transaction
    location = None
    if current is None:
        transaction = create_table_transaction(
            dataset.catalog,
            dataset.identifier(plan.table),
            schema=incoming,
            partition_spec=partition_spec(name, plan.layout, incoming),
            sort_order=sort_order(name, plan.layout, incoming),
            properties={**DEFAULT_PROPERTIES, **plan.layout.properties},
        )
        location = transaction.table_metadata.location if plan.jobs else None
    else:
        transaction = current.transaction()
        if (plan.drop and plan.jobs) or is_dropped(current):
            reset(transaction, name, incoming)
        else:
            evolve(transaction, name, incoming)
    transaction.set_properties({LOG_PROPERTY: log_uuid})  # The staged files are named by it.
    metadata, io = transaction.table_metadata, file_io(transaction)
    files: list[StagedFile] = []
    for job in plan.jobs:
        files += stage_file(job, metadata, io, package.load_uid)
    intent = TableIntent(
        table=plan.table,
        disposition=plan.disposition,
        files=tuple(files),
        iceberg_schema=incoming.model_dump_json(),
        location=location,
        layout=plan.layout,
        strategy=plan.strategy,
        keys=plan.keys,
        nesting=plan.nesting,
        validity=plan.validity,
        window=plan.window,
        spec=str(metadata.spec()),
        sort_order=str(default_sort_order(metadata)),
        truncate=plan.truncate,
        drop=plan.drop,
    )
    return StagedTable(name, intent, metadata, io, current, plan.resource, is_nested=plan.is_nested)


def _stage_version(dataset: Dataset, package: Package, log_uuid: str) -> StagedTable:
    """Stages the row of `_dlt_version` for a schema that no load of the dataset had before."""
    schema = package.schema
    table = schema.version_table_name
    plan = TablePlan(
        table=table,
        disposition="append",
        columns=package.prepare_table(table)["columns"],
        jobs=(),
        layout=Layout(),
    )
    staged = _stage_table(dataset, package, plan, log_uuid, dataset.load_table(table))
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
    files = write_staged([rows], staged.metadata, staged.io, package.load_uid)
    location = None if staged.current else staged.metadata.location
    intent = staged.intent.model_copy(update={"files": tuple(files), "location": location})
    return StagedTable(staged.name, intent, staged.metadata, staged.io, staged.current)
