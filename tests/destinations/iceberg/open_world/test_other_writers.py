"""Loads beside another writer that commits all the time."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.changes import row_changes
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import AssertingCatalog
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from pyiceberg.table import Table

MERGE: Any = {"table_name": "t", "primary_key": "id", "write_disposition": "merge"}


def test_a_merge_keeps_what_its_earlier_attempts_wrote(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each attempt does only what another writer's commit made necessary."""
    lake.load(pa.table({"id": [1, 2], "n": [0, 0]}), **MERGE)
    foreign, commit = iter(range(100, 105)), AssertingCatalog.commit_table

    def after_another_writer(catalog: Any, table: Table, *arguments: Any) -> Any:
        if table.name()[-1] == "t" and (number := next(foreign, None)):
            other = lake.table("t")
            other.append(pa.table({"id": [number], "n": [0]}))
        return commit(catalog, table, *arguments)

    monkeypatch.setattr(AssertingCatalog, "commit_table", after_another_writer)
    lake.load(pa.table({"id": [1, 104, 3], "n": [1, 1, 1]}), **MERGE)
    rows = [(row["id"], row["n"]) for row in lake.rows("t")]
    assert sorted(rows) == [(1, 1), (2, 0), (3, 1), *((n, 0) for n in range(100, 104)), (104, 1)]
    assert len(list(lake.folder.rglob("*rewritten*.parquet"))) == 1


@pytest.mark.usefixtures("merge_on_read")
def test_a_merge_on_read_keeps_the_delete_files_of_its_earlier_attempts(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A data file gets another one only where another writer changed its deleted rows."""
    lake.load(pa.table({"id": range(10), "n": [0] * 10}), **MERGE)
    commit, foreign = AssertingCatalog.commit_table, iter(["append", "delete", None])

    def after_another_writer(catalog: Any, table: Table, *arguments: Any) -> Any:
        if table.name()[-1] == "t":
            change = next(foreign, None)
            other = lake.table("t")
            if change == "append":
                other.append(pa.table({"id": [100], "n": [0]}))
            elif change == "delete":
                other.delete("id == 9")
        return commit(catalog, table, *arguments)

    monkeypatch.setattr(AssertingCatalog, "commit_table", after_another_writer)
    lake.load(pa.table({"id": [1, 3], "n": [1, 1]}), **MERGE)
    rows = sorted((row["id"], row["n"]) for row in lake.rows("t"))
    assert rows == [(n, int(n in (1, 3))) for n in (*range(9), 100)]
    # One for the file as it was, and one for the file that the other writer wrote.
    assert len(list(lake.folder.rglob("*-deletes-*.parquet"))) == 2


@pytest.mark.parametrize("strategy", ["insert-only", "scd2"])
def test_a_merge_reads_the_keys_of_each_data_file_once(
    lake: Lake, strategy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever other writers append between the attempts."""
    key = {} if strategy == "scd2" else {"primary_key": "id"}
    how: Any = {"disposition": "merge", "strategy": strategy}
    merge: Any = {"table_name": "t", "write_disposition": how, **key}
    lake.load([{"id": 1}, {"id": 2}], **merge)
    foreign, commit = iter(range(100, 104)), AssertingCatalog.commit_table
    read = Counter[str]()

    def after_another_writer(catalog: Any, table: Table, *arguments: Any) -> Any:
        if table.name()[-1] == "t" and (number := next(foreign, None)):
            other = lake.table("t")
            row = {**other.scan(limit=1).to_arrow().to_pylist()[0], "id": number}
            other.append(pa.Table.from_pylist([row], schema=other.schema().as_arrow()))
        return commit(catalog, table, *arguments)

    def counted(metadata: Any, io: Any, task: Any, *arguments: Any) -> Any:
        read[task.file.file_path] += 1
        return read_data_file(metadata, io, task, *arguments)

    monkeypatch.setattr(AssertingCatalog, "commit_table", after_another_writer)
    monkeypatch.setattr(row_changes, "read_data_file", counted)
    lake.load([{"id": 1}, {"id": 3}], **merge)
    assert {1, 2, 3, 100, 103} <= set(lake.values("t", "id"))
    assert read
    assert max(read.values()) == 1


def test_an_scd2_load_with_nothing_new_makes_no_snapshot(lake: Lake) -> None:
    merge: Any = {
        "table_name": "t",
        "write_disposition": {"disposition": "merge", "strategy": "scd2"},
    }
    for _ in range(2):
        lake.load([{"id": 1}, {"id": 2}], **merge)
    assert lake.snapshots("t") == 1
    assert len(list(lake.table("t").scan().plan_files())) == 1
    assert len(list(lake.folder.rglob("*merged*.parquet"))) == 1


@pytest.mark.parametrize("strategy", ["upsert", "insert-only"])
def test_a_load_with_nothing_new_makes_no_snapshot(lake: Lake, strategy: str) -> None:
    merge: Any = {**MERGE, "write_disposition": {"disposition": "merge", "strategy": strategy}}
    columns: Any = {"gone": {"hard_delete": True, "data_type": "bool"}}
    rows = pa.table({"id": [1, 2], "gone": [False, False]})
    lake.load(rows, columns=columns, **merge)
    before = lake.snapshots("t")
    again = pa.table({"id": [1, 2], "gone": [False, False]})
    gone = pa.table({"id": [7], "gone": [True]})
    lake.load(again if strategy == "insert-only" else gone, columns=columns, **merge)
    assert lake.snapshots("t") == before
    assert len(list(lake.table("t").scan().plan_files())) == 1


def test_a_merge_that_only_deletes_makes_no_empty_file(lake: Lake) -> None:
    columns: Any = {"gone": {"hard_delete": True, "data_type": "bool"}}
    lake.load(pa.table({"id": [1, 2], "gone": [False, False]}), columns=columns, **MERGE)
    lake.load(pa.table({"id": [1], "gone": [True]}), columns=columns, **MERGE)
    assert [task.file.record_count for task in lake.table("t").scan().plan_files()] == [1]


def test_versions_begin_later_than_those_before(lake: Lake) -> None:
    """Also where a worker's clock is behind that of the worker before it."""
    for number, boundary in enumerate(("2026-01-02", "2026-01-01", "2026-01-01", "2026-01-03")):
        scd2 = {"disposition": "merge", "strategy": "scd2", "boundary_timestamp": boundary}
        lake.load([{"id": 1, "n": number}], table_name="t", write_disposition=scd2)
    rows = sorted(lake.arrow("t").to_pylist(), key=lambda row: row["n"])
    assert all(
        r["_dlt_valid_to"] is None or r["_dlt_valid_from"] < r["_dlt_valid_to"] for r in rows
    )
    assert [r["_dlt_valid_to"] for r in rows] == [*(r["_dlt_valid_from"] for r in rows[1:]), None]
