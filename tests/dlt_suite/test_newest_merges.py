"""The merge options of dlt 1.31: strategy `cdc` and `source_filter`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.common.schema.exceptions import SchemaCorruptedException
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations import Finding
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed, InvalidHint

if TYPE_CHECKING:
    from dlt_suite.runs import Run
    from pyiceberg.catalog import Catalog

OPTIONS: list[dict[str, Any]] = [
    {"strategy": "cdc", "destination_scope": "day < 3"},
    {"strategy": "cdc", "skip_unchanged_rows": True},
    {"strategy": "upsert", "skip_unchanged_rows": True, "source_filter": "id < 9"},
]


def orders(*rows: Any, disposition: Any = None, **hints: Any) -> Any:
    """A resource of rows (id, day), each with two nested levels."""

    def yielded() -> Any:
        yield dlt.mark.materialize_table_schema()
        yield [
            {"id": i, "day": day, "v": i * day, "items": [{"p": day, "subs": [i, day]}] * day}
            for i, day in rows
        ]

    options = {"strategy": "cdc", **(disposition or {})}
    return dlt.resource(
        yielded,
        name="orders",
        primary_key=hints.pop("primary_key", "id"),
        columns={"id": {"data_type": "bigint"}, "day": {"data_type": "bigint"}},
        write_disposition={"disposition": "merge", **options},
        **hints,
    )


def test_cdc_deletes_the_rows_that_the_source_lacks(same: Any) -> None:
    def program(run: Any) -> None:
        run.pipeline().run(orders((1, 1), (2, 2), (3, 3)))
        run.pipeline().run(orders((2, 3), (4, 1)))

    assert len(same(program)["orders__items"]) == 4


def test_cdc_deletes_within_the_partitions_of_its_merge_key(same: Any) -> None:
    def program(run: Any) -> None:
        run.pipeline().run(orders((1, 1), (2, 2), (3, 2), (4, 3)), primary_key="id")
        run.pipeline().run(orders((2, 2), (5, 3), merge_key="day"))

    assert len(same(program)["orders"]) == 3


def test_cdc_with_a_compound_key(same: Any) -> None:
    def program(run: Any) -> None:
        run.pipeline().run(orders((1, 1), (1, 2), (3, 3), primary_key=["id", "day"]))
        run.pipeline().run(orders((1, 2), (4, 1), primary_key=["id", "day"]))

    assert len(same(program)["orders"]) == 2


def test_an_empty_source_of_cdc_deletes_all_rows(same: Any) -> None:
    def program(run: Any) -> None:
        run.pipeline().run(orders((1, 1), (2, 2)))
        run.pipeline().run(orders())

    assert same(program)["orders"] == []


def test_the_guard_of_replacements_rejects_an_empty_source_of_cdc(run: Any) -> None:
    run.pipeline().run(orders((1, 1), (2, 2)))
    before = run.tables()
    guarded = dlt.pipeline(
        "shop",
        destination=run.open(replace_min_share=0.5),
        dataset_name=run.dataset,
        pipelines_dir=str(run.folder / "guarded"),
    )
    with pytest.raises(PipelineStepFailed) as caught:
        guarded.run(orders())
    rejected = caught.value.exception
    assert isinstance(rejected, AuditFailed)
    assert [type(finding) for finding in rejected.findings] == [Finding]
    assert run.tables() == before
    guarded.run(orders((1, 3)))
    assert len(run.tables()["orders"]) == 1


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert", "scd2", "cdc", "insert-only"])
def test_a_source_filter_selects_the_rows_of_a_merge(same: Any, strategy: str) -> None:
    chosen: Any = {"strategy": strategy}
    filtered = {**chosen, "source_filter": '"day" >= 2 AND v IS NOT NULL'}
    if strategy == "insert-only":
        filtered = chosen

    def program(run: Any) -> None:
        run.pipeline().run(orders((1, 1), (2, 2), (3, 3), disposition=chosen))
        run.pipeline().run(orders((1, 3), (2, 1), (4, 1), (5, 2), disposition=filtered))

    assert same(program)["orders"]


@pytest.mark.parametrize("condition", ["absent = 1", "id >", "v"])
def test_a_source_filter_that_cannot_be_evaluated_is_rejected(run: Any, condition: str) -> None:
    invalid = {"source_filter": condition if condition != "v" else "strptime('x', '%Y') IS NULL"}
    pipeline = run.pipeline()
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline.run(orders((1, 1), disposition=invalid))
    assert isinstance(caught.value.exception, InvalidHint)
    assert run.tables() == {}
    assert not pipeline.has_pending_data


@pytest.mark.parametrize("options", OPTIONS)
def test_a_merge_with_the_newest_options_is_one_snapshot_of_each_table(
    run: Run, options: dict[str, Any]
) -> None:
    catalog = open_catalog()
    run.pipeline().run(orders((1, 1), (2, 2), (3, 3), disposition=options))
    before = {name: _snapshots(catalog, run, name) for name in run.tables()}
    run.pipeline().run(orders((1, 2), (3, 3), (4, 2), disposition=options))
    after = {name: _snapshots(catalog, run, name) - count for name, count in before.items()}
    assert after == dict.fromkeys(["orders", "orders__items", "orders__items__subs"], 1)


def _snapshots(catalog: Catalog, run: Run, table: str) -> int:
    return len(catalog.load_table((run.dataset, table)).snapshots())


def test_cdc_without_a_primary_key_is_rejected(run: Run, oracle: Run) -> None:
    disposition: Any = {"disposition": "merge", "strategy": "cdc"}
    for target in (oracle, run):
        with pytest.raises(PipelineStepFailed) as caught:
            target.pipeline().run([{"id": 1}], table_name="t", write_disposition=disposition)
        assert isinstance(caught.value.exception, SchemaCorruptedException)
    assert run.tables() == {}
