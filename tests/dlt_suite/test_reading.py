"""Queries return what they return on dlt's own DuckDB destination."""

from __future__ import annotations

import gc
from typing import Any

import dlt
import pytest
from dlt.common.destination.exceptions import DestinationUndefinedEntity
from dlt.common.libs.pyiceberg import get_iceberg_tables
from dlt.destinations.exceptions import DatabaseException

from floe_ingestion_defs.destinations.impl.iceberg.client import IcebergClient

T = [{"a": i, "b": f"b{i}", "c": i * 10, "d": None} for i in range(4)]
U = [{"a": i, "e": i * 100} for i in range(1, 5)]

VALUES = """
SELECT a FROM t AS q(c, a) ORDER BY 1
SELECT a FROM t AS q(c, a, x, y) WHERE c IS NULL ORDER BY 1
SELECT x, y FROM lake.t AS q(w, x, y) ORDER BY 1
SELECT #3 FROM t ORDER BY 1
SELECT a, #2 FROM t ORDER BY #2
SELECT #1, #2 FROM (SELECT c, a FROM t) ORDER BY 1
SELECT A, C FROM T ORDER BY 1
SELECT "A" FROM "T" ORDER BY 1
SELECT LAKE.T.a FROM LAKE.T ORDER BY 1
SELECT (T).c FROM t ORDER BY 1
SELECT struct_extract(T, 'c') FROM t ORDER BY 1
SELECT count(*) FROM t
SELECT t.a FROM t JOIN u USING (a) ORDER BY 1
SELECT (SELECT max(e) FROM u WHERE u.a = t.a) FROM t ORDER BY 1
SELECT COLUMNS('^(a|c)$') FROM t ORDER BY 1
WITH q(x) AS (SELECT c FROM t) SELECT x FROM q ORDER BY 1
SELECT sum(c) OVER (ORDER BY a) FROM t ORDER BY 1
SELECT a FROM t; SELECT c FROM t ORDER BY 1
SELECT table_name FROM information_schema.tables WHERE table_schema = 'lake' ORDER BY 1
SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 't' ORDER BY 1
DESCRIBE SELECT a, b FROM t
SHOW TABLES
show tables;
SELECT column_name FROM (DESCRIBE t) ORDER BY 1
SELECT column_name, max FROM (SUMMARIZE SELECT a, b FROM t) ORDER BY 1
FROM t SELECT a ORDER BY a
SELECT FROM WHERE
SELECT a FROM missing
SELECT missing FROM t
""".strip().splitlines()


def pipeline_with_tables(run: Any) -> dlt.Pipeline:
    pipeline: dlt.Pipeline = run.pipeline()
    columns: Any = {"d": {"data_type": "text"}}
    pipeline.run([dlt.resource(T, name="t", columns=columns), dlt.resource(U, name="u")])
    return pipeline


def answer(pipeline: dlt.Pipeline, query: str) -> Any:
    with pipeline.sql_client() as client:
        try:
            with client.execute_query(query) as cursor:
                return [tuple(row) for row in cursor.fetchall()]
        except DatabaseException as error:
            return type(error)


def test_queries_return_the_same_values(same: Any) -> None:
    def program(run: Any) -> Any:
        pipeline = pipeline_with_tables(run)
        return {query: answer(pipeline, query) for query in VALUES}

    same(program)


def test_a_query_with_parameters_reads_the_columns_that_it_names(same: Any) -> None:
    def program(run: Any) -> Any:
        with pipeline_with_tables(run).sql_client() as client:
            return client.execute_sql("SELECT c FROM t WHERE a > %s AND b <> %s", 1, "b3")

    same(program)


def test_a_detached_connection_has_all_tables_and_outlives_its_client(run: Any) -> None:
    """ibis gets it: `dataset().ibis()`."""
    with pipeline_with_tables(run).destination_client() as client:
        assert isinstance(client, IcebergClient)
        connection = client.sql_client.detach_connection()
    del client
    gc.collect()
    query = "SELECT t.b, lake.u.e FROM t JOIN lake.u USING (a) WHERE a > 2"
    assert connection.sql(query).fetchall() == [("b3", 300)]


def test_tables_are_open_to_pyiceberg(run: Any) -> None:
    pipeline = pipeline_with_tables(run)
    tables = get_iceberg_tables(pipeline)
    assert {name: table.scan().to_arrow().num_rows for name, table in tables.items()} == {
        "t": 4,
        "u": 4,
    }
    with pipeline.destination_client() as client, pytest.raises(DestinationUndefinedEntity):
        client.load_open_table("iceberg", "missing")  # type: ignore[attr-defined]
