"""Slowly changing dimensions: every version of a row, and when it was valid."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dlt
import pytest

pytestmark = pytest.mark.slow

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Compare, Lake, Row

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)


def day(number: int) -> datetime:
    return datetime(2026, 1, number, tzinfo=UTC)


def versions(*loads: Any, strategy: Row | None = None, **hints: Any) -> list[Any]:
    """Loads of one dimension, on the first of January and the days after."""

    def disposition(number: int) -> Any:
        return {
            "disposition": "merge",
            "strategy": "scd2",
            "validity_column_names": ["since", "until"],
            "boundary_timestamp": day(number).isoformat(),
            **(strategy or {}),
        }

    return [
        dlt.resource(rows, name="customers", write_disposition=disposition(number), **hints)
        for number, rows in enumerate(loads, start=1)
    ]


def customer(number: int, city: str, **columns: Any) -> Row:
    return {"id": number, "city": city, **columns}


CHANGES = (
    [customer(1, "Oslo"), customer(2, "Bergen")],
    [customer(1, "Tromsø"), customer(2, "Bergen"), customer(3, "Oslo")],
    [customer(2, "Bergen"), customer(3, "Bodø")],
    [customer(1, "Oslo"), customer(2, "Bergen"), customer(3, "Bodø")],
)
NESTED = (
    [customer(1, "Oslo", mails=[{"at": "a", "tags": ["x", "y"]}]), customer(2, "Bergen")],
    [customer(1, "Oslo", mails=[{"at": "b", "tags": ["x"]}]), customer(2, "Bergen", mails=[])],
    [customer(1, "Oslo", mails=[{"at": "a", "tags": ["x", "y"]}])],
)
BY_CITY = (
    [customer(1, "Oslo", n=1), customer(2, "Oslo", n=2), customer(3, "Bergen", n=3)],
    [customer(1, "Oslo", n=10)],
    [customer(3, "Bergen", n=3), customer(4, "Bergen", n=4)],
)


@pytest.mark.also_on_rest
def test_versions_follow_one_another(same_as_sql: Compare) -> None:
    """A changed row retires its version, an absent one retires, one that returns is valid again."""
    same_as_sql(lambda: versions(*CHANGES), "customers")


@pytest.mark.usefixtures("merge_on_read")
@pytest.mark.parametrize("loads", [CHANGES, NESTED], ids=["flat", "nested"])
def test_versions_that_end_may_be_deleted_by_position(loads: Any, same_as_sql: Compare) -> None:
    """A version that ends is deleted where it was, and added with the end of its validity."""
    same_as_sql(lambda: versions(*loads), "customers")


def test_active_versions_may_end_at_a_given_timestamp(same_as_sql: Compare) -> None:
    """With an active record timestamp that, and not null, marks what is valid now."""
    strategy = {"active_record_timestamp": FOREVER.isoformat()}
    same_as_sql(lambda: versions(*CHANGES, strategy=strategy), "customers")


@pytest.mark.also_on_rest(all_cases=True)
def test_nested_rows_belong_to_their_version(same_as_sql: Compare) -> None:
    """A change in a list makes a new version, which has its own nested rows."""
    same_as_sql(lambda: versions(*NESTED), "customers")


def test_a_merge_key_keeps_other_partitions_valid(same_as_sql: Compare) -> None:
    """Only versions whose merge key came retire."""
    same_as_sql(lambda: versions(*BY_CITY, merge_key="city"), "customers")


def test_a_merge_key_may_be_composite(same_as_sql: Compare) -> None:
    """With one row per merge key, an increment retires only rows that it replaces."""
    loads = (
        [customer(1, "Oslo", n=1), customer(1, "Bergen", n=2), customer(2, "Oslo", n=3)],
        [customer(1, "Bergen", n=20)],
    )
    same_as_sql(lambda: versions(*loads, merge_key=["id", "city"]), "customers")


def test_the_source_may_define_the_row_version(same_as_sql: Compare) -> None:
    """The versions are distinguished by a column of the source."""
    loads = (
        [customer(1, "Oslo", rev="1a"), customer(2, "Oslo", rev="2a")],
        [customer(1, "Skien", rev="1a"), customer(2, "Bergen", rev="2b")],
    )
    same_as_sql(lambda: versions(*loads, strategy={"row_version_column_name": "rev"}), "customers")


def test_a_row_version_of_the_source_leaves_no_orphan(lake: Lake) -> None:
    """A root that is not inserted because its version is valid brings no nested row either."""
    loads = (
        [customer(1, "Oslo", rev="1a", mails=["a", "b"])],
        [customer(1, "Oslo", rev="1a", mails=["a", "b"])],
    )
    for load in versions(*loads, strategy={"row_version_column_name": "rev"}):
        lake.load(load)
    roots = lake.values("customers", "_dlt_id")
    parents = lake.values("customers__mails", "_dlt_parent_id")
    assert parents == roots * 2


def test_without_a_boundary_versions_meet_at_the_load_s_timestamp(lake: Lake) -> None:
    """A version ends exactly when its successor begins, and that is when the load was made."""
    before = datetime.now(UTC)
    for load in versions(*CHANGES[:2], strategy={"boundary_timestamp": None}):
        lake.load(load)
    rows = {(r["id"], r["city"]): r for r in lake.rows("customers")}
    assert rows[1, "Oslo"]["until"] == rows[1, "Tromsø"]["since"] > before
    assert rows[1, "Tromsø"]["until"] is None
    assert rows[2, "Bergen"]["since"] == rows[1, "Oslo"]["since"]


def test_each_load_is_one_snapshot(lake: Lake) -> None:
    """Retiring and inserting become visible together."""
    for load in versions(*CHANGES):
        lake.load(load)
    assert lake.snapshots("customers") == len(CHANGES)


def test_a_dimension_may_be_partitioned_by_validity(lake: Lake) -> None:
    """A retired row moves to the partition that its new end belongs to."""
    columns = {"city": {"partition": True}}
    for load in versions(*CHANGES, columns=columns):
        lake.load(load)
    for task in lake.table("customers").scan().plan_files():
        part = lake.table("customers").scan(row_filter=f"city = '{task.file.partition[0]}'")
        assert part.to_arrow().num_rows > 0
    assert len(lake.rows("customers")) == 6


@pytest.mark.parametrize("count", [1, 2])
def test_scd2_keeps_one_active_version_per_key(lake: Lake, count: int) -> None:
    """Duplicates of a primary key within a load: the last remains, and no other stays valid."""
    loads = (
        [customer(1, "Oslo")],
        [customer(1, "Oslo")] * count + [customer(1, "Bergen")],
    )
    for load in versions(*loads, primary_key="id"):
        lake.load(load)
    assert [r["city"] for r in lake.rows("customers") if r["until"] is None] == ["Bergen"]
