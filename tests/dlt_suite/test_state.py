"""State that is changed outside of an extraction is committed like any other."""

from __future__ import annotations

import json
from typing import Any

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed
from dlt.pipeline.helpers import pipeline_drop


@dlt.source(name="shop")
def shop(through: int) -> Any:
    """Orders 1 to `through`, from the cursor on."""

    @dlt.resource(name="orders")
    def orders(cursor: Any = dlt.sources.incremental("id", initial_value=0)) -> Any:  # noqa: B008
        yield [{"id": i} for i in range(1, through + 1) if i > cursor.last_value]

    return orders


def test_dropped_resources_are_loaded_again(same: Any) -> None:
    def program(run: Any) -> None:
        pipeline = run.pipeline()
        pipeline.run(shop(3))
        pipeline_drop(pipeline, resources="orders")()
        pipeline.run(shop(4))

    assert len(same(program)["orders"]) == 4


def test_dropped_resources_are_loaded_again_from_a_new_working_directory(same: Any) -> None:
    def program(run: Any) -> None:
        run.pipeline().run(shop(3))
        pipeline = run.pipeline()
        pipeline.sync_destination()
        pipeline_drop(pipeline, resources="orders")()
        run.pipeline().run(shop(4))

    assert len(same(program)["orders"]) == 4


def test_a_state_package_is_committed(same: Any) -> None:
    def program(run: Any) -> Any:
        pipeline = run.pipeline()
        pipeline.run(shop(3))
        with pipeline.managed_state(extract_state=True) as state:
            state["sources"]["shop"]["resources"]["orders"]["incremental"]["id"]["last_value"] = 1
        pipeline.normalize()
        pipeline.load()
        run.pipeline().run(shop(4))
        run.pipeline().run(shop(4))
        fresh = run.pipeline()
        fresh.sync_destination()
        return fresh.state["sources"]["shop"]["resources"]["orders"]["incremental"]["id"][
            "last_value"
        ]

    assert len(same(program)["orders"]) == 6


def test_edited_state_is_committed_by_the_next_run(same: Any) -> None:
    def program(run: Any) -> None:
        pipeline = run.pipeline()
        pipeline.run(shop(3))
        with pipeline.managed_state() as state:
            state["sources"]["shop"]["resources"]["orders"]["incremental"]["id"]["last_value"] = 1
        pipeline.run(shop(4))
        pipeline.run(shop(5))
        run.pipeline().run(shop(6))

    # 2 and 3 twice: that is what the user asked for.
    assert len(same(program)["orders"]) == 8


def test_an_edit_that_another_run_overtook_does_not_block_the_pipeline(run: Any) -> None:
    pipeline = run.pipeline()
    pipeline.run(shop(3))
    run.pipeline().run(shop(4))
    for value in (1, 2):
        with pipeline.managed_state() as state:
            cursor = state["sources"]["shop"]["resources"]["orders"]["incremental"]["id"]
            cursor["last_value"] = value
    for _ in range(2):
        try:
            pipeline.run(shop(5))
        except PipelineStepFailed as failed:
            assert "StateConflict" in repr(failed.exception)  # noqa: PT017
    assert len(run.tables()["orders"]) == 5


def test_sync_schema_stores_the_schema_once(same: Any) -> None:
    def program(run: Any) -> Any:
        pipeline = run.pipeline()
        pipeline.extract([{"id": 1}], table_name="t")
        pipeline.normalize()
        with pipeline.destination_client() as client:
            assert client.get_stored_schema(pipeline.default_schema_name) is None
        pipeline.sync_schema()
        pipeline.sync_schema()
        with pipeline.destination_client() as client:
            stored = client.get_stored_schema(pipeline.default_schema_name)
            with client.sql_client as sql:
                versions = sql.execute_sql("SELECT version_hash FROM _dlt_version")
        pipeline.load()
        assert [(stored.version_hash,)] == versions
        return json.loads(stored.schema)["tables"]["t"]["columns"]["id"]

    assert len(same(program)["t"]) == 1
