"""The program that Spark's process runs: statements on standard input, rows on standard output.

A line is a request as JSON, and a line is its answer. Spark's own output goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Any

from pyspark.sql import SparkSession
from pyspark.sql.types import Row, TimestampType

from servers.plain_values import plain


def main() -> None:
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    builder = SparkSession.builder
    for name, value in json.loads(sys.argv[1]).items():
        builder = builder.config(name, value)
    spark = builder.getOrCreate()
    for line in sys.stdin:
        answer = run(spark, json.loads(line))
        print(json.dumps(answer), file=answers, flush=True)


def run(spark: SparkSession, request: dict[str, Any]) -> dict[str, Any]:
    # A session of its own per request: two catalogs may have one name, and each keeps its tables.
    session = spark.newSession()
    for name, value in request["config"].items():
        session.conf.set(name, value)
    results = []
    try:
        for statement in request["statements"]:
            results.append(rows(session, statement))
    # Errors of Java's, and of values that Python cannot hold, all go to the caller.
    except Exception as error:
        return {
            "results": results,
            "error": f"{type(error).__name__}: {error}",
            "statement": statement,
        }
    finally:
        close_catalog(session, request["config"]["spark.sql.defaultCatalog"])
    return {"results": results}


def close_catalog(session: SparkSession, name: str) -> None:
    # Its connection would keep a read lock on SQLite's file, and every other writer would fail.
    java = session._jsparkSession  # noqa: SLF001 - catalogs are closed in Java only
    catalog = java.sessionState().catalogManager().catalog(name)
    catalog.icebergCatalog().close()


def rows(session: SparkSession, statement: str) -> list[dict[str, Any]]:
    frame = session.sql(statement)
    zoned = {f.name for f in frame.schema.fields if isinstance(f.dataType, TimestampType)}
    return [
        {name: form(value, name in zoned) for name, value in row.asDict().items()}
        for row in frame.collect()
    ]


def form(value: Any, zoned: bool = False) -> Any:
    if isinstance(value, Row):
        return {name: form(v) for name, v in value.asDict().items()}
    if isinstance(value, list):
        return [form(v) for v in value]
    # Spark's timestamps come without their time zone, in the one of this process, which is UTC.
    return plain(value.replace(tzinfo=UTC) if zoned and isinstance(value, datetime) else value)


main()
