"""Compaction: fewer files, the same rows, and loads that never notice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest
from dlt.destinations.adapters import iceberg_adapter, iceberg_partition
from pyiceberg.schema import Schema
from pyiceberg.table.snapshots import Operation
from pyiceberg.transforms import IdentityTransform
from pyiceberg.types import LongType, NestedField

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import load_table
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import RowsLost
from floe_ingestion_defs.destinations.impl.iceberg.files import staged_files
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import read_data_file
from floe_ingestion_defs.destinations.impl.iceberg.log.missing import missing_loads
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import last_change, watermark_of
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import compact as compaction
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import plan, rewrite
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import compact
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import plan_compaction
from floe_ingestion_defs.destinations.impl.iceberg.reading.inspection import (
    files_added_last,
    row_count,
)

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake

PAIRS = CompactionOptions(min_files=2)


def files(lake: Lake, table: str = "orders") -> list[str]:
    return [task.file.file_path for task in lake.table(table).scan().plan_files()]


def dataset_of(lake: Lake) -> Dataset:
    return Dataset(lake.catalog, lake.dataset)


def load_numbers(lake: Lake, count: int, **arguments: Any) -> None:
    for n in range(count):
        lake.load([{"id": n, "name": f"n{n}"}], table_name="orders", **arguments)


@pytest.mark.also_on_rest
def test_small_files_become_one_and_the_rows_stay(lake: Lake) -> None:
    """The snapshot is a replacement that carries the watermark; the next load merges as before."""
    load_numbers(lake, 5)
    before, dataset = lake.rows("orders"), dataset_of(lake)
    planned = plan_compaction(dataset, "orders")
    assert (planned.files, planned.files_removed, planned.files_added) == (5, 5, 1)
    open_query = lake.table("orders").scan()
    result = compact(dataset, "orders")
    assert (result.files_removed, result.files_added) == (5, 1)
    assert lake.rows("orders") == before
    assert len(open_query.to_arrow()) == 5
    table = lake.table("orders")
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    assert snapshot.summary.operation == Operation.REPLACE
    assert snapshot.summary["total-records"] == "5"
    assert len(snapshot.manifests(table.io)) == 2  # Of the new file, and of the removed ones.
    assert compact(dataset, "orders").files_removed == 0
    lake.load([{"id": 4, "name": "x"}], table_name="orders", write_disposition="merge",
              primary_key="id")  # fmt: skip
    assert lake.values("orders", "name") == ["n0", "n1", "n2", "n3", "x"]


def test_the_watermark_survives_the_loss_of_its_properties(lake: Lake) -> None:
    """Other engines can unset properties, and the snapshots of loads expire."""
    load_numbers(lake, 5)
    dataset = dataset_of(lake)
    compact(dataset, "orders")
    view = dataset.log.read()
    assert view is not None
    table = lake.table("orders")
    loads = [s.snapshot_id for s in table.metadata.snapshots[:-1]]
    table.maintenance.expire_snapshots().by_ids(loads).commit()
    with lake.table("orders").transaction() as transaction:
        transaction.remove_properties("dlt.log-uuid", "dlt.published-seq")
    assert watermark_of(lake.table("orders"), view.uuid) == view.last_seq


def test_a_replacement_is_not_taken_for_a_load(lake: Lake) -> None:
    """Neither by what looks for the last load's files, nor by what looks for loads rolled back."""
    load_numbers(lake, 4)
    rolled_back = lake.table("orders").current_snapshot()
    assert rolled_back is not None
    first = lake.table("orders").metadata.snapshots[0]
    with lake.table("orders").manage_snapshots() as manage:
        manage.rollback_to_snapshot(first.snapshot_id)
    lake.load([{"id": 9, "name": "n9"}], table_name="orders")
    (last,) = files_added_last(lake.table("orders"))
    missing = missing_loads(lake.table("orders"))
    assert len(missing) == 3
    compact(dataset_of(lake), "orders", CompactionOptions(min_files=2))
    assert missing_loads(lake.table("orders")) == missing
    assert last.file.file_path not in files(lake)
    assert [task.file.file_path for task in files_added_last(lake.table("orders"))] == files(lake)


def test_partitions_are_compacted_separately(lake: Lake) -> None:
    """A partition with few files stays as it is."""
    for n in range(5):
        countries = ["de", "fr"] if n < 2 else ["de"]
        rows = [{"id": n, "country": country} for country in countries]
        resource = dlt.resource(rows, name="orders")
        lake.load(iceberg_adapter(resource, partition=[iceberg_partition.identity("country")]))
    before = lake.rows("orders")
    result = compact(dataset_of(lake), "orders")
    assert (result.files_removed, result.files_added) == (5, 1)
    assert lake.rows("orders") == before
    table = lake.table("orders")
    german = table.scan(row_filter="country == 'de'").plan_files()
    assert len(list(german)) == 1


def test_files_of_an_older_partition_spec_take_the_current_one(lake: Lake) -> None:
    load_numbers(lake, 5)
    with lake.table("orders").update_spec() as update:
        update.add_field("name", IdentityTransform(), "name")
    before = lake.rows("orders")
    result = compact(dataset_of(lake), "orders")
    assert (result.files_removed, result.files_added) == (5, 5)
    spec = lake.table("orders").metadata.default_spec_id
    assert {t.file.spec_id for t in lake.table("orders").scan().plan_files()} == {spec}
    assert lake.rows("orders") == before


def test_files_without_field_ids_are_compacted_by_their_names(lake: Lake) -> None:
    load_numbers(lake, 1)
    table = lake.table("orders")
    path = f"{table.location()}/data/foreign.parquet"
    rows = pa.table({"name": ["f"], "id": pa.array([7], pa.int64())})
    with table.io.new_output(path).create() as sink:
        pa.parquet.write_table(rows, sink)
    table.add_files([path])
    lake.load([{"id": 8, "name": None, "more": "m"}], table_name="orders")
    result = compact(dataset_of(lake), "orders", PAIRS)
    assert result.files_removed == 3
    assert lake.rows("orders", "id", "name", "more") == [
        {"id": 0, "name": "n0", "more": None},
        {"id": 7, "name": "f", "more": None},
        {"id": 8, "name": None, "more": "m"},
    ]


def test_files_of_a_sorted_table_are_sorted_by_its_order(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By all keys of the order, nulls included, and with no more rows than are sorted in memory."""
    for module in (plan, staged_files):
        monkeypatch.setattr(module, "SORTED_FILE_ROWS", 5_000)
    for n in range(6):
        rows = [{"day": (i * 7 + n) % 40, "id": None if i % 9 == 0 else i} for i in range(1_000)]
        columns: Any = {
            name: {"sort": True, "data_type": "bigint", "nullable": True} for name in ("day", "id")
        }
        lake.load(rows, table_name="orders", columns=columns)
    before = lake.rows("orders")
    result = compact(dataset_of(lake), "orders")
    assert (result.files_removed, result.files_added) == (5, 1)
    table = lake.table("orders")
    tasks = sorted(table.scan().plan_files(), key=lambda task: -task.file.record_count)
    assert [task.file.record_count for task in tasks] == [5_000, 1_000]
    assert {task.file.sort_order_id for task in tasks} == {table.metadata.default_sort_order_id}
    found = pa.Table.from_batches(read_data_file(table.metadata, table.io, tasks[0])).to_pylist()
    pairs = [(row["day"], row["id"] is not None, row["id"] or 0) for row in found]
    assert pairs == sorted(pairs)
    assert lake.rows("orders") == before


def test_sorted_files_that_are_as_large_as_can_be_are_not_rewritten_again(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory bounds them, by the bytes of long rows, and not the target in bytes on disk."""
    columns: Any = {"id": {"sort": True}}
    for n in range(6):
        rows = [{"id": i, "text": f"{n} {i} " + "x" * 200} for i in range(100)]
        lake.load(rows, table_name="orders", columns=columns)
    orders = lake.table("orders")
    (batch, *_) = read_data_file(orders.metadata, orders.io, next(iter(orders.scan().plan_files())))
    for module in (plan, staged_files):
        monkeypatch.setattr(module, "SORTED_FILE_BYTES", int(batch.nbytes * 2.4))
    result = compact(dataset_of(lake), "orders", PAIRS)
    assert (result.files_removed, result.files_added) == (6, 3)
    assert compact(dataset_of(lake), "orders", PAIRS).files_removed == 0


@pytest.mark.usefixtures("merge_on_read")
def test_files_with_deleted_rows_are_rewritten_and_their_deletes_removed(lake: Lake) -> None:
    """Also a single file, from the share of deleted rows on that the options set."""
    merge: Any = {"table_name": "orders", "write_disposition": "merge", "primary_key": "id"}
    lake.load([{"id": n, "name": f"n{n}"} for n in range(10)], **merge)
    lake.load([{"id": n, "name": "new"} for n in (3, 4)], **merge)
    before, dataset = lake.rows("orders"), dataset_of(lake)
    assert [len(task.delete_files) for task in lake.table("orders").scan().plan_files()] == [0, 1]
    assert compact(dataset, "orders", CompactionOptions(deleted_share=0.3)).files_removed == 0
    result = compact(dataset, "orders")
    assert (result.files_removed, result.deletes_removed, result.files_added) == (2, 1, 1)
    table = lake.table("orders")
    assert [task.delete_files for task in table.scan().plan_files()] == [set()]
    assert row_count(table.current_snapshot()) == 10
    assert lake.rows("orders") == before
    lake.load([{"id": 3, "name": "newer"}], **merge)
    assert lake.values("orders", "name").count("newer") == 1
    assert len(lake.rows("orders")) == 10


@pytest.mark.usefixtures("merge_on_read")
def test_deletes_of_files_that_another_engine_compacted_are_removed(lake: Lake) -> None:
    """They apply to no file, and count as deleted rows in the totals of the table."""
    merge: Any = {"table_name": "orders", "primary_key": "id", "write_disposition": "merge"}
    for v in range(3):
        lake.load([{"id": n, "v": v} for n in range(4 - v)], **merge)
    table = load_table(lake.catalog, (lake.dataset, "orders"))
    assert table is not None
    with table.transaction() as transaction:
        tasks = list(table.scan().plan_files())
        assert sum(len(task.delete_files) for task in tasks) == 2
        with transaction.update_snapshot().overwrite() as rewrite:
            for task in tasks:
                rewrite.delete_data_file(task.file)
        transaction.append(table.scan().to_arrow())
    assert row_count(lake.table("orders").current_snapshot()) == 4 - 5
    lake.load([{"id": 9, "v": 9}], **merge)
    compact(dataset_of(lake), "orders", CompactionOptions(min_files=2))
    assert row_count(lake.table("orders").current_snapshot()) == 5
    assert sorted(lake.values("orders", "v")) == [0, 1, 2, 2, 9]


def test_tables_that_cannot_be_compacted_are_left_with_the_reason(lake: Lake) -> None:
    load_numbers(lake, 1)
    schema = Schema(NestedField(1, "id", LongType()))
    other = lake.catalog.create_table(f"{lake.dataset}.other", schema)
    other.append(pa.table({"id": [1]}))
    found = {
        name: compact(dataset_of(lake), name).obstacle
        for name in ("_dlt_loads", "other", "missing", "orders")
    }
    assert found == {
        "_dlt_loads": "it is the dataset's log, which loads compact themselves",
        "other": "no load was published to it",
        "missing": "it does not exist",
        "orders": None,
    }


def test_readers_of_increments_skip_a_compaction(lake: Lake) -> None:
    """And the check that compares row counts still sees the last load."""
    load_numbers(lake, 5)
    changed = last_change(lake.table("orders"))
    assert compact(dataset_of(lake), "orders").files_added == 1
    table = lake.table("orders")
    head = table.current_snapshot()
    assert changed is not None
    assert head is not None
    assert head.parent_snapshot_id == changed.snapshot_id
    assert last_change(table) == changed
    assert [task.file.record_count for task in files_added_last(table)] == [5]


@pytest.mark.also_on_rest
def test_a_load_that_commits_during_a_compaction_wins(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An append leaves the compaction valid; a merge into one of its files makes it give up."""
    load_numbers(lake, 5, primary_key="id")
    original = vars(compaction)["replace_files"]
    pending = [
        lambda: lake.load([{"id": 9, "name": "n9"}], table_name="orders"),
        lambda: lake.load(
            [{"id": 2, "name": "two"}],
            table_name="orders",
            write_disposition="merge",
            primary_key="id",
        ),
    ]

    def load_first(*arguments: Any) -> None:
        if pending:
            pending.pop(0)()
        original(*arguments)

    monkeypatch.setattr(compaction, "replace_files", load_first)
    result = compact(dataset_of(lake), "orders")
    assert (result.files_removed, result.groups_given_up) == (0, 1)
    assert lake.values("orders", "name") == ["n0", "n1", "n3", "n4", "n9", "two"]
    assert compact(dataset_of(lake), "orders").files_removed == 6
    assert lake.values("orders", "name") == ["n0", "n1", "n3", "n4", "n9", "two"]


def test_an_unknown_outcome_is_resolved_by_reading(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit was applied and its answer lost: it is not applied twice."""
    load_numbers(lake, 5)
    dataset = dataset_of(lake)
    catalog = type(dataset.catalog)
    original = catalog.commit_table
    lost: list[Any] = []

    def lose_the_answer(*arguments: Any) -> Any:
        answer = original(*arguments)
        if not lost:
            lost.append(answer)
            raise ConnectionError
        return answer

    monkeypatch.setattr(catalog, "commit_table", lose_the_answer)
    result = compact(dataset, "orders")
    assert lost
    assert (result.files_removed, result.files_added) == (5, 1)
    assert len(lake.table("orders").metadata.snapshots) == 6
    assert len(lake.rows("orders")) == 5


def test_compactions_commit_what_they_have_done(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A long compaction commits in portions, and a process that dies loses no more than one."""
    load_numbers(lake, 6)
    monkeypatch.setattr(compaction, "COMMIT_BYTES", 1)
    sizes = [task.file.file_size_in_bytes for task in lake.table("orders").scan().plan_files()]
    options = CompactionOptions(min_files=2, target_bytes=max(sizes) * 2)
    result = compact(dataset_of(lake), "orders", options)
    replacements = [
        s
        for s in lake.table("orders").metadata.snapshots
        if s.summary is not None and s.summary.operation == Operation.REPLACE
    ]
    assert len(replacements) == result.files_added > 1
    assert len(lake.rows("orders")) == 6


def test_a_rewrite_that_loses_rows_is_not_committed(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_numbers(lake, 5)

    def read_without_the_last(work: Any, tasks: Any) -> Any:
        return (
            batch for task in tasks[:-1] for batch in read_data_file(work.metadata, work.io, task)
        )

    monkeypatch.setattr(rewrite, "_read", read_without_the_last)
    with pytest.raises(RowsLost, match="5 rows, of which 0 are deleted, were rewritten with 4"):
        compact(dataset_of(lake), "orders")
    assert lake.snapshots("orders") == 5
