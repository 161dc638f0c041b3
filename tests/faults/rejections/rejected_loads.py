"""Runs that are rejected before their commit, in a working directory that is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed

from faults import boundaries
from faults.boundaries import wait_for
from faults.loads import Row, pipeline
from floe_ingestion_defs.destinations import Finding, StagedTable, iceberg
from floe_ingestion_defs.destinations.impl.iceberg.errors import AuditFailed, StateConflict

if TYPE_CHECKING:
    from collections.abc import Iterator


def no_negatives(staged: StagedTable) -> Iterator[Finding]:
    """An audit: ids below zero are bad data."""
    if staged.name.endswith(".events"):
        for batch in staged.batches(["id"]):
            if any(value < 0 for value in batch["id"].to_pylist()):
                yield Finding("no_negatives", staged.name, "negative ids")


def numbers(rows: list[int]) -> Any:
    """Rows after the cursor, which moves with every row."""

    @dlt.resource(name="events", write_disposition="append")
    def events(cursor: Any = dlt.sources.incremental("n", initial_value=0)) -> Iterator[list[Row]]:  # noqa: B008
        yield [{"n": i, "id": v} for i, v in enumerate(rows, 1) if i > cursor.last_value]

    return events


def fail_an_audit_and_run_again(namespace: str, folder: Path) -> tuple[bool, list[int]]:
    """One good run, one with a bad row, one after the source was repaired."""
    shop = pipeline(namespace, folder, destination=iceberg(audits=[no_negatives]))
    shop.run(numbers([1, 2]))
    with pytest.raises(PipelineStepFailed) as failed:
        shop.run(numbers([1, 2, -3]))
    assert isinstance(failed.value.exception, AuditFailed)
    pending = shop.has_pending_data
    shop.run(numbers([1, 2, 3, 4]))
    return pending, _ids(namespace)


def fail_an_audit_and_die(namespace: str, folder: Path, rows_before: list[int], name: str) -> None:
    """A good run, if there are rows for it, and one with a bad row that dies at a boundary."""
    shop = pipeline(namespace, folder, destination=iceberg(audits=[no_negatives]))
    if rows_before:
        shop.run(numbers(rows_before))
    boundaries.watch(boundaries.kill_when(name))
    shop.run(numbers([*rows_before, -1, 3]))


def run_mended(namespace: str, folder: Path) -> list[int]:
    """Run what is pending, which is rejected again, and then the source, corrected."""
    shop = pipeline(namespace, folder, destination=iceberg(audits=[no_negatives]))
    if shop.has_pending_data:
        with pytest.raises(PipelineStepFailed):
            shop.run()
    shop.run(numbers([1, 2, 3, 4]))
    return _ids(namespace)


def lose_a_race_and_run_again(namespace: str, folder: Path, gate: Path) -> tuple[bool, list[int]]:
    """Extracts, lets another run of the pipeline commit the same rows, and loads."""
    shop = pipeline(namespace, folder)
    shop.extract(numbers([1, 2, 3]))
    shop.normalize()
    Path(f"{gate}.reached").touch()
    wait_for(gate)
    with pytest.raises(PipelineStepFailed) as failed:
        shop.load()
    assert isinstance(failed.value.exception, StateConflict)
    pending = shop.has_pending_data
    shop.run(numbers([1, 2, 3, 4]))
    return pending, _ids(namespace)


def run_ahead(namespace: str, folder: Path) -> None:
    """A run of the pipeline that loads two rows."""
    pipeline(namespace, folder).run(numbers([1, 2]))


def _ids(namespace: str) -> list[int]:
    from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog

    rows = open_catalog().load_table((namespace, "events")).scan().to_arrow()
    return sorted(rows["id"].to_pylist())
