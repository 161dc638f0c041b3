"""Spark with Iceberg Java, as another engine that reads and writes this project's tables.

The fixture `spark` is one process, started on first use and shared by all tests of a session.
`Spark.sql` runs statements in it against the tables of an embedded (SQLite) catalog:

```python
def test_another_engine_makes_a_column_required(lake: Lake, spark: Spark) -> None:
    lake.load([{"id": 1}], table_name="orders")
    rows, _, snapshots = spark.sql(
        lake.catalog,
        "SELECT id FROM lake.orders",
        "ALTER TABLE lake.orders ALTER COLUMN id SET NOT NULL",
        "SELECT operation FROM lake.orders.snapshots",
    )
    assert rows == [{"id": 1}]
```

A table is `{namespace}.{table}`. Iceberg's procedures are in `system`, for example
`CALL system.rollback_to_snapshot('lake.orders', 123)`. A `DELETE` writes position deletes where the
table has the property `'write.delete.mode' = 'merge-on-read'`, and deletion vectors where it has
`'format-version' = '3'` as well.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers.engines import EngineMissing, debian_packages, python_packages, source_package

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog import Catalog

PYSPARK = "3.5.9"
# The jars of Iceberg 1.10.2 come with this package.
ICEBERG_JARS = "snowpark-connect-deps-iceberg==1.0.2"
SQLITE_JDBC = ("libxerial-sqlite-jdbc-java", "libxerial-sqlite-jdbc-jni")


class SparkError(Exception):
    """Spark rejected a statement; the message is Spark's own, with the statement after it."""


@dataclass
class Spark:
    """A running Spark, which takes one request at a time."""

    process: subprocess.Popen[str]
    log: Path

    def sql(self, catalog: Catalog, *statements: str) -> list[list[dict[str, Any]]]:
        """Run statements one after another and return the rows of each.

        Each call has a session of its own, and reads the tables as they are at that time.

        Args:
            catalog: An embedded catalog, as `open_catalog()` or `Lake.catalog` gives it.
            statements: Spark SQL, in which tables need no catalog's name.

        Returns:
            A list of rows per statement, empty for one that returns nothing. Values are those of
            JSON, in the form of `plain_values.plain`: timestamps and decimals are strings.

        Raises:
            SparkError: A statement failed; those before it are done.
        """
        answer = self._ask({"config": _catalog_config(catalog), "statements": statements})
        if "error" in answer:
            msg = f"{answer['error']}\n{answer['statement']}"
            raise SparkError(msg)
        results: list[list[dict[str, Any]]] = answer["results"]
        return results

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin
        assert self.process.stdout
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise SparkError("Spark has ended:\n" + self.log.read_text(errors="replace")[-4000:])
        answer: dict[str, Any] = json.loads(line)
        return answer


def _catalog_config(catalog: Catalog) -> dict[str, str]:
    properties = catalog.properties
    name = f"spark.sql.catalog.{catalog.name}"
    return {
        name: "org.apache.iceberg.spark.SparkCatalog",
        f"{name}.type": "jdbc",
        f"{name}.uri": f"jdbc:sqlite:{properties['uri'].removeprefix('sqlite:///')}",
        # It looks for its tables by a query that it never closes, which keeps SQLite's file locked.
        f"{name}.jdbc.init-catalog-tables": "false",
        f"{name}.warehouse": properties["warehouse"],
        # Another writer's commits are seen at once.
        f"{name}.cache-enabled": "false",
        "spark.sql.defaultCatalog": catalog.name,
    }


# What the better compiler gains takes longer to gain than a test lasts.
QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"


@contextmanager
def running_spark(
    folder: Path, memory: str = "1g", java_options: str = QUICK_START
) -> Iterator[Spark]:
    """Run Spark for as long as the block lasts; what it writes besides tables goes to the folder.

    Args:
        folder: The folder.
        memory: The most memory of Java's heap.
        java_options: Options of the JVM.

    Raises:
        EngineMissing: There is no Java.
    """
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        msg = (
            "Spark needs a Java on the path; `make java` installs Debian's openjdk-17-jre-headless"
        )
        raise EngineMissing(msg)
    spark = source_package("pyspark", f"pyspark=={PYSPARK}")
    (iceberg,) = python_packages("iceberg-java", ICEBERG_JARS).rglob(
        "iceberg-spark-runtime-3.5_2.12-*.jar"
    )
    sqlite = debian_packages("sqlite-jdbc", *SQLITE_JDBC)
    (native,) = sqlite.rglob("libsqlitejdbc.so")
    config = {
        "spark.master": "local[2]",
        "spark.ui.enabled": "false",
        "spark.driver.memory": memory,
        "spark.driver.extraClassPath": f"{iceberg}:{sqlite}/usr/share/java/sqlite-jdbc.jar",
        "spark.driver.extraJavaOptions": f"{java_options} -Dorg.sqlite.lib.path={native.parent}",
        "spark.sql.extensions": (
            "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions"
        ),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "2",
        "spark.sql.warehouse.dir": str(folder / "warehouse"),
        "spark.local.dir": str(folder),
    }
    (py4j,) = (spark / "lib").glob("py4j-*.zip")
    environment = {
        **os.environ,
        "SPARK_HOME": str(spark / "deps"),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join(map(str, (spark, py4j, Path(__file__).parents[1]))),
        "PYSPARK_PYTHON": sys.executable,
        "TZ": "UTC",
    }
    log = folder / "spark.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "servers.spark_driver", json.dumps(config)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            cwd=folder,
            env=environment,
        )
    try:
        yield Spark(process, log)
    finally:
        # The JVM ends with the program that started it, which ends with its input.
        try:
            process.communicate(timeout=60)
        finally:
            process.kill()
