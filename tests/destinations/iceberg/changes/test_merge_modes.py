"""Merge modes: which data files are rewritten, and which get a position-delete file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from dlt.destinations.adapters import iceberg_adapter
from pyiceberg.manifest import ManifestContent, ManifestEntryStatus
from pyiceberg.partitioning import PartitionField, PartitionSpec
from pyiceberg.transforms import IdentityTransform

from floe_ingestion_defs.destinations import iceberg_window, row_count
from floe_ingestion_defs.destinations.impl.iceberg.changes import merge_mode
from floe_ingestion_defs.destinations.impl.iceberg.changes.merge_mode import MERGE_MODE_PROPERTY
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot, load_table
from floe_ingestion_defs.destinations.impl.iceberg.errors import InvalidHint
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import (
    write_position_deletes,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from destinations.iceberg.conftest import Lake, Row
    from pyiceberg.table import Table

MERGE_ON_READ: Row = {"merge_mode": "merge-on-read"}


def merge(lake: Lake, numbers: Iterable[int], v: int = 0, **options: Any) -> None:
    rows = pa.table({"id": list(numbers)}).append_column("v", pa.array([v] * len(list(numbers))))
    lake.load(
        dlt.resource([rows], name="t", primary_key="id", write_disposition="merge"),
        options=options,
    )


def files(table: Table) -> dict[str, list[str]]:
    """The data files of a table, each with its delete files."""
    return {
        task.file.file_path: [file.file_path for file in task.delete_files]
        for task in table.scan().plan_files()
    }


def values(lake: Lake) -> dict[int, int]:
    rows = lake.arrow("t").to_pydict()
    assert len(set(rows["id"])) == len(rows["id"])
    return dict(zip(rows["id"], rows["v"], strict=True))


def summary(table: Table, *names: str) -> list[int]:
    snapshot = table.current_snapshot()
    assert snapshot is not None
    assert snapshot.summary is not None
    return [int(snapshot.summary.get(name, 0)) for name in names]


def test_a_merge_on_read_keeps_the_data_file(lake: Lake) -> None:
    """One snapshot adds a delete file of it and a data file with the load's rows."""
    merge(lake, range(100), **MERGE_ON_READ)
    (first,) = files(lake.table("t"))
    merge(lake, [3, 50, 200], v=1, **MERGE_ON_READ)
    table = lake.table("t")
    found = files(table)
    assert len(found) == 2
    assert len(found[first]) == 1
    assert values(lake) == {**dict.fromkeys(range(100), 0), **dict.fromkeys([3, 50, 200], 1)}
    assert lake.snapshots("t") == 2
    names = "added-delete-files", "added-position-deletes", "total-delete-files"
    assert summary(table, *names, "total-position-deletes", "total-records") == [1, 2, 1, 2, 103]
    assert row_count(table.current_snapshot()) == 101
    read: Any = lake.pipeline().dataset()["t"].arrow()
    assert len(read) == 101
    assert sorted(read.filter(pc.equal(read["v"], 1))["id"].to_pylist()) == [3, 50, 200]
    assert table.properties[MERGE_MODE_PROPERTY] == "merge-on-read"


def test_a_data_file_has_one_delete_file_after_any_number_of_merges(lake: Lake) -> None:
    """The second has the positions of the first, which is removed in the same snapshot."""
    merge(lake, range(100), **MERGE_ON_READ)
    (first,) = files(lake.table("t"))
    merge(lake, [10], v=1, **MERGE_ON_READ)
    (before,) = files(lake.table("t"))[first]
    merge(lake, [11, 9], v=2, **MERGE_ON_READ)
    table = lake.table("t")
    (after,) = files(table)[first]
    assert values(lake) == {**dict.fromkeys(range(100), 0), 10: 1, 9: 2, 11: 2}
    snapshot = table.current_snapshot()
    assert snapshot is not None
    manifests = [m for m in snapshot.manifests(table.io) if m.content == ManifestContent.DELETES]
    entries = [e for m in manifests for e in m.fetch_manifest_entry(table.io, False)]
    assert {(e.status, e.data_file.file_path) for e in entries} == {
        (ManifestEntryStatus.DELETED, before),
        (ManifestEntryStatus.ADDED, after),
    }
    names = "removed-delete-files", "total-delete-files", "total-position-deletes"
    assert summary(table, *names) == [1, 1, 3]
    assert len(manifests) == 1


def test_other_files_keep_their_delete_files(lake: Lake) -> None:
    """A manifest of delete files is written again with those that stay."""
    merge(lake, range(100), **MERGE_ON_READ)
    merge(lake, range(100, 200), **MERGE_ON_READ)
    merge(lake, [1, 101], v=1, **MERGE_ON_READ)
    before = {path: deletes for path, deletes in files(lake.table("t")).items() if deletes}
    merge(lake, [2], v=2, **MERGE_ON_READ)
    after = {path: deletes for path, deletes in files(lake.table("t")).items() if deletes}
    assert before.keys() == after.keys()
    assert sum(before[path] == after[path] for path in before) == 1
    expected = {**dict.fromkeys(range(200), 0), 1: 1, 101: 1, 2: 2}
    assert values(lake) == expected
    merge(lake, [150], v=3, **MERGE_ON_READ)
    assert values(lake) == {**expected, 150: 3}


def test_a_file_is_rewritten_by_the_merge_that_finds_too_many_deleted_rows(lake: Lake) -> None:
    """Those of earlier merges count, and their delete file goes with the data file."""
    merge(lake, range(100), **MERGE_ON_READ)
    (first,) = files(lake.table("t"))
    merge(lake, range(20), v=1, **MERGE_ON_READ)
    assert first in files(lake.table("t"))
    merge(lake, range(20, 29), v=2, **MERGE_ON_READ)
    assert first in files(lake.table("t"))
    merge(lake, [29], v=3, **MERGE_ON_READ)
    table = lake.table("t")
    assert first not in files(table)
    assert not any(files(table).values())
    names = "total-delete-files", "total-position-deletes", "total-records"
    assert summary(table, *names) == [0, 0, 100]
    assert values(lake)[29] == 3


def test_a_file_whose_remaining_rows_all_go_is_removed_with_its_delete_file(lake: Lake) -> None:
    """Nothing of it is written again."""
    merge(lake, range(10), **MERGE_ON_READ)
    merge(lake, [1], v=1, **MERGE_ON_READ)
    merge(lake, range(10), v=2, **MERGE_ON_READ)
    table = lake.table("t")
    assert list(files(table).values()) == [[]]
    assert summary(table, "total-delete-files", "total-records") == [0, 10]


@pytest.mark.parametrize(("small", "deletes"), [(32 * 1024 * 1024, 0), (0, 1)])
def test_auto_rewrites_small_files(
    lake: Lake, monkeypatch: pytest.MonkeyPatch, small: int, deletes: int
) -> None:
    """A file that is larger gets a delete file."""
    monkeypatch.setattr(merge_mode, "SMALL_FILE_BYTES", small)
    merge(lake, range(100))
    merge(lake, [1], v=1)
    assert summary(lake.table("t"), "total-delete-files") == [deletes]
    assert MERGE_MODE_PROPERTY not in lake.table("t").properties


@pytest.mark.parametrize("mode", ["copy-on-write", "MERGE-ON-READ"])
def test_the_property_of_a_table_decides(lake: Lake, mode: str) -> None:
    """Any writer can set it, and a load that requests no mode keeps it."""
    merge(lake, range(100))
    with lake.table("t").transaction() as transaction:
        transaction.set_properties({MERGE_MODE_PROPERTY: mode})
    merge(lake, [1], v=1)
    assert summary(lake.table("t"), "total-delete-files") == [int(mode == "MERGE-ON-READ")]
    assert lake.table("t").properties[MERGE_MODE_PROPERTY] == mode


def test_a_load_sets_the_mode_of_an_existing_table(lake: Lake) -> None:
    """`auto` removes the property, for Iceberg Java does not accept that value."""
    for mode in ("copy-on-write", "merge-on-read", "auto"):
        merge(lake, range(100), merge_mode=mode)
        expected = None if mode == "auto" else mode
        assert lake.table("t").properties.get(MERGE_MODE_PROPERTY) == expected


def test_a_hint_is_stronger_and_holds_for_nested_tables(lake: Lake) -> None:
    """A nested table has the mode of its root."""
    rows = [{"id": 1, "tags": ["a"]}]
    resource = dlt.resource(rows, name="t", primary_key="id", write_disposition="merge")
    iceberg_adapter(resource, table_properties={MERGE_MODE_PROPERTY: "merge-on-read"})
    lake.load(resource, options={"merge_mode": "copy-on-write"})
    for name in ("t", "t__tags"):
        assert lake.table(name).properties[MERGE_MODE_PROPERTY] == "merge-on-read"


def test_tables_that_are_only_appended_to_have_no_mode(lake: Lake) -> None:
    """The property is of no use to them."""
    lake.load([{"id": 1}], table_name="t", options=MERGE_ON_READ)
    assert MERGE_MODE_PROPERTY not in lake.table("t").properties


def test_a_mode_that_does_not_exist_is_rejected(lake: Lake) -> None:
    """Before anything is staged; the error names the valid ones."""
    resource = dlt.resource([{"id": 1}], name="t", primary_key="id", write_disposition="merge")
    iceberg_adapter(resource, table_properties={MERGE_MODE_PROPERTY: "merge-on-write"})
    error = lake.rejected(resource)
    assert isinstance(error, InvalidHint)
    assert "copy-on-write" in str(error)


@pytest.mark.usefixtures("merge_on_read")
def test_a_window_is_overwritten_by_position(lake: Lake) -> None:
    """The rows of the window are deleted, and its new rows added."""
    lake.load(pa.table({"at": range(100), "v": [0] * 100}), table_name="t")
    rows = pa.table({"at": [10, 11], "v": [1, 1]})
    lake.load(iceberg_window(dlt.resource([rows], name="t"), "at", 10, 20))
    table = lake.table("t")
    assert summary(table, "added-position-deletes", "total-records") == [10, 102]
    expected = [(n, 0) for n in range(100) if not 10 <= n < 20] + [(10, 1), (11, 1)]
    found = lake.arrow("t").to_pydict()
    assert sorted(zip(found["at"], found["v"], strict=True)) == sorted(expected)


@pytest.mark.usefixtures("merge_on_read")
def test_a_table_that_is_replaced_keeps_no_delete_file(lake: Lake) -> None:
    """They go with the data files, in the snapshot's totals too."""
    merge(lake, range(10))
    merge(lake, [1], v=1)
    lake.load(pa.table({"id": [7], "v": [7]}), table_name="t", write_disposition="replace")
    table = lake.table("t")
    assert values(lake) == {7: 7}
    names = "removed-delete-files", "total-delete-files", "total-position-deletes"
    assert summary(table, *names, "total-records") == [1, 0, 0, 1]


@pytest.mark.usefixtures("merge_on_read")
def test_files_of_an_earlier_partition_spec_are_rewritten(lake: Lake) -> None:
    """Their rows are split by the current one; delete files of the earlier spec go with them."""
    merge(lake, range(10))
    merge(lake, [1], v=1)
    with lake.table("t").update_spec() as update:
        update.add_field("v", IdentityTransform())
    merge(lake, [2], v=2)
    table = lake.table("t")
    assert values(lake) == {**dict.fromkeys(range(10), 0), 1: 1, 2: 2}
    assert summary(table, "total-delete-files", "total-records") == [0, 10]
    assert {task.file.spec_id for task in table.scan().plan_files()} == {0, 1}


@pytest.mark.usefixtures("merge_on_read")
def test_a_delete_file_is_in_the_partition_of_its_data_file(lake: Lake) -> None:
    """Readers look for delete files by partition."""

    def load(rows: list[Row]) -> None:
        columns: Any = {"day": {"partition": True}}
        lake.load(
            dlt.resource(
                rows, name="t", columns=columns, primary_key="id", write_disposition="merge"
            )
        )

    load([{"id": n, "day": n % 3, "v": 0} for n in range(30)])
    load([{"id": n, "day": n % 3, "v": 1} for n in (1, 4, 5)])
    table = lake.table("t")
    assert summary(table, "added-delete-files", "added-position-deletes") == [2, 3]
    for task in table.scan().plan_files():
        assert {file.partition for file in task.delete_files} <= {task.file.partition}
    assert {row["id"] for row in lake.rows("t") if row["v"] == 1} == {1, 4, 5}
    assert len(table.scan(row_filter="day == 1").to_arrow()) == 10


@pytest.mark.usefixtures("merge_on_read")
def test_files_of_a_table_in_format_version_1_are_rewritten(lake: Lake) -> None:
    """Delete files exist from version 2 of the format on."""
    merge(lake, [0])
    schema = lake.table("t").schema()
    lake.catalog.drop_table(f"{lake.dataset}.t")
    spec = PartitionSpec(
        PartitionField(
            source_id=schema.find_field("v").field_id,
            field_id=1000,
            transform=IdentityTransform(),
            name="v",
        )
    )
    lake.catalog.create_table(
        f"{lake.dataset}.t", schema, partition_spec=spec, properties={"format-version": "1"}
    )
    merge(lake, range(10))
    merge(lake, [1], v=1)
    assert values(lake) == {**dict.fromkeys(range(10), 0), 1: 1}
    assert lake.table("t").metadata.format_version == 1


@pytest.mark.usefixtures("merge_on_read")
def test_a_delete_file_of_several_data_files_stays_until_the_last_of_them_goes(
    lake: Lake,
) -> None:
    """Another writer's: a merge that deletes further rows of a file does not repeat its positions,
    so that the snapshot's totals give the number of rows.
    """
    merge(lake, range(10))
    merge(lake, range(10, 20))
    table = load_table(lake.catalog, (lake.dataset, "t"))
    assert table is not None
    paths = sorted(files(table))
    (task, _) = table.scan().plan_files()
    shared = f"{table.location()}/data/shared.parquet"
    deletes = write_position_deletes(table.io, shared, task.file, np.array([0, 0]))
    rows = pa.table({"file_path": paths, "pos": pa.array([0, 0], pa.int64())})
    with table.io.new_output(shared).create(overwrite=True) as sink:
        pq.write_table(rows, sink)
    # Without the fields of the bounds, as a writer that keeps no statistics leaves them.
    deletes[10] = deletes[11] = None
    with table.transaction() as transaction:
        add_snapshot(transaction, [deletes])
    assert values(lake) == dict.fromkeys([*range(1, 10), *range(11, 20)], 0)
    merge(lake, [5], v=1)
    found = files(lake.table("t"))
    assert sorted(len(found[path]) for path in paths) == [1, 2]
    assert all(shared in found[path] for path in paths)
    expected = {**dict.fromkeys([*range(1, 10), *range(11, 20)], 0), 5: 1}
    assert values(lake) == expected
    assert row_count(lake.table("t").current_snapshot()) == 18
    merge(lake, [15], v=2)
    assert values(lake) == {**expected, 15: 2}
    merge(lake, range(10), v=3)
    assert any(shared in deletes for deletes in files(lake.table("t")).values())
    merge(lake, range(20), v=4)
    assert values(lake) == dict.fromkeys(range(20), 4)
    table = lake.table("t")
    assert summary(table, "total-delete-files", "total-position-deletes") == [0, 0]
