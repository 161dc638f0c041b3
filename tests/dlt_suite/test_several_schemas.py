"""Several sources in one pipeline: each schema's package is a load of its own."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import dlt
import pytest
from dlt.common.storages.load_package import PackageStorage
from dlt.pipeline.exceptions import PipelineStepFailed

from floe_ingestion_defs.destinations import Finding
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed


def source(name: str, table: str, through: int) -> Any:
    """Rows 1 to `through` of a source, from the cursor on."""

    @dlt.resource(name=table)
    def rows(cursor: Any = dlt.sources.incremental("id", initial_value=0)) -> Any:  # noqa: B008
        yield [{"id": i} for i in range(1, through + 1) if i > cursor.last_value]

    @dlt.source(name=name)
    def several() -> Any:
        return rows

    return several()


def shop(through: int) -> Any:
    return source("shop", "orders", through)


def crm(through: int) -> Any:
    return source("crm", "contacts", through)


def cursors(pipeline: dlt.Pipeline) -> dict[str, Any]:
    pipeline.sync_destination()
    return {
        f"{source}.{name}": resource["incremental"]["id"]["last_value"]
        for source, content in pipeline.state["sources"].items()
        for name, resource in content["resources"].items()
    }


def end_at_the_second_load() -> Any:
    """Return what is around the phases of loads, and ends a run when its second load begins."""
    loads = 0

    def around(phase: str) -> Any:
        nonlocal loads
        loads += phase == "stage"
        if loads == 2:
            raise Ended
        return nullcontext()

    return around


class Ended(Exception):
    """A run ended."""


def test_sources_run_one_after_another(same: Any) -> None:
    def program(run: Any) -> Any:
        pipeline = run.pipeline()
        for through in (2, 4):
            pipeline.run(shop(through))
            pipeline.run(crm(through + 1))
        run.pipeline().run(crm(6))
        return cursors(run.pipeline())

    assert {name: len(rows) for name, rows in same(program).items()} == {"orders": 4, "contacts": 6}


def test_sources_run_at_once(same: Any) -> None:
    def program(run: Any) -> Any:
        for through in (2, 3):
            run.pipeline().run([shop(through), crm(through)])
        run.pipeline().run([crm(4), shop(4)])
        pipeline = run.pipeline()
        pipeline.run([crm(5), shop(6)])
        pipeline.run([shop(7), crm(8)])
        return cursors(run.pipeline()), sorted(pipeline.schema_names)

    assert {name: len(rows) for name, rows in same(program).items()} == {"orders": 7, "contacts": 8}


def test_an_explicit_schema_is_a_schema_of_its_own(same: Any) -> None:
    def program(run: Any) -> Any:
        pipeline = run.pipeline()
        pipeline.run(shop(2))
        pipeline.run([{"id": 1}], table_name="notes", schema=dlt.Schema("notebook"))
        pipeline.run([{"id": 2}], table_name="notes", schema=pipeline.schemas["notebook"])
        run.pipeline().run(shop(3))
        return cursors(run.pipeline())

    assert set(same(program)) == {"orders", "notes"}


def test_pending_extractions_are_loads_in_their_order(same: Any) -> None:
    def program(run: Any) -> Any:
        pipeline = run.pipeline()
        pipeline.run(shop(1))
        pipeline.extract([crm(2), shop(2)])
        pipeline.extract([crm(3), shop(3)])
        pipeline.normalize()
        pipeline.load()
        run.pipeline().run([crm(4), shop(4)])
        return cursors(run.pipeline())

    assert {name: len(rows) for name, rows in same(program).items()} == {"orders": 4, "contacts": 4}


def test_a_pending_extraction_does_not_commit_the_cursors_of_a_later_one(run: Any) -> None:
    """The directory is lost once the first of them is loaded, which changed no cursor."""
    run.pipeline().run([shop(1), crm(1)])
    pipeline = run.pipeline()
    pipeline.sync_destination()
    pipeline.extract([{"id": 1}], table_name="notes", schema=pipeline.schemas["crm"])
    pipeline.extract([shop(2), crm(2)])
    pipeline.normalize()
    pipeline.destination = run.open(around_phase=end_at_the_second_load())
    with pytest.raises(PipelineStepFailed):
        pipeline.load()
    run.pipeline().run([shop(3), crm(3)])
    found = {name: len(rows) for name, rows in run.tables().items()}
    assert found == {"orders": 3, "contacts": 3, "notes": 1}


def test_a_load_does_not_read_the_packages_of_all_earlier_ones(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """dlt keeps them in the working directory."""
    reads = 0
    read = PackageStorage.load_pipeline_state

    def counted(*arguments: Any) -> Any:
        nonlocal reads
        reads += 1
        return read(*arguments)

    monkeypatch.setattr(PackageStorage, "load_pipeline_state", counted)
    pipeline = run.pipeline()
    counts = []
    for number in range(6):
        reads = 0
        pipeline.run([{"id": number}], table_name="notes")
        counts.append(reads)
    assert counts[-1] == counts[2]


@pytest.mark.parametrize("rejected", ["orders", "contacts"])
@pytest.mark.parametrize("is_new", [True, False], ids=["new directory", "same pipeline"])
def test_a_rejected_source_is_extracted_again_and_the_others_are_not(
    run: Any, rejected: str, is_new: bool
) -> None:
    is_rejecting = True

    def reject(staged: Any) -> Any:
        if is_rejecting and staged.name.endswith(f".{rejected}"):
            yield Finding("reject", staged.name, "is rejected")

    run.pipeline().run([shop(1), crm(1)])
    pipeline = run.pipeline()
    pipeline.destination = run.open(audits=[reject])
    with pytest.raises(PipelineStepFailed) as caught:
        pipeline.run([shop(2), crm(2)])
    assert isinstance(caught.value.exception, AuditFailed)
    is_rejecting = False
    pipeline = run.pipeline() if is_new else pipeline
    pipeline.run([shop(3), crm(3)])
    assert {name: len(rows) for name, rows in run.tables().items()} == {"orders": 3, "contacts": 3}


def test_a_run_that_ends_between_its_loads_is_continued_from_a_new_directory(run: Any) -> None:
    run.pipeline().run([shop(1), crm(1)])
    pipeline = run.pipeline()
    pipeline.destination = run.open(around_phase=end_at_the_second_load())
    with pytest.raises(PipelineStepFailed):
        pipeline.run([shop(2), crm(2)])
    run.pipeline().run([shop(3), crm(3)])
    assert {name: len(rows) for name, rows in run.tables().items()} == {"orders": 3, "contacts": 3}
