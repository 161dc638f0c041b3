"""Loads a whole source, by this project's plugin or by stock dlt, after a small load of its type.

The small load imports what each side imports during a load, so that measurements exclude it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmarks.measure import Stopwatch, run
from benchmarks.memory import peak_bytes
from benchmarks.sides import DATASET, catalog_properties, hints, make_pipeline, row_count

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from benchmarks.measure import Measurement

# Phases of a load that stock dlt does not distinguish; together they are its load step.
LOAD_STEP = ("stage", "audit", "commit", "publish")


def load_with_plugin(
    home: Path, table: str, source: dict[str, Any], small: Any, rows: int
) -> Measurement:
    """Load a source of this project's configuration into `table`.

    Args:
        home: The catalog.
        table: Name of the table.
        source: The source, all but its name and its table.
        small: The `source_config` of a small source of the same type.
        rows: Rows that the table must have afterwards.

    Raises:
        AssertionError: The table has another number of rows.
    """
    _load(home / "small", table, {**source, "source_config": small})
    watch = Stopwatch()
    phases = _load(home, table, source)
    load_seconds = sum(phases.get(phase, 0) for phase in LOAD_STEP)
    measured = watch.stop(load_seconds, rows=rows, peak_bytes=peak_bytes())
    expect_rows(home, table, rows)
    return measured


def _load(home: Path, table: str, source: dict[str, Any]) -> dict[str, float]:
    from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

    (home / "warehouse").mkdir(parents=True, exist_ok=True)
    named = {**source, "name": table, "destination_table": f"{DATASET}.{table}"}
    catalog = {"catalog_name": "bench", **catalog_properties(home)}
    plugin = DltIngestionPlugin({"sources": [named], "catalog_config": catalog})
    plugin.startup()
    return plugin.load(plugin.create_pipeline(plugin.source(table))).phase_seconds


def load_with_stock(
    home: Path, table: str, resource: Callable[[Any], Any], whole: Any, small: Any, rows: int
) -> Measurement:
    """Load a resource of dlt into `table`.

    Args:
        home: The catalog.
        table: Name of the table.
        resource: Returns the resource that reads a given input.
        whole: Input to measure.
        small: Small input of the same type, which is read first.
        rows: Rows that the table must have afterwards.

    Raises:
        AssertionError: The table has another number of rows.
    """

    def load(place: Path, what: Any) -> Measurement:
        made = resource(what)
        made.apply_hints(table_name=table, write_disposition="append", **hints("stock"))
        return run(make_pipeline("stock", place, table), made)

    load(home / "small", small)
    measured = replace(load(home, whole), rows=rows)
    expect_rows(home, table, rows)
    return measured


def expect_rows(home: Path, table: str, rows: int) -> None:
    """Raise AssertionError if a table does not have that number of rows."""
    if (found := row_count(home, table)) != rows:
        msg = f"{found} rows in {table}, of {rows}"
        raise AssertionError(msg)
