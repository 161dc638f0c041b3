"""Several readers of one PostgreSQL table: one snapshot of it, one load."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import sqlalchemy as sa
from dlt.sources.sql_database.schema_types import table_to_columns

from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.errors.exceptions import SourceReadError
from floe_ingestion_defs.dlt_plugin.sources.sql import parallel

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

Execute = Callable[[str], None]
ROWS = 3000


@pytest.fixture(autouse=True)
def _small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel.ParallelTableLoader, "pages_per_range", 4)


@pytest.fixture
def orders(execute: Execute) -> None:
    """Some 40 pages, so ten ranges."""
    execute("CREATE TABLE orders (id int PRIMARY KEY, note text, amount numeric)")
    execute(
        f"INSERT INTO orders SELECT i, repeat('x', 70), i / 4.0 FROM generate_series(1, {ROWS}) i"
    )


def source(database_url: str, table: str = "orders", **options: Any) -> dict[str, Any]:
    return {
        "name": "shop",
        "source_type": "sql_database",
        "source_config": {"table_names": [table], "readers": 3, **options},
        "credentials": database_url,
        "destination_table": "bronze.orders",
    }


def read(database_url: str, readers: int = 2) -> Generator[pa.Table, None, None]:
    """Yield the rows of the table as the loader reads them."""
    engine = sa.create_engine(database_url.replace("postgresql", "postgresql+psycopg2"))
    table = sa.Table("orders", sa.MetaData(), autoload_with=engine)
    loader = parallel.reading_with(readers, "orders")
    columns: Any = table_to_columns(table, "full")
    yield from loader(engine, "pyarrow", table, columns).load_rows()
    engine.dispose()


@pytest.mark.usefixtures("orders")
def test_rows_are_those_of_the_beginning_whatever_is_written_meanwhile(
    execute: Execute, database_url: str
) -> None:
    """An update moves rows to pages at the end, which other readers have yet to reach."""
    tables = read(database_url)
    found = [next(tables)]
    execute("UPDATE orders SET amount = 0, note = repeat('y', 200)")
    execute("DELETE FROM orders WHERE id % 3 = 0")
    execute("INSERT INTO orders SELECT i, 'new', 1 FROM generate_series(5001, 9000) i")
    found += tables
    assert len(found) >= 10
    rows = pa.concat_tables(found).sort_by("id")
    assert rows["id"].to_pylist() == list(range(1, ROWS + 1))
    assert [float(value) for value in rows["amount"].to_pylist()] == [
        each / 4 for each in range(1, ROWS + 1)
    ]


@pytest.mark.usefixtures("orders")
def test_readers_end_with_the_load_that_is_given_up(database_url: str) -> None:
    """A limited number of batches waits to be taken, so what is read is not held in memory."""
    tables = read(database_url)
    next(tables)
    assert any(thread.name.startswith("floe-reader") for thread in threading.enumerate())
    tables.close()
    assert not any(thread.name.startswith("floe-reader") for thread in threading.enumerate())


@pytest.mark.usefixtures("orders")
def test_the_error_of_one_reader_ends_the_load(execute: Execute, database_url: str) -> None:
    execute(f"UPDATE orders SET amount = 'NaN' WHERE id = {ROWS}")
    with pytest.raises(SourceReadError, match="unbounded_numeric to text"):
        list(read(database_url))


@pytest.mark.usefixtures("orders")
@pytest.mark.parametrize("relation", ["orders", "rich", "months", "parents", "copied"])
def test_each_kind_of_relation_is_loaded_once_in_one_snapshot(
    execute: Execute,
    database_url: str,
    load: Callable[..., Any],
    relation: str,
) -> None:
    """Views have no pages, and each partition has its own; both are read with every row once."""
    execute("CREATE VIEW rich AS SELECT * FROM orders")
    execute("CREATE MATERIALIZED VIEW copied AS SELECT * FROM orders")
    execute("CREATE TABLE months (LIKE orders) PARTITION BY RANGE (id)")
    execute("CREATE TABLE first PARTITION OF months FOR VALUES FROM (0) TO (300)")
    execute("CREATE TABLE second PARTITION OF months FOR VALUES FROM (300) TO (9000)")
    execute("INSERT INTO months SELECT * FROM orders")
    execute("CREATE TABLE parents (LIKE orders); CREATE TABLE child () INHERITS (parents)")
    execute("INSERT INTO child SELECT * FROM orders")
    load(source(database_url, relation))
    table = open_catalog().load_table("bronze.orders")
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == list(range(1, ROWS + 1))
    assert len(table.snapshots()) == 1


@pytest.mark.usefixtures("orders")
def test_only_a_load_of_all_rows_is_divided(
    execute: Execute,
    database_url: str,
    load: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An incremental load reads few rows, by an index; several readers would scan the table."""
    divided: list[int] = []
    ranges = parallel.ParallelTableLoader.read_ranges

    def recorded(self: Any, snapshot: str, pages: int, kwargs: Any) -> Iterator[pa.Table]:
        divided.append(pages)
        return ranges(self, snapshot, pages, kwargs)

    monkeypatch.setattr(parallel.ParallelTableLoader, "read_ranges", recorded)
    incremental = source(database_url) | {"cursor_field": "id", "write_mode": "merge"}
    load(incremental)
    assert len(divided) == 1
    execute(f"INSERT INTO orders VALUES ({ROWS + 1}, 'new', 1)")
    load(incremental)
    assert len(divided) == 1
    assert open_catalog().load_table("bronze.orders").scan().count() == ROWS + 1


def test_several_readers_need_postgresql(
    load: Callable[..., Any], database_url: str, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE orders (id integer)")
    with pytest.raises(PipelineConfigurationError, match="readers is 3, but backend 'pyarrow'"):
        load(source(database_url, backend="pyarrow"))
    with pytest.raises(PipelineConfigurationError, match="readers is 3, which requires Postgre"):
        load(source(f"sqlite:///{tmp_path}/shop.db"))
