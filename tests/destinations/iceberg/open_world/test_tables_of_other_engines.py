"""What another engine made of a table is found before a load to it is committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from floe_ingestion_defs.destinations import LoadRefused

if TYPE_CHECKING:
    from destinations.iceberg.conftest import Lake
    from servers.spark import Spark

ROWS = [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
INSERT = "INSERT INTO lake.t VALUES (1, 'spark', 's', 's1'), (7, 'seven', 's', 's2')"
MERGE: Any = {"table_name": "t", "primary_key": "id", "write_disposition": "merge"}
MERGED = [{"id": 1, "name": "c"}, {"id": 2, "name": "b"}, {"id": 7, "name": "seven"}]


def written_by_spark(lake: Lake, spark: Spark, *statements: str) -> None:
    lake.load(ROWS, table_name="t", primary_key="id", write_disposition="merge")
    spark.sql(lake.catalog, *statements)


def merge(lake: Lake) -> None:
    lake.load([{"id": 1, "name": "c"}], **MERGE)


def rejected(lake: Lake, disposition: str) -> str:
    """The error of a load, of which nothing remains in the log."""
    before = lake.table("_dlt_loads").scan().to_arrow().num_rows
    row = {"id": 1, "name": "c"}
    error = lake.rejected([row], table_name="t", primary_key="id", write_disposition=disposition)
    assert isinstance(error, LoadRefused)
    assert lake.table("_dlt_loads").scan().to_arrow().num_rows == before
    return str(error)


@pytest.mark.parametrize("disposition", ["append", "merge", "replace"])
def test_a_table_of_format_3_is_rejected(lake: Lake, spark: Spark, disposition: str) -> None:
    """pyiceberg 0.12 writes formats 1 and 2."""
    written_by_spark(lake, spark, "ALTER TABLE lake.t SET TBLPROPERTIES ('format-version' = '3')")
    assert "format version 3" in rejected(lake, disposition)


def test_orc_files_are_merged_with(lake: Lake, spark: Spark) -> None:
    orc = "ALTER TABLE lake.t SET TBLPROPERTIES ('write.format.default' = 'orc')"
    written_by_spark(lake, spark, orc, INSERT)
    merge(lake)
    assert sorted(lake.rows("t"), key=lambda row: row["id"]) == MERGED


def test_avro_files_are_appended_to_and_replaced_and_not_merged_with(
    lake: Lake, spark: Spark
) -> None:
    """pyiceberg cannot read them."""
    avro = "ALTER TABLE lake.t SET TBLPROPERTIES ('write.format.default' = 'avro')"
    written_by_spark(lake, spark, avro, INSERT)
    assert "AVRO" in rejected(lake, "merge")
    lake.load([{"id": 9, "name": "n"}], table_name="t")
    (rows,) = spark.sql(lake.catalog, "SELECT id FROM lake.t ORDER BY id")
    assert [row["id"] for row in rows] == [1, 1, 2, 7, 9]
    lake.load([{"id": 1, "name": "c"}], table_name="t", write_disposition="replace")
    assert lake.rows("t") == [{"id": 1, "name": "c"}]


def test_a_table_with_a_dropped_partition_source_can_be_appended_to(
    lake: Lake, spark: Spark
) -> None:
    """Iceberg Java drops a column that an earlier partition spec has."""
    written_by_spark(
        lake,
        spark,
        "ALTER TABLE lake.t ADD COLUMN region STRING",
        "ALTER TABLE lake.t ADD PARTITION FIELD region",
        "INSERT INTO lake.t VALUES (7, 'seven', 's', 's2', 'eu')",
        "ALTER TABLE lake.t DROP PARTITION FIELD region",
        "ALTER TABLE lake.t DROP COLUMN region",
    )
    assert "rewrite_data_files" in rejected(lake, "merge")
    lake.load([{"id": 9, "name": "n"}], table_name="t")
    assert lake.values("t", "id") == [1, 2, 7, 9]
    spark.sql(
        lake.catalog,
        "CALL system.rewrite_data_files(table => 'lake.t', options => map('rewrite-all', 'true'))",
    )
    merge(lake)
    assert lake.values("t", "name") == ["b", "c", "n", "seven"]


def test_a_column_that_spark_requires_is_required_of_a_load(lake: Lake, spark: Spark) -> None:
    """A file without its values would make the table unreadable for every reader."""
    lake.load([{"q": 1}], table_name="q")
    spark.sql(lake.catalog, "CREATE TABLE lake.t (id BIGINT, name STRING NOT NULL) USING iceberg")
    error = lake.rejected([{"id": 1}, {"id": 2}], table_name="t")
    assert "`name` is required, and 2 of 2 rows" in str(error)
    error = lake.rejected([{"id": 1, "name": "a"}, {"id": 2}], table_name="t")
    assert "1 of 2 rows" in str(error)
    lake.load([{"id": 1, "name": "a"}], table_name="t")
    assert spark.sql(lake.catalog, "SELECT id, name FROM lake.t") == [[{"id": 1, "name": "a"}]]


def test_a_merge_keeps_the_values_that_only_partitions_have(lake: Lake, spark: Spark) -> None:
    """As in a table that was migrated from Hive: its files lack the columns of its partitions."""
    lake.load([{"q": 1}], table_name="q")
    files = lake.folder / "hive"
    spark.sql(
        lake.catalog,
        "CREATE TABLE lake.t (id BIGINT, name STRING, region STRING, at DATE) USING iceberg "
        "PARTITIONED BY (region, at)",
        f"INSERT OVERWRITE DIRECTORY '{files}/region=eu/at=2026-01-02' USING parquet "
        "SELECT CAST(id AS BIGINT) AS id, 'old' AS name FROM VALUES (1), (2), (3) AS v(id)",
        f"CALL system.add_files(table => 'lake.t', source_table => '`parquet`.`{files}`')",
    )
    lake.load([{"id": 1, "name": "new", "region": "us"}], **MERGE)
    (rows,) = spark.sql(lake.catalog, "SELECT id, name, region, at FROM lake.t ORDER BY id")
    assert rows == [
        {"id": 1, "name": "new", "region": "us", "at": None},
        {"id": 2, "name": "old", "region": "eu", "at": "2026-01-02"},
        {"id": 3, "name": "old", "region": "eu", "at": "2026-01-02"},
    ]


def test_null_and_empty_lists_of_structs_survive_a_merge(lake: Lake, spark: Spark) -> None:
    """Even after the struct has another field, and with delete files beside the data file."""
    lake.load([{"q": 1}], table_name="q")
    spark.sql(
        lake.catalog,
        "CREATE TABLE lake.t (id BIGINT, name STRING, items ARRAY<STRUCT<a: BIGINT>>, "
        "tags MAP<STRING, STRUCT<a: BIGINT>>) USING iceberg "
        "TBLPROPERTIES ('format-version' = '2', 'write.delete.mode' = 'merge-on-read')",
        "INSERT INTO lake.t VALUES (1, 'a', NULL, NULL), (2, 'b', array(), map()), "
        "(3, 'c', array(named_struct('a', 5L), NULL), map('k', named_struct('a', 6L))), "
        "(4, 'd', NULL, NULL), (5, 'e', NULL, NULL)",
        "ALTER TABLE lake.t ADD COLUMN items.element.b STRING",
        "DELETE FROM lake.t WHERE id = 5",
    )
    lake.load([{"id": 4, "name": "new"}], **MERGE)
    (rows,) = spark.sql(lake.catalog, "SELECT id, items, tags FROM lake.t ORDER BY id")
    assert rows == [
        {"id": 1, "items": None, "tags": None},
        {"id": 2, "items": [], "tags": {}},
        {"id": 3, "items": [{"a": 5, "b": None}, None], "tags": {"k": [6]}},
        {"id": 4, "items": None, "tags": None},
    ]


def test_a_table_may_be_partitioned_and_sorted_by_fields_of_a_struct(
    lake: Lake, spark: Spark
) -> None:
    """Rows get the partition that Spark gives them; a column of the same name is another one."""
    lake.load([{"q": 1}], table_name="q")
    spark.sql(
        lake.catalog,
        "CREATE TABLE lake.t (id BIGINT, name STRING, place STRUCT<name: STRING, n: BIGINT>) "
        "USING iceberg PARTITIONED BY (place.name)",
        "ALTER TABLE lake.t WRITE ORDERED BY id, place.n DESC, name",
        "INSERT INTO lake.t SELECT id, 'old', named_struct('name', concat('p', id % 2), 'n', id) "
        "FROM range(6)",
    )
    place = pa.array([{"name": "p1", "n": 7}, None], pa.struct({"name": pa.string(), "n": "int64"}))
    lake.load(pa.table({"id": [2, 7], "name": ["new"] * 2, "place": place}), **MERGE)
    files, rows = spark.sql(
        lake.catalog,
        "SELECT partition.`place.name` AS part, sort_order_id, record_count FROM lake.t.files "
        "ORDER BY part, record_count",
        "SELECT id, name FROM lake.t WHERE place.name = 'p1' ORDER BY id",
    )
    assert [(file["part"], file["record_count"]) for file in files] == [
        (None, 1), ("p0", 2), ("p1", 1), ("p1", 3)
    ]  # fmt: skip
    assert not any(file["sort_order_id"] for file in files)
    expected = [(1, "old"), (2, "new"), (3, "old"), (5, "old")]
    assert [(row["id"], row["name"]) for row in rows] == expected
