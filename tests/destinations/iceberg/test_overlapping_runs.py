"""Runs that overlap, in one process: what each leaves of the other's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations.impl.iceberg.errors import IncompatibleSchema
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction

if TYPE_CHECKING:
    from collections.abc import Iterator

    from destinations.iceberg.conftest import Lake


def one_row(name: str) -> Any:
    @dlt.source(name=name)
    def source() -> Any:
        @dlt.resource(name=f"rows_of_{name}")
        def rows(
            cursor: Any = dlt.sources.incremental("id"),  # noqa: B008
        ) -> Iterator[list[dict[str, int]]]:
            yield [{"id": 1}]

        return rows

    return source()


def test_runs_of_several_sources_keep_each_other_s_schemas(lake: Lake) -> None:
    """The next run restores those that the state names, and knows the nested tables by them."""
    runs = {name: lake.pipeline() for name in ("one", "two", "three")}
    for name, run in runs.items():
        run.sync_destination()
        run.extract(one_row(name))
        run.normalize()
    for run in runs.values():
        run.load()
    after = lake.pipeline()
    after.sync_destination()
    assert sorted(after.schema_names) == ["one", "three", "two"]
    assert sorted(after.state["sources"]) == ["one", "three", "two"]


def test_a_load_that_no_longer_fits_is_rejected_after_the_log_was_compacted(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log drops the intents of settled loads when it is compacted, while others still stage."""
    monkeypatch.setattr(compaction, "COMPACT_AFTER_FILES", 3)
    lake.load([{"id": 1}], table_name="orders")

    def others(staged: Any) -> Iterator[Any]:
        if staged.intent.table == "orders":
            lake.load([{"id": 2, "size": "large"}], table_name="orders", pipeline="other")
            for n in range(6):
                lake.load([{"id": n}], table_name="others", pipeline="third")
        yield from ()

    error = lake.rejected([{"id": 9, "size": 3}], table_name="orders", options={"audits": [others]})
    assert isinstance(error, IncompatibleSchema)
    lake.load([{"id": 10}], table_name="orders")
    assert lake.values("orders", "id") == [1, 2, 10]


@pytest.mark.parametrize("kind", ["whole", "fraction"])
def test_a_column_that_partitions_may_be_widened_while_a_load_is_under_way(
    lake: Lake, kind: str
) -> None:
    """The partitions of what was staged are written down in the narrow type."""
    narrow, wide = {
        "whole": (pa.int32(), pa.int64()),
        "fraction": (pa.float32(), pa.float64()),
    }[kind]

    def rows(column_type: pa.DataType, first: int) -> Any:
        table = pa.table({"at": pa.array([first, first + 1], column_type), "id": [first, first]})
        return dlt.resource(table, name="orders", columns={"at": {"partition": True}})

    lake.load(rows(narrow, 0))

    def others(staged: Any) -> Iterator[Any]:
        if staged.intent.table == "orders":
            lake.load(rows(wide, 2), pipeline="other")
        yield from ()

    lake.load(rows(narrow, 4), options={"audits": [others]})
    assert lake.values("orders", "at") == [0, 1, 2, 3, 4, 5]
    tasks = lake.table("orders").scan().plan_files()
    assert sorted(task.file.partition[0] for task in tasks) == [0, 1, 2, 3, 4, 5]
