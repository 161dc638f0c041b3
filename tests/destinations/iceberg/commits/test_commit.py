"""A commit is applied to the table that it was computed from, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.exceptions import BadRequestError, ForbiddenError
from pyiceberg.table.update import AssertCurrentSchemaId, AssertRefSnapshotId, AssertTableUUID

from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import (
    CommitOutcomeUnknown,
    add_snapshot,
    load_table,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitConflict
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import list_files

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import Table, Transaction


def read(lake: Lake, catalog: Any = None) -> Table:
    table = load_table(catalog or lake.catalog, (lake.dataset, "t"))
    assert table is not None
    return table


def set_property(table: Table, transaction: Transaction) -> None:
    transaction.set_properties({"x": "1"})


def delete_all(table: Table, transaction: Transaction) -> None:
    files = [task.file for task in table.scan().plan_files()]
    add_snapshot(transaction, [], files)


@pytest.mark.parametrize("change", [set_property, delete_all])
def test_a_commit_conflicts_with_any_other_since_the_table_was_read(
    change: Any, lake: Lake
) -> None:
    """pyiceberg itself asserts nothing about `main` where only properties change."""
    lake.load([{"id": 1}], table_name="t")
    stale = read(lake)
    lake.load([{"id": 2}], table_name="t")
    with pytest.raises(CommitConflict), stale.transaction() as transaction:
        change(stale, transaction)
    assert lake.values("t", "id") == [1, 2]
    assert "x" not in lake.table("t").properties


def test_a_commit_asserts_the_uuid_the_head_and_the_schema_once_each(lake: Lake) -> None:
    """Of two requirements of one type, pyiceberg drops the second, and servers may take either."""
    lake.load([{"id": 1}], table_name="t")
    catalog = lake.catalog
    asserted: list[Any] = []
    commit = catalog.commit_table

    def recorded(table: Table, requirements: Any, updates: Any) -> Any:
        asserted.extend(requirements)
        return commit(table, requirements, updates)

    catalog.commit_table = recorded  # type: ignore[method-assign]
    table = read(lake, catalog)
    head = table.metadata.current_snapshot_id
    with table.transaction() as transaction:
        delete_all(table, transaction)
        set_property(table, transaction)
    kinds = [type(requirement) for requirement in asserted]
    assert kinds == [AssertTableUUID, AssertRefSnapshotId, AssertCurrentSchemaId]
    assert asserted[1].snapshot_id == head


def test_a_conflict_is_not_repeated_and_its_files_are_kept(lake: Lake) -> None:
    """The answer may be to a repeated request, of which the first was applied with these files."""
    lake.load([{"id": 1}], table_name="t")
    stale = read(lake)
    lake.load([{"id": 2}], table_name="t")
    before = {file.path for file in list_files(stale.io, stale.location())}
    with pytest.raises(CommitConflict), stale.transaction() as transaction:
        delete_all(stale, transaction)
    left = {file.path for file in list_files(stale.io, stale.location())} - before
    assert sum("/snap-" in path for path in left) == 1
    assert sum(path.endswith("-m0.avro") for path in left) == 1


@pytest.mark.parametrize("kind", [ForbiddenError, BadRequestError])
def test_a_commit_that_the_catalog_rejects_is_not_attempted_again(kind: type[Exception]) -> None:
    """The answer would be the same, and the load would wait five seconds for it in each table."""
    attempts = 0

    def attempt() -> None:
        nonlocal attempts
        attempts += 1
        raise CommitOutcomeUnknown(kind("no"))

    with pytest.raises(kind):
        commit_certainly("Publishing", attempt)
    assert attempts == 1
