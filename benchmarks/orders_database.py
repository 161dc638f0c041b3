"""A PostgreSQL server for the benchmarks, with TPC-H's `orders` as a shop would have them."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import tpch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.runner import Bench

TABLE = "orders"
FEW = "few_orders"
_COLUMNS = """
o_orderkey bigint PRIMARY KEY, o_custkey bigint NOT NULL, o_orderstatus char(1) NOT NULL,
o_totalprice numeric(15,2) NOT NULL, o_orderdate date NOT NULL, o_orderpriority char(15) NOT NULL,
o_clerk char(15) NOT NULL, o_shippriority integer NOT NULL, o_comment varchar(79) NOT NULL
"""


@contextmanager
def serving_orders(bench: Bench, scale: int) -> Iterator[str]:
    """Run a server during the block, and yield the URL of its database."""
    # The server of the tests, which is located and started in the same way.
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from servers.postgres import running_postgres

    logs = bench.root / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with running_postgres(logs) as server:
        database = server.new_database()
        url = server.url(database)
        server.execute(f"create table {TABLE} ({_COLUMNS})", database)
        bench.log(f"  filling {TABLE}")
        bench.call(fill, cache=bench.cache, url=url, scale=scale)
        server.execute(f"create table {FEW} as table {TABLE} limit 3", database)
        # Otherwise the server writes the rows' visibility to its pages when they are first read.
        server.execute(f"vacuum analyze {TABLE}", database)
        yield url


def fill(cache: Path, url: str, scale: int) -> None:
    """Copy all orders into the table."""
    import pyarrow as pa
    from adbc_driver_postgresql import dbapi

    path = tpch.generate(cache, TABLE, scale)
    batches = tpch.read(path)
    first = next(batches)

    def rows() -> Iterator[pa.RecordBatch]:
        yield first
        yield from batches

    reader = pa.RecordBatchReader.from_batches(first.schema, rows())
    with dbapi.connect(url) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(TABLE, reader, mode="append")
        connection.commit()
