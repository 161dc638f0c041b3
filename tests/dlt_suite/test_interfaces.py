"""What dlt offers around a load: datasets, clients of tables, metrics and its command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt._workspace.cli import _dlt as command_line
from dlt.common.destination.exceptions import (
    DestinationTerminalException,
    DestinationUndefinedEntity,
)
from dlt.pipeline.exceptions import PipelineStepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from dlt_suite.runs import Run

PARTS = [{"id": n, "name": f"part {n}", "kind": n % 2, "sizes": [n, n]} for n in range(1, 7)]
KINDS = [{"kind": 0, "label": "even"}, {"kind": 1, "label": "odd"}]


def load_parts(run: Run) -> dlt.Pipeline:
    """Load parts twice, and their kinds with the second."""
    pipeline = run.pipeline()
    pipeline.run(PARTS[:4], table_name="parts")
    pipeline.run([dlt.resource(PARTS[4:], name="parts"), dlt.resource(KINDS, name="kinds")])
    return pipeline


def test_a_dataset_and_its_relations_return_the_same(same: Callable[[Any], Any]) -> None:
    def program(run: Run) -> Any:
        dataset = load_parts(run).dataset()
        parts, kinds = dataset["parts"], dataset["kinds"]
        loads = dataset.load_ids()
        ordered = parts.select("id", "name").order_by("id", "desc")
        joined = parts.join(kinds, on="parts.kind = kinds.kind").order_by("id")
        return {
            "tables": sorted(dataset.tables),
            "row counts": sorted(dataset.row_counts().fetchall()),
            "loads": [len(parts.from_loads(loads[:n]).fetchall()) for n in (1, 2)],
            "newest load": dataset.latest_load_id() == loads[-1],
            "loads table": dataset.loads_table().select("status").fetchall(),
            "columns": parts.columns,
            "all": ordered.fetchall(),
            "one": ordered.fetchone(),
            "many": ordered.fetchmany(2),
            "chunks": [list(chunk) for chunk in ordered.iter_fetch(chunk_size=4)],
            "frames": sum(len(chunk) for chunk in ordered.iter_df(chunk_size=4)),
            "where": parts.select("id").where("id", "in", [2, 3]).order_by("id").fetchall(),
            "filter": parts.select("id").filter("id > 4 AND kind = 1").fetchall(),
            "max": parts.select("id").max().fetchscalar(),
            "min": parts.select("name").min().fetchscalar(),
            "join": [sorted(map(str, row)) for row in joined.select("id").fetchall()],
            "sql": dataset.query("SELECT count(*) FROM parts__sizes").fetchall(),
        }

    same(program)


def test_the_client_of_open_tables_is_pyiceberg_s(run: Run) -> None:
    client = load_parts(run).dataset().open_table_client
    assert client.is_open_table("iceberg", "parts")
    assert not client.is_open_table("delta", "parts")
    table = client.load_open_table("iceberg", "parts")
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == [1, 2, 3, 4, 5, 6]
    assert client.get_open_table_location("iceberg", "parts") == table.location()
    catalog = client.get_open_table_catalog("iceberg")
    assert (
        catalog.load_table((run.dataset, "parts")).metadata.table_uuid == table.metadata.table_uuid
    )
    with pytest.raises(DestinationUndefinedEntity):
        client.load_open_table("iceberg", "missing")


def test_jobs_have_the_metrics_that_they_have_on_duckdb(same: Callable[[Any], Any]) -> None:
    """A package's files are written together, after its jobs, so `remote_url` is null."""

    def program(run: Run) -> Any:
        info = run.pipeline().run(PARTS, table_name="parts")
        metrics = [m for (found,) in info.metrics.values() for m in found["job_metrics"].values()]
        (package,) = info.load_packages
        jobs = [job.job_file_info.table_name for job in package.jobs["completed_jobs"]]
        assert not package.jobs["failed_jobs"]
        return (
            sorted((m.table_name, m.state, m.remote_url) for m in metrics),
            sorted(jobs),
            package.state,
            info.has_failed_jobs,
        )

    same(program)


def test_a_not_null_column_that_is_added_to_rows_is_nullable(run: Run, oracle: Run) -> None:
    """Rows that exist have no value for it: `duckdb` cannot add it, here it is null for them."""
    columns: Any = {"added": {"data_type": "bigint", "nullable": False}}
    for target in (run, oracle):
        target.pipeline().run([{"id": 1}], table_name="parts")
    added = dlt.resource([{"id": 2, "added": 2}], name="parts", columns=columns)
    run.pipeline().run(added)
    with pytest.raises(PipelineStepFailed):
        oracle.pipeline().run(added)
    table = run.arrow_tables()["parts"].sort_by("id")
    assert table["added"].to_pylist() == [None, 2]
    assert table.schema.field("added").nullable


def test_a_null_in_a_not_null_column_is_rejected_by_dlt(run: Run, oracle: Run) -> None:
    columns: Any = {"v": {"data_type": "bigint", "nullable": False}}
    for target in (oracle, run):
        pipeline = target.pipeline()
        with pytest.raises(PipelineStepFailed) as caught:
            pipeline.run(dlt.resource([{"id": 1, "v": None}], name="parts", columns=columns))
        assert caught.value.step == "normalize"
    assert run.tables() == {}


@pytest.mark.parametrize("option", ["jsonl", "model", "staging"])
def test_another_file_format_and_a_staging_area_are_rejected(run: Run, option: Any) -> None:
    pipeline, options = run.pipeline(), {"loader_file_format": option}
    if option == "staging":
        options = {"staging": dlt.destinations.filesystem((run.folder / "staging").as_uri())}
    with pytest.raises(DestinationTerminalException):
        pipeline.run(PARTS, table_name="parts", **options)
    assert run.tables() == {}


def test_a_model_is_rejected(run: Run) -> None:
    """There is no SQL engine that could run it."""
    relation = load_parts(run).dataset()["parts"].select("id")
    hints = dlt.mark.make_hints(columns=relation.columns_schema)

    @dlt.resource(name="copies")
    def copies() -> Any:
        yield dlt.mark.with_hints(relation, hints=hints)

    with pytest.raises(PipelineStepFailed) as caught:
        run.pipeline().run(copies())
    assert caught.value.step != "load"
    assert "copies" not in run.tables()


def test_dlt_s_command_line_works_on_a_pipeline(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = load_parts(run)
    (load_id, *_) = pipeline.list_completed_load_packages()
    pipeline.extract([{"id": 7}], table_name="parts")

    def command(*arguments: str) -> str:
        folder = ["--pipelines-dir", pipeline.pipelines_dir]
        options = ["dlt", "--non-interactive", "pipeline", *folder, "shop", *arguments]
        monkeypatch.setattr(sys, "argv", options)
        monkeypatch.setattr("dlt._workspace.cli.echo.confirm", lambda *_, **__: True)
        assert command_line.main() == 0, arguments
        return capsys.readouterr().out

    assert "parts" in command("info")
    assert "load" in command("trace")
    assert "parts__sizes" in command("schema")
    assert load_id in command("load-package", load_id)
    assert load_id in command("failed-jobs")
    command("abort-packages")
    assert not run_again(run, pipeline).has_pending_data
    command("drop", "kinds")
    assert "kinds" not in run.tables()
    command("sync")
    assert len(run.tables()["parts"]) == 6


def run_again(run: Run, pipeline: dlt.Pipeline) -> dlt.Pipeline:
    """Return the pipeline as another process finds it."""
    return dlt.attach(pipeline.pipeline_name, pipelines_dir=pipeline.pipelines_dir)


def test_other_hints_leave_the_same_tables(same: Callable[[Any], Any]) -> None:
    """Tables named per row, nesting that ends, references, and constraints, which are not made."""

    @dlt.source(max_table_nesting=1)
    def shop() -> Any:
        @dlt.resource(
            table_name=lambda row: f"events_{row['kind']}",
            columns={"id": {"unique": True, "cluster": True, "nullable": False}},
        )
        def events() -> Any:
            for kind in ("sold", "made", "sold"):
                yield {"id": 1, "kind": kind, "items": [{"p": 1, "subs": [{"q": 1}]}]}
            yield dlt.mark.with_table_name({"id": 2, "kind": "x"}, "others")

        return events

    def program(run: Run) -> Any:
        pipeline = run.pipeline(dev_mode=True)
        pipeline.run(shop())
        assert pipeline.dataset_name != run.dataset
        return run.tables(pipeline.dataset_name), run.pipeline().run(shop()) is None

    assert len(same(program)) == 5
