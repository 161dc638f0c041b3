"""A branch's tables on first use: production's, without a copy of their data, or none.

A clone is production's current metadata registered under the branch's name, with paths of its own
for everything written from then on. It is made like a load: the branch's log is created, in one
commit, with production's loads and states and with the plan of the tables; the next process that
opens the dataset carries out the rest of the plan.
"""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from floe_ingestion_defs.branch import BRANCH_VARIABLE, current_branch
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone_tables import (
    SHARED_PROPERTY,
    reason_against_cloning,
    register,
    separate_from_production,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import file_io
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import (
    COMMIT_DEADLINE_SECONDS,
    commit_certainly,
    read_until_found,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import (
    CommitOutcomeUnknown,
    add_snapshot,
    create_table_transaction,
    load_table,
)
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    CommitConflict,
    DatasetRefused,
)
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    data_file_from_footer,
    data_path,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    LAST_SEQ,
    LOADS_TABLE,
    LOG_SCHEMA,
    LOG_UUID,
    PUBLISHED_SEQ,
    SETTLED_SEQ,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.load_log import (
    LOG_PROPERTIES,
    compacted_rows,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import (
    decode_document,
    encode_document,
    state_for_dataset,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import log_of, watermark_of

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

    from floe_ingestion_defs.branch import Branch, BranchTables
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

logger = logging.getLogger(__name__)

BRANCH_PROPERTY = "floe.branch"
PLAN_PROPERTY = "floe.tables-to-clone"
_TABLES_AT_ONCE = 8

# For each of production's tables, its metadata file and the seq that it is published through, None
# where it does not belong to production's log.
Plan = dict[str, tuple[str, int | None]]


def set_up_branch(dataset: Dataset, branch: Branch, tables: BranchTables) -> None:
    """Create a branch's dataset on first use, and complete one that another process only began.

    Args:
        dataset: The branch's dataset.
        branch: The branch.
        tables: `clone` for production's tables where the catalog supports it, `empty` for none.

    Raises:
        DatasetRefused: It is a dataset of another repository's branch of the same name.
    """
    log = load_table(dataset.catalog, dataset.log.identifier) or _begin(dataset, branch, tables)
    owner = log.properties.get(BRANCH_PROPERTY)
    if owner != str(branch):
        msg = (
            f"`{dataset.name}` belongs to branch `{owner}`, not to `{branch}`. Give one of the two "
            "another name in FLOE_BRANCH."
        )
        raise DatasetRefused(msg)
    if PLAN_PROPERTY in log.properties:
        _register_planned_tables(dataset, log)


def clone_branch(catalog: Catalog, production: str) -> Dataset:
    """Clone a dataset of production for the branch that this process is confined to.

    The first load of a branch does so by itself. A branch that has its dataset keeps it.

    Args:
        catalog: The catalog, opened by `open_catalog`, and so confined.
        production: The name of production's dataset.

    Returns:
        The branch's dataset.

    Raises:
        DatasetRefused: This process is not in a branch deployment.
    """
    branch = current_branch()
    if branch is None:
        msg = (
            f"`{production}` can only be cloned for a branch, and {BRANCH_VARIABLE} is not set: "
            "this is production or a local deployment."
        )
        raise DatasetRefused(msg)
    dataset = Dataset(catalog, branch.namespace(production))
    set_up_branch(dataset, branch, "clone")
    return dataset


def _begin(dataset: Dataset, branch: Branch, tables: BranchTables) -> Table:
    """Create the branch's log; if it contains production's loads, with the plan of tables."""
    dataset.log.ensure_namespace()
    production = _production_of(dataset, branch) if tables == "clone" else None
    if production and (obstacle := reason_against_cloning(dataset)):
        logger.warning(
            "Branch %s begins with empty tables in %s: the catalog cannot clone those of %s (%s)",
            branch.name,
            dataset.name,
            production.name,
            obstacle,
        )
        production = None
    properties = {**LOG_PROPERTIES, BRANCH_PROPERTY: str(branch)}
    rows = LOG_SCHEMA.empty_table()
    if production and (found := _read(production)):
        view, plan = found
        rows = rows_for_branch(compacted_rows(view), dataset.name)
        properties[SETTLED_SEQ] = str(view.settled_seq)
        properties[LAST_SEQ] = str(view.last_seq)
        properties[PLAN_PROPERTY] = json.dumps(plan)
        if created := _locations_of_creations(view):
            properties[SHARED_PROPERTY] = json.dumps(created)
        logger.info(
            "Branch %s begins with %s tables of %s in %s",
            branch.name,
            len(plan),
            production.name,
            dataset.name,
        )
    transaction = create_table_transaction(
        dataset.catalog, dataset.log.identifier, schema=LOG_SCHEMA, properties=properties
    )
    if rows.num_rows:
        metadata, io = transaction.table_metadata, file_io(transaction)
        path = data_path(metadata, "cloned")
        write_data_file(io, metadata, path, rows.to_batches())
        add_snapshot(transaction, [data_file_from_footer(metadata, io, path)])
    with suppress(CommitConflict, CommitOutcomeUnknown):  # Another process may have been first.
        transaction.commit_transaction()
    return read_until_found(
        f"Creating {dataset.qualified(LOADS_TABLE)}",
        lambda: load_table(dataset.catalog, dataset.log.identifier),
        deadline_seconds=10,
    )


def _production_of(dataset: Dataset, branch: Branch) -> Dataset | None:
    """Return the dataset that the branch's one replaces; a truncated name does not tell which."""
    namespaces = map(".".join, dataset.catalog.list_namespaces(dataset.namespace[:-1]))
    own = (name for name in namespaces if not branch.owns(name))
    name = next((name for name in own if branch.namespace(name) == dataset.name), None)
    return None if name is None else replace(dataset, name=name)


def _read(production: Dataset) -> tuple[LogView, Plan] | None:
    """Return production's log, and its tables at exactly that state of the log."""
    if production.log.read() is None:
        return None

    def read_unmoved() -> tuple[LogView, Plan] | None:
        view = production.log.read()
        tables = production.tables()
        if view is None or production.log.read(view) is not view:
            return None
        return view, {
            name: (table.metadata_location, _watermark(table, view.uuid))
            for name, table in tables.items()
            if name != production.log.identifier[-1]
        }

    return read_until_found(
        f"Reading {production.name} while no load commits", read_unmoved, COMMIT_DEADLINE_SECONDS
    )


def _watermark(table: Table, log_uuid: str) -> int | None:
    return watermark_of(table, log_uuid) if log_of(table) == log_uuid else None


def _locations_of_creations(view: LogView) -> list[str]:
    """Return where production creates tables that it has committed and not published yet.

    The branch publishes those loads to tables of its own, from the files that are staged there.
    """
    intents = (intent for load in view.pending() for intent in load.intent.tables)
    return sorted({i.location for i in intents if i.creates and i.location is not None})


def rows_for_branch(rows: pa.Table, dataset_name: str) -> pa.Table:
    """Return the rows of production's log as rows of the branch's.

    States name their dataset. What production had committed and not published yet is published by
    the branch too, from the same files; but a table that is created by it is the branch's own.
    """
    moved = []
    for row in rows.to_pylist():
        if row["state"] is not None:
            document = state_for_dataset(decode_document(row["state"]), dataset_name)
            row["state"] = encode_document(document)
        if row["intent"] is not None:
            intent = LoadIntent.model_validate_json(row["intent"])
            tables = tuple(
                t.model_copy(update={"location": None, "table_uuid": None}) if t.creates else t
                for t in intent.tables
            )
            row["intent"] = intent.model_copy(update={"tables": tables}).model_dump_json()
        moved.append(row)
    return pa.Table.from_pylist(moved, schema=LOG_SCHEMA)


def _register_planned_tables(dataset: Dataset, log: Table) -> None:
    """Register the tables of the plan that do not exist yet, and remove the plan."""
    log_uuid = str(log.metadata.table_uuid)
    plan: Plan = json.loads(log.properties[PLAN_PROPERTY])

    def clone(name: str) -> None:
        metadata_location, watermark = plan[name]
        register(dataset, name, metadata_location)
        watermark_properties = (
            {} if watermark is None else {LOG_UUID: log_uuid, PUBLISHED_SEQ: str(watermark)}
        )
        separate_from_production(
            dataset, name, f"{log.location()}/clones/{name}", log_uuid, watermark_properties
        )

    # Nearly all of the time is spent waiting for the catalog.
    with ThreadPoolExecutor(_TABLES_AT_ONCE) as threads:
        list(threads.map(clone, plan))

    def remove_plan() -> None:
        table = load_table(dataset.catalog, dataset.log.identifier)
        if table is not None and PLAN_PROPERTY in table.properties:
            with table.transaction() as transaction:
                transaction.remove_properties(PLAN_PROPERTY)

    commit_certainly(f"Completing {dataset.name}", remove_plan)
