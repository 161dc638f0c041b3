"""Many keys: 5 million of them merged into 100 million rows, and first loads of merge tables."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal

from benchmarks.case import Case
from benchmarks.measure import Measurement, run
from benchmarks.report import FLOE, MB, Row, at_most, megabytes, ratio
from benchmarks.sides import make_pipeline
from benchmarks.sources import expect_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pyarrow as pa

    from benchmarks.runner import Bench

TABLE = "events"
ROWS = 100_000_000
FILE_ROWS = 5_000_000
MANY_KEYS = 5_000_000
FEW_KEYS = 50_000
FIRST_ROWS = 12_000_000
BATCH_ROWS = 256 * 1024

KeyType = Literal["bigint", "text"]


def compare_merges(bench: Bench) -> list[Row]:
    """Compare the memory of a merge of many keys with that of few, if slow cases are included."""
    if not bench.with_slow:
        return []
    bench.prepare("events", load_events, rows=ROWS)
    many, few = (
        bench.measure("events", merge_events, 1, rows=ROWS, keys=keys)
        for keys in (MANY_KEYS, FEW_KEYS)
    )
    growth = many.peak_bytes / few.peak_bytes
    target = at_most(1.5, growth, f"peak memory, relative to {FEW_KEYS:,} keys", ratio)
    measured = {FLOE: many, f"{FLOE}, {FEW_KEYS:,} keys": few}
    return [Row("merge 5 M rows spread over 100 M", measured, [target])]


def load_events(home: Path, cache: Path, rows: int) -> None:
    """Load all rows in files of the same size."""
    os.environ["DATA_WRITER__FILE_MAX_ITEMS"] = str(FILE_ROWS)
    make_pipeline("floe", home, TABLE).run(_resource(events(range(0, 2 * rows, 2)), "replace"))


def merge_events(home: Path, cache: Path, rows: int, keys: int) -> Measurement:
    """Merge rows that are spread over the table, half of them with new keys."""
    # An odd step meets even keys, which the table has, and odd ones alternately.
    step = 2 * rows // keys - 1
    measured = run(
        make_pipeline("floe", home, TABLE),
        _resource(events(range(0, step * keys, step)), _UPSERT),
    )
    expect_rows(home, TABLE, rows + keys // 2)
    return measured


def compare_first_loads(bench: Bench) -> list[Row]:
    """Compare the first load of a merge table by a text key with that by a bigint key."""
    text, bigint = (
        bench.measure("first-merge", load_first, 1, key=key, rows=FIRST_ROWS)
        for key in ("text", "bigint")
    )
    growth = text.peak_bytes / bigint.peak_bytes
    targets = [
        at_most(1536 * MB, text.peak_bytes, "peak memory", megabytes),
        at_most(1.5, growth, "peak memory, relative to a bigint key", ratio),
    ]
    measured = {FLOE: text, f"{FLOE}, bigint key": bigint}
    return [Row("first load of 12 M rows of a merge table with a text key", measured, targets)]


def load_first(home: Path, cache: Path, key: KeyType, rows: int) -> Measurement:
    """Load all rows into a merge table that does not exist yet."""
    batches = events(range(rows), key)
    measured = run(make_pipeline("floe", home, TABLE), _resource(batches, _UPSERT))
    expect_rows(home, TABLE, rows)
    return measured


def events(ids: range, key: KeyType = "bigint") -> Iterator[pa.RecordBatch]:
    """Yield rows with the given keys, whose order is that of the numbers; text has 36 bytes."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    names = ["created", "paid", "sent", "returned"]
    for start in range(0, len(ids), BATCH_ROWS):
        own = ids[start : start + BATCH_ROWS]
        numbers = np.arange(own.start, own.stop, own.step)
        keys = pa.array(numbers)
        if key == "text":
            # In no order, as UUIDs are: an odd multiplier gives each number another one.
            mixed = pa.array(numbers.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15))
            keys = pc.utf8_lpad(mixed.cast(pa.string()), 36, "0")
        kinds = pa.DictionaryArray.from_arrays(pa.array(numbers % 4), names)
        yield pa.record_batch(
            {
                "id": keys,
                "kind": kinds.dictionary_decode(),
                "amount": pa.array(numbers % 9_973 / 100),
                "happened_at": pa.array(numbers * 1_000_000, pa.timestamp("us", "UTC")),
            }
        )


_UPSERT = {"disposition": "merge", "strategy": "upsert"}


def _resource(rows: Any, disposition: Any) -> Any:
    import dlt

    return dlt.resource(rows, name=TABLE, primary_key="id", write_disposition=disposition)


CASES = [Case("merge-100m", compare_merges), Case("first-merge", compare_first_loads)]
