"""The cost of a load into a table that was loaded often: appends and merges of 100 rows each.

An `update` is a merge of rows of which half have the keys of rows anywhere in the table.
"""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, Row, at_most, ratio
from benchmarks.sides import DATASET, make_pipeline, open_catalog

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmarks.runner import Bench

Kind = Literal["append", "merge", "update"]

TABLE = "readings"
ROWS = 100
LOADS: dict[Kind, int] = {"append": 1_500, "merge": 300, "update": 300}
TITLES: dict[Kind, str] = {
    "append": f"append of {ROWS} rows",
    "merge": f"merge of {ROWS} rows",
    "update": f"merge of {ROWS} rows, half of them with keys all over the table",
}
ALL_LOADS = 2_000
_FEW = 3
_TENTH = 10
_MAINTAINED_AFTER = 100
_MOST_BYTES = 2_000_000
_FIRST_UPDATED = 30_000


def compare(bench: Bench) -> list[Row]:
    """Compare a load into a table that was often loaded with the third one into a new table."""
    rows = []
    for kind, loads in LOADS.items():
        names = {count: f"readings-{kind}-{count}" for count in (_FEW, loads)}
        for count, name in names.items():
            bench.prepare(name, load_often, kind=kind, loads=count - 1)
        few, many = (bench.measure(name, load_again, kind=kind) for name in names.values())
        growth = many.whole_seconds / few.whole_seconds
        target = at_most(1.3, growth, "whole run, relative to the third", ratio)
        title = f"{TITLES[kind]}, the {loads:,}th into one table"
        rows.append(Row(title, {FLOE: many, f"{FLOE}, the third": few}, [target]))
    return [*rows, _compare_maintained(bench)]


def _compare_maintained(bench: Bench) -> Row:
    """Compare the last load into a table that is maintained with the tenth."""
    measured = {}
    for count in (_TENTH, ALL_LOADS):
        name = f"readings-maintained-{count}"
        bench.prepare(name, load_often, kind="append", loads=count - 1, is_maintained=True)
        measured[count] = bench.measure(name, load_again, kind="append")
    last, tenth = measured[ALL_LOADS], measured[_TENTH]
    growth = last.whole_seconds / tenth.whole_seconds
    size = (last.extra or {})["metadata_bytes"]
    targets = [
        at_most(1.3, growth, "whole run, relative to the tenth", ratio),
        at_most(_MOST_BYTES, size, "bytes of metadata.json", lambda value: f"{value:,.0f}"),
    ]
    title = f"append of {ROWS} rows, the {ALL_LOADS:,}th into one maintained table"
    return Row(title, {FLOE: last, f"{FLOE}, the tenth": tenth}, targets)


def load_often(
    home: Path, cache: Path, kind: Kind, loads: int, *, is_maintained: bool = False
) -> None:
    """Load rows into a table so often, in snapshots like those of `load_again`.

    Updates are runs of a pipeline. Of the others only the first is, and the rest are the commits
    that such runs make. A table that is maintained is compacted and its snapshots expire after
    every hundred loads.
    """
    from floe_ingestion_defs.destinations import compact, expire
    from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import add_snapshot
    from floe_ingestion_defs.destinations.impl.iceberg.commits.retention import expire_in
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
        data_file_from_footer,
        data_path,
        write_data_file,
    )

    pipeline = make_pipeline("floe", home, TABLE)
    pipeline.run(_readings(0, kind))
    if kind == "update":
        for number in range(1, loads):
            pipeline.run(_readings(number, kind))
        return
    dataset = Dataset(open_catalog(home), DATASET)
    for number in range(1, loads):
        table = dataset.load_table(TABLE)
        if table is None:
            msg = f"{TABLE} was not loaded"
            raise AssertionError(msg)
        path = data_path(table.metadata, "rewritten")
        write_data_file(table.io, table.metadata, path, _rows(number).to_batches())
        with table.transaction() as transaction:
            added = [data_file_from_footer(table.metadata, table.io, path)]
            add_snapshot(transaction, added, summary={"dlt.load-id": str(number)})
            expire_in(transaction)
        if is_maintained and number % _MAINTAINED_AFTER == 0:
            compact(dataset, TABLE)
            expire(dataset, TABLE)


def load_again(home: Path, cache: Path, kind: Kind) -> Measurement:
    """Load further rows, by a pipeline."""
    measured = run(make_pipeline("floe", home, TABLE), _readings(10 * ALL_LOADS, kind))
    table = open_catalog(home).load_table((DATASET, TABLE))
    size = Path(table.metadata_location.removeprefix("file://")).stat().st_size
    return replace(measured, extra={"metadata_bytes": float(size)})


def _rows(number: int) -> Any:
    return _table(range(number * ROWS, (number + 1) * ROWS), number)


def _updated_rows(number: int) -> Any:
    if not number:
        return _table(range(_FIRST_UPDATED), number)
    ids = random.Random(number).sample(range(_FIRST_UPDATED), ROWS // 2)
    first_new = _FIRST_UPDATED + number * ROWS
    return _table([*ids, *range(first_new, first_new + ROWS // 2)], number)


def _table(ids: Iterable[int], number: int) -> Any:
    import pyarrow as pa

    column = pa.array(ids, pa.int64())
    return pa.table({"id": column, "value": [f"load {number}"] * len(column)})


def _readings(number: int, kind: Kind) -> Any:
    import dlt

    upsert = {"disposition": "merge", "strategy": "upsert"}
    disposition: Any = "append" if kind == "append" else upsert
    rows = _updated_rows(number) if kind == "update" else _rows(number)
    return dlt.resource([rows], name=TABLE, primary_key="id", write_disposition=disposition)


CASES = [Case("table-growth", compare)]
