"""Dates and timestamps outside of the years 1 to 9999 fail, become null, or are quarantined."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from servers.postgres import Postgres

from floe_ingestion_defs.dlt_plugin import IngestionError, LoadResult

Source = dict[str, Any]
Load = Callable[..., LoadResult]
Rows = Callable[[str], list[dict[str, Any]]]
VALUES = ("infinity", "-infinity", "0044-03-15 BC", "12024-01-01", None, "2024-01-01")


@pytest.fixture(scope="module")
def database_url(postgres: Postgres) -> str:
    """A database with a table that has each value in a column of each type."""
    url = postgres.url(postgres.new_database())
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        for kind in ("date", "timestamp", "timestamptz"):
            cursor.execute(f"CREATE TABLE {kind}s (id int, at {kind}, note text)")
            for number, value in enumerate(VALUES):
                cursor.execute(
                    f"INSERT INTO {kind}s VALUES (%s, %s, %s)", (number, value, f"row {number}")
                )
    connection.close()
    return url


@pytest.fixture(params=["dates", "timestamps", "timestamptzs"])
def events(request: pytest.FixtureRequest, database_url: str) -> Source:
    return {
        "name": "events",
        "source_type": "sql_database",
        "source_config": {"table_names": [request.param], "schema": "public", "backend": "adbc"},
        "credentials": database_url,
        "destination_table": "bronze.events",
    }


def test_by_default_they_fail_the_load_before_its_commit(
    events: Source, load: Load, tables: Callable[[], set[str]]
) -> None:
    with pytest.raises(IngestionError, match=r"4 rows of column `at` have a date or timestamp"):
        load(events)
    assert tables() == set()


def test_they_are_loaded_as_null_and_counted(events: Source, load: Load, rows: Rows) -> None:
    result = load({**events, "out_of_range_dates": "null"})
    (resource,) = result.resources.values()
    assert dict(resource.rejected.values_by_column) == {"at": 4}
    found = rows("bronze.events")
    assert [row["note"] for row in found] == [f"row {n}" for n in range(6)]
    assert [row["at"] is None for row in found] == [True] * 5 + [False]


@pytest.mark.parametrize("contract", ["evolve", "discard_row", "freeze"])
def test_their_rows_are_quarantined_and_counted(
    events: Source, load: Load, rows: Rows, contract: str
) -> None:
    quarantined = {**events, "out_of_range_dates": "quarantine", "schema_contract": contract}
    result = load({**quarantined, "columns": {"id": "bigint", "note": "text"} | _at(events)})
    (resource,) = result.resources.values()
    assert dict(resource.rejected.rows_by_reason) == {"column at is out of range": 4}
    assert [row["id"] for row in rows("bronze.events")] == [4, 5]
    stored = [json.loads(row["row"]) for row in rows("bronze.events__rejected")]
    assert sorted(row["id"] for row in stored) == [0, 1, 2, 3]
    assert any("12024-01-01" in row["at"] for row in stored)


def test_a_cursor_out_of_range_fails_by_its_name(events: Source, load: Load) -> None:
    for setting in ("fail", "null", "quarantine"):
        wrong = {**events, "cursor_field": "at", "out_of_range_dates": setting}
        with pytest.raises(IngestionError, match=r"4 rows .* column 'at', the cursor"):
            load({**wrong, "source_config": {**events["source_config"]}})


@pytest.mark.parametrize("kind", [pa.date32(), pa.date64(), pa.timestamp("ms"), pa.timestamp("s")])
def test_a_parquet_file_has_any_year(
    files: Source, landing: Path, load: Load, rows: Rows, kind: pa.DataType
) -> None:
    days = pa.array([0, 3_000_000, None], pa.int32()).cast(pa.date32())
    pq.write_table(pa.table({"id": [1, 2, 3], "at": days.cast(kind)}), landing / "a.parquet")
    options = {"bucket_url": str(landing), "format": "parquet", "file_glob": "*.parquet"}
    files = {**files, "source_config": options}
    with pytest.raises(IngestionError, match=r"1 rows of column `at` have a date or timestamp"):
        load(files)
    load({**files, "out_of_range_dates": "null"})
    assert [row["at"] is None for row in rows("bronze.items")] == [False, True, True]


def _at(source: Source) -> dict[str, Any]:
    (table,) = source["source_config"]["table_names"]
    kinds: dict[str, Any] = {
        "dates": "date",
        "timestamps": {"data_type": "timestamp", "timezone": False},
        "timestamptzs": "timestamp",
    }
    return {"at": kinds[table]}
