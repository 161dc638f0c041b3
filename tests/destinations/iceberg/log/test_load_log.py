"""The log is found under either name, read again where it moved, and committed to with patience."""

from __future__ import annotations

from typing import Any

import pytest
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import ServerError

from floe_ingestion_defs.destinations.impl.iceberg import dataset as dataset_module
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint

# dlt itself rejects them with an underscore.
RESERVED = ["dlt_loads", "dlt_version", "dlt_pipeline_state"]


def accept_underscores(monkeypatch: pytest.MonkeyPatch, accepted: bool) -> None:
    """What the probe finds out of the catalog."""
    monkeypatch.setattr(dataset_module, "admits_leading_underscores", lambda *_: accepted)


@pytest.mark.parametrize("before", [True, False])
def test_a_log_is_found_under_the_name_that_it_was_created_with(
    before: bool, lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    accept_underscores(monkeypatch, before)
    lake.load([{"id": 1}], table_name="orders", write_disposition="merge", primary_key="id")
    names = {name for _, name in lake.catalog.list_tables(lake.dataset)}
    accept_underscores(monkeypatch, not before)
    lake.load([{"id": 2}], table_name="orders", write_disposition="merge", primary_key="id")
    assert lake.values("orders", "id") == [1, 2]
    assert {name for _, name in lake.catalog.list_tables(lake.dataset)} == names


def test_a_log_under_the_expected_name_is_found_with_one_request(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load([{"id": 1}], table_name="orders")
    asked: list[Any] = []
    original = SqlCatalog.load_table

    def load_table(self: SqlCatalog, identifier: Any) -> Any:
        asked.append(identifier)
        return original(self, identifier)

    monkeypatch.setattr(SqlCatalog, "load_table", load_table)
    dataset = Dataset(lake.catalog, lake.dataset)
    dataset.log.read()
    dataset.identifier("_dlt_version")
    assert asked == [(lake.dataset, "_dlt_loads")]


@pytest.mark.parametrize("name", RESERVED)
def test_a_resource_cannot_take_the_name_of_a_table_of_the_bookkeeping(
    name: str, lake: Any
) -> None:
    error = lake.rejected([{"id": 1}], table_name=name)
    assert isinstance(error, InvalidHint)
    assert f"`{name}`" in str(error)
    assert "reserved" in str(error)


def test_a_reader_whose_metadata_file_is_cleaned_up_meanwhile_reads_again(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load([{"id": 1}], table_name="orders")
    log = lake.table("_dlt_loads")
    with log.transaction() as transaction:
        transaction.set_properties({"write.metadata.previous-versions-max": "1"})
    original = SqlCatalog._convert_orm_to_iceberg  # noqa: SLF001 - between its two reads
    commits = 0

    def convert(self: SqlCatalog, row: Any) -> Any:
        nonlocal commits
        if row.table_name == "_dlt_loads" and commits == 0:
            # The reader sleeps here, after it has read the name of the metadata file.
            for commits in range(1, 4):
                with lake.table("_dlt_loads").transaction() as transaction:
                    transaction.set_properties({"commit": str(commits)})
        return original(self, row)

    monkeypatch.setattr(SqlCatalog, "_convert_orm_to_iceberg", convert)
    view = Dataset(lake.catalog, lake.dataset).log.read()
    assert commits == 3
    assert view is not None
    assert view.last_seq == 1


def test_three_unknown_outcomes_in_a_row_do_not_end_a_load(
    lake: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.load([{"id": 1}], table_name="orders")
    original, failed = SqlCatalog.commit_table, 0

    def commit_table(self: SqlCatalog, table: Any, *arguments: Any) -> Any:
        nonlocal failed
        if failed < 3:
            failed += 1
            msg = "overloaded"
            raise ServerError(msg)
        return original(self, table, *arguments)

    monkeypatch.setattr(SqlCatalog, "commit_table", commit_table)
    lake.load([{"id": 2}], table_name="orders")
    assert failed == 3
    assert lake.values("orders", "id") == [1, 2]
