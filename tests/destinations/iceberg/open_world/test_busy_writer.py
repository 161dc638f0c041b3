"""A merge beside a writer in another process that does not stop committing to its tables."""

from __future__ import annotations

import multiprocessing
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyiceberg.exceptions import CommitFailedException

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.changes import row_changes
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import AssertingCatalog
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pytest
    from destinations.iceberg.conftest import Lake

TABLES = ("t", "t__items")


def _commit_all_the_time(is_busy: Any, is_over: Any) -> None:
    catalog = open_catalog()
    number = 1_000
    end = time.monotonic() + 120
    while not is_over.is_set() and time.monotonic() < end:
        number += 1
        key = f"zz-{number}"  # Beyond the keys that dlt makes, by which files are pruned.
        parent = {"_dlt_parent_id": key, "_dlt_root_id": key}
        for name in TABLES:
            table = catalog.load_table(f"lake.{name}")
            row: dict[str, Any] = {"id": number, "n": number, "_dlt_id": key, **parent}
            fields = table.schema().as_arrow()
            table_row = {k: v for k, v in row.items() if k in fields.names}
            try:
                table.append(pa.Table.from_pylist([table_row], schema=fields))
            except CommitFailedException:
                continue
        is_busy.set()


@contextmanager
def busy_writer() -> Iterator[None]:
    context = multiprocessing.get_context("spawn")
    is_busy, is_over = context.Event(), context.Event()
    writer = context.Process(target=_commit_all_the_time, args=(is_busy, is_over))
    writer.start()
    try:
        assert is_busy.wait(60)
        yield
    finally:
        is_over.set()
        writer.join(60)
    assert writer.exitcode == 0


def was_changed(table: Any) -> bool:
    """Whether the writer has committed since the table was read."""
    now = open_catalog().load_table(table.name()).metadata
    return bool(now.current_snapshot_id != table.metadata.current_snapshot_id)


def order(number: int, version: int) -> dict[str, Any]:
    return {"id": number, "v": version, "items": [{"n": version}]}


def test_each_attempt_of_a_merge_reads_only_what_the_writer_added(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the root and of the nested table: no data file is read or rewritten twice."""
    merge: Any = {"table_name": "t", "primary_key": "id", "write_disposition": "merge"}
    lake.load([order(1, 0), order(2, 0)], **merge)
    commit, attempts, read = AssertingCatalog.commit_table, Counter[str](), Counter[str]()

    def counted(catalog: Any, table: Any, *arguments: Any) -> Any:
        name = table.name()[-1]
        attempts[name] += 1
        while name in TABLES and attempts[name] <= 3 and not was_changed(table):
            time.sleep(0.01)
        return commit(catalog, table, *arguments)

    def counted_read(metadata: Any, io: Any, task: Any, columns: Any) -> Any:
        read[f"{task.file.file_path} {sorted(columns)}"] += 1
        return read_data_file(metadata, io, task, columns)

    monkeypatch.setattr(AssertingCatalog, "commit_table", counted)
    monkeypatch.setattr(row_changes, "read_data_file", counted_read)
    with busy_writer():  # The first three attempts at each table wait until it has committed.
        lake.load([order(2, 1), order(3, 1)], **merge)
    rows = {row["id"]: row["v"] for row in lake.rows("t") if row["id"] < 1_000}
    assert rows == {1: 0, 2: 1, 3: 1}
    roots = set(lake.values("t", "_dlt_id"))
    nested = [r for r in lake.arrow("t__items").to_pylist() if r["n"] < 1_000]
    assert sorted(row["n"] for row in nested) == [0, 1, 1]
    assert {row["_dlt_parent_id"] for row in nested} <= roots
    assert min(attempts[name] for name in TABLES) > 3
    assert max(read.values()) == 1
    assert len(list(lake.folder.rglob("*rewritten*.parquet"))) == 2
