"""Sequences of runs with restored state, empty resources and long names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt_suite.runs import Run

DISPOSITIONS: list[Any] = [
    "append",
    "replace",
    "merge",
    {"disposition": "merge", "strategy": "upsert"},
    {"disposition": "merge", "strategy": "insert-only"},
    {"disposition": "merge", "strategy": "scd2"},
]


@dlt.source(name="shop")
def shop(through: int) -> Any:
    """Orders 1 to `through` from the cursor on, and the number of runs so far."""

    @dlt.resource(name="orders")
    def orders(cursor: Any = dlt.sources.incremental("id", initial_value=0)) -> Any:  # noqa: B008
        yield [{"id": i} for i in range(1, through + 1) if i > cursor.last_value]

    @dlt.resource(name="runs")
    def runs() -> Any:
        state = dlt.current.resource_state()
        state["runs"] = state.get("runs", 0) + 1
        yield {"number": state["runs"]}

    return orders, runs


@pytest.mark.parametrize(
    "steps",
    [
        "run new run",
        "sync run drop run sync run",
        "run extract drop sync run normalize load",
        "extract normalize load new sync sync run",
        "run extract abort run new run",
    ],
)
def test_a_cursor_is_restored_in_every_order(same: Callable[[Any], Any], steps: str) -> None:
    """The steps are separate calls of one pipeline's methods; `new` is a new working directory."""

    def program(run: Run) -> Any:
        pipeline, through = run.pipeline(), 0
        for step in steps.split():
            through += 2
            match step:
                case "run":
                    pipeline.run(shop(through))
                case "extract":
                    pipeline.extract(shop(through))
                case "normalize" | "load":
                    getattr(pipeline, step)()
                case "sync":
                    pipeline.sync_destination()
                case "drop":
                    pipeline = pipeline.drop()
                case "abort":
                    pipeline.abort_packages()
                case "new":
                    pipeline = run.pipeline()
        return pipeline.state["sources"]["shop"]["resources"]["runs"]

    tables = same(program)
    assert len(set(tables["orders"])) == len(tables["orders"])


def test_resources_without_rows_leave_what_they_leave_on_duckdb(
    same: Callable[[Any], Any],
) -> None:
    def resource(number: int, *, has_rows: bool, is_materialized: bool) -> Any:
        def rows() -> Any:
            if is_materialized:
                yield dlt.mark.materialize_table_schema()
            yield [{"id": 1, "items": [1, 2]}, {"id": 2, "items": [3]}] if has_rows else []

        return dlt.resource(
            rows,
            name=f"r{number}",
            primary_key="id",
            columns={"id": {"data_type": "bigint"}},
            write_disposition=DISPOSITIONS[number],
        )

    @dlt.source(name="shop", root_key=True)
    def source(**content: bool) -> Any:
        return [resource(number, **content) for number in range(len(DISPOSITIONS))]

    def program(run: Run) -> list[Any]:
        contents = []
        for has_rows, is_materialized in (
            (False, False),
            (True, False),
            (False, False),
            (False, True),
        ):
            run.pipeline().run(source(has_rows=has_rows, is_materialized=is_materialized))
            contents.append(run.tables())
        return contents

    assert len(same(program)) == 2 * len(DISPOSITIONS)


@pytest.mark.parametrize("refresh", ["drop_data", "drop_resources", "drop_sources"])
def test_a_refresh_without_rows_leaves_the_columns_it_leaves_on_duckdb(
    same: Callable[[Any], Any], refresh: Any
) -> None:
    """A table that `drop_data` truncates gets its new columns, though no row has a value."""

    def program(run: Run) -> Any:
        pipeline, contents = run.pipeline(), []
        for rows, strategy in (([{"id": 1, "items": [1]}], "upsert"), ([], "scd2")):
            disposition: Any = {"disposition": "merge", "strategy": strategy}
            options: Any = {"primary_key": "id", "write_disposition": disposition}
            orders = dlt.resource([rows], name="orders", **options)
            parts = dlt.resource([{"id": 1}], name="parts")
            source = dlt.source(lambda *r: r, name="shop", root_key=True)(orders, parts)
            pipeline.run(source, refresh=refresh)
            contents.append({n: sorted(t.column_names) for n, t in run.arrow_tables().items()})
        return contents

    same(program)


@pytest.mark.parametrize("naming", ["snake_case", "sql_cs_v1", "direct"])
def test_names_may_be_long(
    same: Callable[[Any], Any], naming: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCHEMA__NAMING", naming)
    table, column = "Table" + "t" * 195, "Column" + "ü" * 194

    def program(run: Run) -> list[Any]:
        for disposition in ("append", "merge"):
            rows = [{"id": n, column: disposition, "Tags": [{column: n}]} for n in (1, 2)]
            resource = dlt.resource(rows, name="r", table_name=table, primary_key="id")
            resource.apply_hints(write_disposition=disposition)
            source = dlt.source(lambda resource=resource: resource, name="shop", root_key=True)()
            run.pipeline().run(source)
        return [sorted(t.column_names) for _, t in sorted(run.arrow_tables().items())]

    assert len(same(program)) == 2


def test_a_table_name_longer_than_dlt_s_files_may_be_is_left_to_dlt(run: Run, oracle: Run) -> None:
    """Names of dlt's files contain it, and those of a nested table all that it is nested in."""
    for target in (oracle, run):
        with pytest.raises(PipelineStepFailed) as caught:
            target.pipeline().run([{"id": 1, "c" * 100: [1]}], table_name="t" * 140)
        assert caught.value.step == "normalize"
    assert run.tables() == {}
