"""TPC-H data: generated once into a cache outside the tree, read as Arrow that dlt accepts."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import pyarrow as pa

# Rows of `orders` at scale 1, and of `lineitem` at scale 1: the specification's sizes.
ORDERS = 1_500_000
LINEITEMS = 6_001_215
BATCH_ROWS = 64 * 1024


def generate(cache: Path, table: str, scale: int = 1) -> Path:
    """Return the Parquet file of a table, which `tpchgen-cli` writes on first use."""
    folder = cache / f"tpch-{scale}"
    path = folder / f"{table}.parquet"
    if not path.exists():
        command = Path(sys.executable).with_name("tpchgen-cli")
        if not command.exists():
            msg = "tpchgen-cli is missing: pip install 'floe-ingestion-defs[bench]'"
            raise SystemExit(msg)
        partial = folder / "partial"
        subprocess.run(
            [command, "parquet", "-q", "-s", str(scale), "-T", table, "-o", partial, "--overwrite"],
            check=True,
        )
        shutil.move(partial / path.name, path)
        partial.rmdir()
    return path


def read(path: Path, batch_rows: int = BATCH_ROWS) -> Iterator[pa.RecordBatch]:
    """Yield a table's rows; dlt rejects the `string_view` that the generator writes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as parquet:
        schema = plain_schema(parquet.schema_arrow)
        # pyarrow buffers all requested row groups at once.
        for number in range(parquet.num_row_groups):
            for batch in parquet.iter_batches(batch_rows, row_groups=[number]):
                columns = [c.cast(f.type) for c, f in zip(batch.columns, schema, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)


def plain_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema with ordinary strings, and without the generator's field ids."""
    import pyarrow as pa

    return pa.schema(
        pa.field(f.name, pa.string() if pa.types.is_string_view(f.type) else f.type) for f in schema
    )


def changed_orders(path: Path, rows: int) -> Iterable[pa.RecordBatch]:
    """Yield orders to merge, spread evenly: half have existing keys, half have new ones.

    TPC-H uses 8 of every 32 keys, so an existing key plus 8 is a new one.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    step = ORDERS // (rows // 2)
    seen = 0
    for batch in read(path):
        picked = pa.array(range(-seen % step, batch.num_rows, step), pa.int64())
        seen += batch.num_rows
        present = batch.take(picked)
        status = present.schema.get_field_index("o_orderstatus")
        present = present.set_column(
            status, present.schema.field(status), pa.array(["X"] * present.num_rows)
        )
        key = present.schema.get_field_index("o_orderkey")
        new = present.set_column(
            key, present.schema.field(key), pc.add(present.column(key), pa.scalar(8, pa.int64()))
        )
        yield from (present, new)
