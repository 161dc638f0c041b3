"""Options of dlt that change where rows are loaded, or how those with the same key are treated."""

from __future__ import annotations

from typing import Any

import dlt
import pyarrow as pa
import pytest


@pytest.mark.parametrize("strategy", ["delete-insert", "upsert"])
def test_rows_declared_as_deduplicated_are_merged(same: Any, strategy: str) -> None:
    def orders(*ids: int) -> Any:
        disposition: Any = {"disposition": "merge", "strategy": strategy, "deduplicated": True}
        rows = [{"id": i, "tags": [i, i]} for i in ids]
        return dlt.resource(rows, name="orders", primary_key="id", write_disposition=disposition)

    def program(run: Any) -> None:
        run.pipeline().run(orders(1, 2))
        run.pipeline().run(orders(2, 3))

    tables = same(program)
    assert [len(tables[name]) for name in ("orders", "orders__tags")] == [3, 6]


@pytest.mark.parametrize("single", [True, False])
def test_schemas_are_loaded_into_the_datasets_that_dlt_names(
    run: Any, oracle: Any, single: bool
) -> None:
    def program(run: Any) -> Any:
        pipeline = run.pipeline()
        pipeline.config.use_single_dataset = single
        for name in ("shop", "crm"):
            rows = dlt.resource([{"id": 1}], name=f"{name}_rows")
            pipeline.run(dlt.source(lambda rows=rows: rows, name=name)())
        return {dataset: run.tables(dataset) for dataset in ("lake", "lake_shop", "lake_crm")}

    expected = program(oracle)
    assert program(run) == expected
    assert sum(map(len, expected.values())) == 2


@pytest.mark.parametrize("disposition", ["append", "replace", "merge"])
def test_arrow_structs_and_lists_are_kept(run: Any, disposition: Any) -> None:
    rows = [
        {"id": 1, "place": {"city": "x", "codes": ["a", None]}, "sizes": [3, 5]},
        {"id": 2, "place": {"city": None, "codes": None}, "sizes": []},
        {"id": 3, "place": None, "sizes": None},
    ]
    pipeline = run.pipeline()
    for _ in range(2):
        pipeline.run(
            pa.Table.from_pylist(rows),
            table_name="places",
            write_disposition=disposition,
            primary_key="id",
        )
    found = pipeline.dataset()["places"].arrow().sort_by("id").to_pylist()
    assert found == [row for row in rows for _ in range(2 if disposition == "append" else 1)]
