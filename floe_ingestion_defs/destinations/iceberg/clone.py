"""A branch's tables on first use: production's, without a copy of their data, or none.

A clone is production's current metadata registered under the branch's name, with paths of its own
for whatever is written from then on. It is made like a load: the branch's log is created, in one
commit, with production's loads and states and with the plan of the tables; whoever opens the
dataset next carries out what is left of the plan.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import pyarrow as pa

from floe_ingestion_defs.destinations.iceberg.commits import (
    COMMIT_DEADLINE_SECONDS,
    CommitOutcomeUnknown,
    add_snapshot,
    attempts,
    commit_certainly,
    create_table_transaction,
    load_table,
)
from floe_ingestion_defs.destinations.iceberg.data_files import (
    data_path,
    describe,
    write_data_file,
)
from floe_ingestion_defs.destinations.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.iceberg.errors import (
    CommitConflict,
    CommitContention,
    DatasetRefused,
)
from floe_ingestion_defs.destinations.iceberg.intent import LoadIntent
from floe_ingestion_defs.destinations.iceberg.load_log import LOG_PROPERTIES, slim
from floe_ingestion_defs.destinations.iceberg.log_view import (
    LOG_SCHEMA,
    SETTLED_PROPERTY,
    LogView,
)
from floe_ingestion_defs.destinations.iceberg.publish import (
    LOG_PROPERTY,
    MARK_PROPERTY,
    mark_of,
)
from floe_ingestion_defs.destinations.iceberg.state import (
    decode_document,
    encode_document,
    move_state,
)
from floe_ingestion_defs.destinations.iceberg.storage_listing import list_files

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from floe_ingestion_defs.branch import Branch

logger = logging.getLogger(__name__)

BranchTables = Literal["clone", "empty"]

BRANCH_PROPERTY = "floe.branch"
CLONE_PROPERTY = "floe.cloned-by-log"
PROBE_PREFIX = "floe_probe_"
_PLAN_PROPERTY = "floe.tables-to-clone"

# For each of production's tables, its metadata file and the seq that it is published through, None
# where it is no table of production's log.
Plan = dict[str, tuple[str, int | None]]


def own_locations(table: Table) -> set[str]:
    """The folders that hold a table's files and no other table's.

    A clone's own location is that of production's table: what is there is not the clone's.
    """
    paths = {table.properties.get(f"write.{kind}.path") for kind in ("data", "metadata")}
    own = {path for path in paths if path}
    return own if CLONE_PROPERTY in table.properties else {*own, table.location()}


def set_up_branch(dataset: Dataset, branch: Branch, tables: BranchTables) -> None:
    """Makes a branch's dataset on first use, and completes one that somebody only began.

    Args:
        dataset: The branch's dataset.
        branch: The branch.
        tables: `clone` for production's tables where the catalog can, `empty` for none.

    Raises:
        DatasetRefused: It is a dataset of another repository's branch of the same name.
    """
    log = load_table(dataset.catalog, dataset.log.identifier) or _begin(dataset, branch, tables)
    owner = log.properties.get(BRANCH_PROPERTY)
    if owner != str(branch):
        raise DatasetRefused(
            f"`{dataset.name}` is of branch `{owner}`, and not of `{branch}`. Give one of the two "
            "another name in FLOE_BRANCH."
        )
    if _PLAN_PROPERTY in log.properties:
        _carry_out(dataset, log)


def _begin(dataset: Dataset, branch: Branch, tables: BranchTables) -> Table:
    """Creates the branch's log; where it holds loads of production's, with the plan of tables."""
    dataset.log.ensure_namespace()
    production = _production_of(dataset, branch) if tables == "clone" else None
    if production and (obstacle := _obstacle_to_cloning(dataset)):
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
        rows = _moved(slim(view), dataset.name)
        properties[SETTLED_PROPERTY] = str(view.settled_seq)
        properties[_PLAN_PROPERTY] = json.dumps(plan)
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
        metadata, io = transaction.table_metadata, transaction._table.io
        path = data_path(metadata, f"cloned-{uuid4()}.parquet")
        write_data_file(io, metadata, path, rows.to_batches())
        add_snapshot(transaction, [describe(metadata, io, path)])
    with suppress(CommitConflict, CommitOutcomeUnknown):  # Somebody else may have been first.
        transaction.commit_transaction()
    for _ in attempts(f"Creating {dataset.qualified('_dlt_loads')}", deadline_seconds=10):
        if log := load_table(dataset.catalog, dataset.log.identifier):
            return log
    raise AssertionError("unreachable")


def _production_of(dataset: Dataset, branch: Branch) -> Dataset | None:
    """The dataset whose place the branch's takes; a name that was cut does not say which."""
    namespaces = map(".".join, dataset.catalog.list_namespaces(dataset.namespace[:-1]))
    own = (name for name in namespaces if not branch.owns(name))
    name = next((name for name in own if branch.namespace(name) == dataset.name), None)
    return None if name is None else replace(dataset, name=name)


def _read(production: Dataset) -> tuple[LogView, Plan] | None:
    """Production's log, and its tables as they are at that very state of the log."""
    log_name = production.log.identifier[-1]
    for _ in attempts(f"Reading {production.name} while nobody commits"):
        view = production.log.read()
        if view is None:
            return None
        names = [name for *_, name in production.catalog.list_tables(production.namespace)]
        tables = {name: production.load_table(name) for name in names if name != log_name}
        if production.log.read(view) is view:
            return view, {
                name: (table.metadata_location, _mark(table, view.uuid))
                for name, table in tables.items()
                if table is not None
            }
    raise AssertionError("unreachable")


def _mark(table: Table, log_uuid: str) -> int | None:
    return mark_of(table, log_uuid) if table.properties.get(LOG_PROPERTY) == log_uuid else None


def _moved(rows: pa.Table, dataset_name: str) -> pa.Table:
    """The rows of production's log as those of the branch's.

    States name their dataset. What production had committed and not published yet is published by
    the branch too, from the same files; but a table that comes to be by it is the branch's own.
    """
    moved = []
    for row in rows.to_pylist():
        if row["state"] is not None:
            document = move_state(decode_document(row["state"]), dataset_name)
            row["state"] = encode_document(document)
        if row["intent"] is not None:
            intent = LoadIntent.model_validate_json(row["intent"])
            tables = tuple(t.model_copy(update={"location": None}) for t in intent.tables)
            row["intent"] = intent.model_copy(update={"tables": tables}).model_dump_json()
        moved.append(row)
    return pa.Table.from_pylist(moved, schema=LOG_SCHEMA)


def _carry_out(dataset: Dataset, log: Table) -> None:
    """Registers the tables of the plan that are not there yet, and strikes the plan out."""
    log_uuid = str(log.metadata.table_uuid)
    plan: Plan = json.loads(log.properties[_PLAN_PROPERTY])
    for name, (metadata_location, mark) in plan.items():
        _register(dataset, name, metadata_location)
        marks = {} if mark is None else {LOG_PROPERTY: log_uuid, MARK_PROPERTY: str(mark)}
        _part_from_production(dataset, name, f"{log.location()}/clones/{name}", log_uuid, marks)

    def strike_out() -> None:
        table = load_table(dataset.catalog, dataset.log.identifier)
        if table is not None and _PLAN_PROPERTY in table.properties:
            with table.transaction() as transaction:
                transaction.remove_properties(_PLAN_PROPERTY)

    commit_certainly(f"Completing {dataset.name}", strike_out)


def _register(dataset: Dataset, name: str, metadata_location: str) -> None:
    from pyiceberg.exceptions import TableAlreadyExistsError

    if dataset.load_table(name) is None:
        with suppress(TableAlreadyExistsError):
            dataset.catalog.register_table(dataset.identifier(name), metadata_location)


def _part_from_production(
    dataset: Dataset,
    name: str,
    path: str,
    log_uuid: str,
    marks: dict[str, str],
    deadline_seconds: float = COMMIT_DEADLINE_SECONDS,
) -> None:
    """Gives a clone paths of its own, and keeps every tool from deleting what it refers to."""

    def attempt() -> None:
        table = dataset.load_table(name)
        if table is None or table.properties.get(CLONE_PROPERTY) == log_uuid:
            return
        with table.transaction() as transaction:
            transaction.set_properties(
                {
                    "write.data.path": f"{path}/data",
                    "write.metadata.path": f"{path}/metadata",
                    "write.metadata.delete-after-commit.enabled": "false",
                    # Iceberg's own word for files that are shared: no engine purges or sweeps.
                    "gc.enabled": "false",
                    CLONE_PROPERTY: log_uuid,
                    **marks,
                }
            )

    commit_certainly(f"Cloning {dataset.qualified(name)}", attempt, deadline_seconds)


def _obstacle_to_cloning(dataset: Dataset) -> str | None:
    """Tries on a table of no content what a clone goes through; None if it can be done.

    Only answers that are about the catalog count: one that is out of order raises.
    """
    from pyiceberg.exceptions import BadRequestError, ForbiddenError, NoSuchTableError
    from pyiceberg.exceptions import ValidationException as Invalid

    name, catalog = f"{PROBE_PREFIX}{uuid4().hex[:10]}", dataset.catalog
    original = catalog.create_table(dataset.identifier(name), pa.schema([("x", pa.int64())]))
    copy, path = f"{name}_clone", f"{original.location()}/clone"
    try:
        for part in (False, True):
            _register(dataset, copy, original.metadata_location)
            if part:
                _part_from_production(dataset, copy, path, name, {}, deadline_seconds=5)
            if not _drop_certainly(dataset, copy):
                return "a table that was registered cannot be dropped"
            if not original.io.new_input(original.metadata_location).exists():
                return "dropping a table deletes files that another one has, too"
        return None
    except (BadRequestError, ForbiddenError, NotImplementedError, Invalid) as refusal:
        return f"{type(refusal).__name__}: {refusal}"
    except CommitContention:  # Nobody else knows the table.
        return "a table that was registered takes no commit"
    finally:
        for left in (name, copy):
            with suppress(NoSuchTableError):
                catalog.drop_table(dataset.identifier(left))
        for file in list(list_files(original.io, original.location())):
            original.io.delete(file.path)


def _drop_certainly(dataset: Dataset, name: str) -> bool:
    """Drops a table; False where the catalog says time and again that it has failed to."""
    from pyiceberg.exceptions import ServerError

    for wait in (0.2, 1.0, None):
        try:
            dataset.catalog.drop_table(dataset.identifier(name))
            return True
        except ServerError:
            if wait is not None:
                time.sleep(wait)
    return False
