"""Audits of the caller's own: they read a load's rows before anyone else can."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from floe_ingestion_defs.destinations import Finding, StagedTable
from floe_ingestion_defs.dlt_plugin import (
    DestinationWriteError,
    DltIngestionPlugin,
    ErrorCategory,
    IngestionSourceConfig,
    categorize_error,
)

Rows = Callable[[str], list[dict[str, Any]]]


def reject_fives(staged: StagedTable) -> Iterator[Finding]:
    if staged.name == "bronze.items":
        fives = sum(batch.column(0).to_pylist().count(5) for batch in staged.batches(["id"]))
        if fives:
            yield Finding("no_fives", staged.name, f"{fives} rows are five.", column="id")


def test_rows_that_an_audit_rejects_are_not_published_and_are_loaded_later(
    files: dict[str, Any], landing: Path, rows: Rows
) -> None:
    """The table and the cursor stay as they were, so the next load brings the rows again."""
    source = IngestionSourceConfig.model_validate(files)
    plugin = DltIngestionPlugin()
    (landing / "a.csv").write_text("id\n1\n2\n")
    plugin.load(plugin.create_pipeline(source, audits=[reject_fives]))
    (landing / "b.csv").write_text("id\n5\n")

    pipeline = plugin.create_pipeline(source, audits=[reject_fives])
    with pytest.raises(DestinationWriteError, match="1 rows are five") as failed:
        plugin.load(pipeline)

    assert categorize_error(failed.value) is ErrorCategory.PERMANENT
    assert rows("bronze.items") == [{"id": 1}, {"id": 2}]
    assert plugin.load(plugin.create_pipeline(source)).rows_loaded == 1
    assert rows("bronze.items") == [{"id": 1}, {"id": 2}, {"id": 5}]


def test_an_audit_applies_to_every_load_of_a_pipeline(files: dict[str, Any], landing: Path) -> None:
    """A window makes the pipeline again, and must not lose the audits on the way."""
    source = IngestionSourceConfig.model_validate(files)
    plugin = DltIngestionPlugin()
    (landing / "a.csv").write_text("id\n5\n")

    pipeline = plugin.create_pipeline(source, audits=[reject_fives])

    with pytest.raises(DestinationWriteError, match="no_fives"):
        plugin.load(pipeline, limit=10)
