"""What an operator does to a table, and what the next load makes of it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations import missing_loads
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import was_rolled_back

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from servers.spark import Spark


def order(number: int) -> Any:
    return {"id": number, "items": [{"n": number}, {"n": -number}]}


def roll_back(lake: Lake, name: str) -> None:
    table = lake.table(name)
    first = min(table.metadata.snapshots, key=lambda snapshot: snapshot.sequence_number or 0)
    table.manage_snapshots().rollback_to_snapshot(first.snapshot_id).commit()


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_loads_that_a_rollback_removed_are_not_replayed_and_are_reported(
    lake: Lake, caplog: pytest.LogCaptureFixture, disposition: Any
) -> None:
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": disposition}
    for number in (1, 2):
        lake.load([{"id": number}], **arguments)
    newest = lake.table("_dlt_loads").scan().to_arrow().sort_by("seq")["load_id"].to_pylist()[-1]
    roll_back(lake, "t")
    lake.load([{"id": 3}], **arguments)
    assert lake.values("t", "id") == [1, 3]
    assert f"`lake.t` was rolled back: it lacks loads {newest}" in caplog.text
    assert missing_loads(lake.table("t")) == [newest]


def test_a_table_is_not_rolled_back_because_snapshots_of_other_writers_expired(
    lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    """An expiry keeps the newest snapshots and the last published one, and none between them."""
    lake.load([{"id": 1}], table_name="t")
    table = lake.table("t")
    row = {"id": 2, "_dlt_load_id": "x", "_dlt_id": "y"}
    for _ in range(3):
        table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))
    snapshots = sorted(table.metadata.snapshots, key=lambda found: found.sequence_number or 0)
    between = [snapshot.snapshot_id for snapshot in snapshots[1:-1]]
    table.maintenance.expire_snapshots().by_ids(between).commit()
    assert not was_rolled_back(lake.table("t"))
    lake.load([{"id": 3}], table_name="t")
    assert "rolled back" not in caplog.text
    assert lake.values("t", "id") == [1, 2, 2, 2, 3]


def test_a_rollback_is_noticed_after_other_writers_commits(lake: Lake) -> None:
    for number in (1, 2):
        lake.load([{"id": number}], table_name="t")
    roll_back(lake, "t")
    table = lake.table("t")
    row = {"id": 4, "_dlt_load_id": "x", "_dlt_id": "y"}
    table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()))
    assert was_rolled_back(lake.table("t"))


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "insert-only"])
def test_a_merge_removes_nested_rows_of_roots_that_a_rollback_removed(
    lake: Lake, strategy: str
) -> None:
    merge: Any = {"disposition": "merge", "strategy": strategy}
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": merge}
    for number in (1, 2, 3):
        lake.load([order(number)], **arguments)
    roll_back(lake, "t")
    lake.load([order(2), order(4)], **arguments)
    assert lake.values("t", "id") == [1, 2, 4]
    assert lake.values("t__items", "n") == [-4, -2, -1, 1, 2, 4]
    roots = set(lake.values("t", "_dlt_id"))
    assert set(lake.values("t__items", "_dlt_parent_id")) == roots


def test_an_append_removes_nested_rows_of_roots_that_a_rollback_removed(lake: Lake) -> None:
    """Also where it has no nested rows itself, and only once."""
    for number in (1, 2):
        lake.load([order(number)], table_name="t")
    roll_back(lake, "t")
    lake.load([{"id": 3, "items": []}], table_name="t")
    assert lake.values("t", "id") == [1, 3]
    assert lake.values("t__items", "n") == [-1, 1]
    before = lake.snapshots("t__items")
    lake.load([order(4)], table_name="t")
    assert lake.values("t__items", "n") == [-4, -1, 1, 4]
    assert lake.snapshots("t__items") == before + 1


def deep_order(number: int) -> Any:
    parts = [{"p": number, "bolts": [{"b": number}]}]
    return {"id": number, "items": [{"n": number, "parts": parts}]}


def require_no_orphans(lake: Lake) -> None:
    for parent, nested in itertools.pairwise(("t", "t__items", "t__items__parts")):
        parents = set(lake.values(parent, "_dlt_id"))
        assert set(lake.values(nested, "_dlt_parent_id")) == parents, nested


@pytest.mark.parametrize(
    ("first", "later"), [("append", "append"), ("merge", "append"), ("merge", "merge")]
)
def test_rows_two_levels_below_roots_that_a_rollback_removed_are_removed(
    lake: Lake, first: Any, later: Any
) -> None:
    """Rows of an append refer to the row above them only."""
    arguments: Any = {"table_name": "t", "primary_key": "id"}
    for number in (1, 2):
        lake.load([deep_order(number)], write_disposition=first, **arguments)
    roll_back(lake, "t")
    lake.load([deep_order(3)], write_disposition=later, **arguments)
    assert lake.values("t", "id") == [1, 3]
    assert lake.values("t__items", "n") == [1, 3]
    assert lake.values("t__items__parts", "p") == [1, 3]
    require_no_orphans(lake)


def test_an_append_without_nested_rows_removes_those_of_a_rollback_at_each_depth(
    lake: Lake,
) -> None:
    for number in (1, 2):
        lake.load([deep_order(number)], table_name="t")
    roll_back(lake, "t")
    lake.load([{"id": 3}], table_name="t")
    for name, column in (("t__items", "n"), ("t__items__parts", "p")):
        assert lake.values(name, column) == [1]
    bolts = lake.values("t__items__parts__bolts", "_dlt_parent_id")
    assert bolts == lake.values("t__items__parts", "_dlt_id")
    before = lake.snapshots("t__items__parts__bolts")
    lake.load([{"id": 4}], table_name="t")
    assert lake.snapshots("t__items__parts__bolts") == before


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_a_table_that_was_created_again_is_loaded_into(lake: Lake, disposition: Any) -> None:
    """The rows of the table that was dropped stay away; those of the new one are kept."""
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": disposition}
    for number in (1, 2):
        lake.load([{"id": number, "v": "old"}], **arguments)
    schema = lake.table("t").schema()
    lake.catalog.drop_table(("lake", "t"))
    created = lake.catalog.create_table(("lake", "t"), schema)
    row = {"id": 7, "v": "theirs", "_dlt_load_id": "x", "_dlt_id": "y"}
    created.append(pa.Table.from_pylist([row], schema=created.schema().as_arrow()))
    lake.load([{"id": 3, "v": "new"}], **arguments)
    assert lake.rows("t") == [{"id": 3, "v": "new"}, {"id": 7, "v": "theirs"}]
    assert missing_loads(lake.table("t")) == []


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_a_table_that_was_renamed_keeps_its_rows(lake: Lake, disposition: Any) -> None:
    """The next load creates a table of its own under the name that is free."""
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": disposition}
    lake.load([{"id": 1}], **arguments)
    lake.catalog.rename_table(("lake", "t"), ("lake", "kept"))
    lake.load([{"id": 2}], **arguments)
    lake.load([{"id": 3}], **arguments)
    assert lake.values("kept", "id") == [1]
    assert lake.values("t", "id") == [2, 3]
    assert lake.table("t").location() != lake.table("kept").location()
    assert lake.table("t").metadata.table_uuid != lake.table("kept").metadata.table_uuid


@pytest.mark.parametrize("disposition", ["append", "merge"])
def test_a_table_that_was_restored_from_a_backup_continues_from_there(
    lake: Lake, caplog: pytest.LogCaptureFixture, disposition: Any
) -> None:
    """Settled loads that the backup lacks do not come back by themselves, and are reported."""
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": disposition}
    lake.load([{"id": 1}], **arguments)
    backup = lake.table("t").metadata_location
    lake.load([{"id": 2}], **arguments)
    lake.load([{"id": 1}], table_name="other")
    assert "lacks loads" not in caplog.text
    newest = lake.table("_dlt_loads").scan().to_arrow().sort_by("seq")["load_id"].to_pylist()[1]
    lake.catalog.drop_table(("lake", "t"))
    lake.catalog.register_table(("lake", "t"), backup)
    lake.load([{"id": 3}], **arguments)
    assert lake.values("t", "id") == [1, 3]
    assert f"it lacks loads {newest}, which" in caplog.text
    lake.load([{"id": 4}], **arguments)
    assert caplog.text.count("lacks loads") == 1


def load_ids(lake: Lake) -> list[str]:
    """The ids of all loads, oldest first."""
    ids: list[str] = (
        lake.table("_dlt_loads").scan().to_arrow().sort_by("seq")["load_id"].to_pylist()
    )
    return ids


def missing(lake: Lake, name: str = "t") -> list[str]:
    return missing_loads(lake.table(name), Dataset(lake.catalog, lake.dataset).log.read())


def restore(lake: Lake, backup: str) -> None:
    lake.catalog.drop_table(("lake", "t"))
    lake.catalog.register_table(("lake", "t"), backup)


def test_loads_that_a_backup_lacks_are_missing_until_the_table_is_replaced(lake: Lake) -> None:
    """The load after them advances the watermark, and records them in the log."""
    lake.load([{"id": 1}], table_name="t")
    backup = lake.table("t").metadata_location
    for number in (2, 3):
        lake.load([{"id": number}], table_name="t")
    lake.load([{"id": 1}], table_name="other")
    newest = lake.table("t").metadata_location
    lacked = load_ids(lake)[1:3]
    assert missing(lake) == []
    restore(lake, backup)
    assert missing(lake) == lacked
    restore(lake, newest)
    assert missing(lake) == []
    restore(lake, backup)
    lake.load([{"id": 4}], table_name="t")
    assert missing(lake) == lacked
    assert missing(lake, "other") == []
    lake.load([{"id": 5}], table_name="t", write_disposition="replace")
    assert missing(lake) == []


def test_a_load_that_a_backup_lacks_is_known_after_the_log_was_compacted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction keeps the names of the tables of which a load is the newest."""
    lake.load([{"id": 1}], table_name="t")
    backup = lake.table("t").metadata_location
    for number in (2, 3):
        lake.load([{"id": number}], table_name="t")
    lacked = load_ids(lake)[-1]
    monkeypatch.setattr(compaction, "COMPACT_AFTER_FILES", 1)
    for number in (1, 2, 3):
        lake.load([{"id": number}], table_name="other")
    restore(lake, backup)
    assert missing(lake) == [lacked]
    assert missing(lake, "other") == []


def test_rows_of_an_audit_branch_stay_there_until_an_engine_publishes_it(lake: Lake) -> None:
    """Write, audit, publish: loads commit to `main`, whatever other branches the table has."""
    lake.load([{"id": 1}], table_name="t")
    table = lake.table("t")
    head = table.current_snapshot()
    assert head is not None
    table.manage_snapshots().create_branch(head.snapshot_id, "audit").commit()
    row = {"id": 7, "_dlt_load_id": "x", "_dlt_id": "y"}
    table.append(pa.Table.from_pylist([row], schema=table.schema().as_arrow()), branch="audit")
    lake.load([{"id": 2}], table_name="t")
    assert lake.values("t", "id") == [1, 2]
    # Another engine points `main` at the branch, which removes what was loaded since.
    audited = lake.table("t").metadata.refs["audit"].snapshot_id
    lake.table("t").manage_snapshots().set_current_snapshot(audited).commit()
    lake.load([{"id": 3}], table_name="t")
    assert lake.values("t", "id") == [1, 3, 7]
    assert len(missing_loads(lake.table("t"))) == 1


@pytest.mark.parametrize("disposition", ["append", "merge", "replace"])
def test_a_table_that_spark_has_replaced_is_loaded_into(
    lake: Lake, spark: Spark, caplog: pytest.LogCaptureFixture, disposition: Any
) -> None:
    """`CREATE OR REPLACE TABLE` keeps the table's identity and properties, and removes its rows."""
    arguments: Any = {"table_name": "t", "primary_key": "id", "write_disposition": disposition}
    lake.load([{"id": 1, "v": "old"}], **arguments)
    columns = "id, v, _dlt_load_id, _dlt_id"
    spark.sql(
        lake.catalog,
        f"CREATE OR REPLACE TABLE lake.t USING iceberg AS SELECT {columns} FROM "
        "VALUES (CAST(7 AS BIGINT), 'theirs', 'x', 'y') AS r(id, v, _dlt_load_id, _dlt_id)",
    )
    lake.load([{"id": 3, "v": "new"}], **arguments)
    theirs = [] if disposition == "replace" else [{"id": 7, "v": "theirs"}]
    assert lake.rows("t") == [{"id": 3, "v": "new"}, *theirs]
    assert "`lake.t` was replaced by another writer" in caplog.text
