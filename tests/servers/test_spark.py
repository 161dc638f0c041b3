"""Spark writes into the tables of an embedded catalog, for tests of tables with other writers."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from servers.engines import EngineMissing
from servers.spark import Spark, SparkError, running_spark
from servers.stack import sqlite_stack

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyiceberg.catalog import Catalog


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = sqlite_stack(tmp_path).catalog()
    catalog.create_namespace("lake")
    yield catalog
    catalog.close()


def test_spark_and_pyiceberg_write_one_table_in_turn(spark: Spark, catalog: Catalog) -> None:
    """Each sees the other's commits at once, and neither holds a lock between its own."""
    spark.sql(
        catalog,
        "CREATE TABLE lake.orders (id BIGINT NOT NULL, at TIMESTAMP) USING iceberg "
        "TBLPROPERTIES ('write.delete.mode' = 'merge-on-read')",
        "INSERT INTO lake.orders VALUES (1, TIMESTAMP '2026-01-02 03:04:05'), (2, NULL), (3, NULL)",
        "DELETE FROM lake.orders WHERE id = 2",
    )
    table = catalog.load_table("lake.orders")
    assert table.schema().find_field("id").required
    assert sorted(table.scan().to_arrow()["id"].to_pylist()) == [1, 3]
    table.append(table.scan(row_filter="id = 3").to_arrow())

    before = table.metadata.snapshots[0].snapshot_id
    rows, files, _, rolled_back = spark.sql(
        catalog,
        "SELECT * FROM lake.orders ORDER BY id, at",
        "SELECT content FROM lake.orders.files WHERE content = 1",
        f"CALL system.rollback_to_snapshot('lake.orders', {before})",
        "SELECT count(*) AS n FROM lake.orders",
    )
    first = {"id": 1, "at": "2026-01-02T03:04:05+00:00"}
    assert rows == [first, {"id": 3, "at": None}, {"id": 3, "at": None}]
    assert files == [{"content": 1}]
    assert rolled_back == [{"n": 3}]
    assert catalog.load_table("lake.orders").scan().to_arrow().num_rows == 3


def test_spark_compacts_and_replaces_tables_and_writes_deletion_vectors(
    spark: Spark, catalog: Catalog
) -> None:
    """Iceberg's procedures and format version 3 are there."""
    spark.sql(
        catalog,
        "CREATE TABLE lake.orders USING iceberg TBLPROPERTIES ('format-version' = '3', "
        "'write.delete.mode' = 'merge-on-read') AS SELECT id FROM range(10)",
        "INSERT INTO lake.orders SELECT id + 10 FROM range(10)",
        "DELETE FROM lake.orders WHERE id % 4 = 0",
    )
    compact = "CALL system.rewrite_data_files(table => '{}', options => map('rewrite-all', 'true'))"
    deletes, _, files, rows = spark.sql(
        catalog,
        "SELECT file_format FROM lake.orders.delete_files",
        compact.format("lake.orders"),
        "SELECT count(*) AS n FROM lake.orders.data_files",
        "SELECT count(*) AS n FROM lake.orders",
    )
    assert {file["file_format"] for file in deletes} == {"PUFFIN"}
    assert files == [{"n": 1}]
    assert rows == [{"n": 15}]

    spark.sql(catalog, "CREATE OR REPLACE TABLE lake.orders USING iceberg AS SELECT 'x' AS v")
    assert catalog.load_table("lake.orders").schema().column_names == ["v"]


def test_a_rejected_statement_raises_what_spark_says(spark: Spark, catalog: Catalog) -> None:
    """The statements before it are done, and the next call finds Spark as it was."""
    with pytest.raises(SparkError, match=r"(?s)TABLE_OR_VIEW_NOT_FOUND.*FROM lake.unknown"):
        spark.sql(
            catalog,
            "CREATE TABLE lake.orders (id BIGINT) USING iceberg",
            "SELECT * FROM lake.unknown",
        )
    assert spark.sql(catalog, "SELECT * FROM lake.orders") == [[]]


def test_without_java_the_error_names_the_target_of_make(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A test that needs Spark fails instead of being skipped."""
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(EngineMissing, match="make java"), running_spark(tmp_path):
        pass
