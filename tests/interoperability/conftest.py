"""The tables, written once per session, and the answers of each engine, asked once for all."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
import pytest
from pyiceberg.catalog import load_catalog
from servers.spark import Spark, SparkError
from servers.stack import sqlite_stack

from floe_ingestion_defs.branch import branch_namespace
from floe_ingestion_defs.destinations import (
    CompactionOptions,
    Dataset,
    compact,
    iceberg,
    open_catalog,
)
from interoperability.cases import CASES, CLONE, CLONED
from interoperability.engines import ENGINES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from interoperability.case import Case

Answers = dict[str, dict[str, Any]]
DATASET = "lake"


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory, spark: Spark) -> Iterator[dict[str, Any]]:
    """Write every table, and return where an engine finds each."""
    folder = tmp_path_factory.mktemp("interoperability")
    environment = {**sqlite_stack(folder).environment, "DLT_DATA_DIR": str(folder / "dlt")}
    with environ(environment):
        runs = itertools.count()

        def load(*resources: Any) -> None:
            pipeline = dlt.pipeline(
                "interoperability",
                destination=iceberg(),
                dataset_name=branch_namespace(DATASET),
                pipelines_dir=str(folder / "runs" / str(next(runs))),
            )
            pipeline.run(list(resources))

        rounds = itertools.zip_longest(
            *([make(name) for make in case.loads] for name, case in CASES.items())
        )
        for resources in rounds:
            load(*(resource for resource in resources if resource is not None))
        changed = {name: case for name, case in CASES.items() if case.last_load}
        spark_changes(spark, changed)
        load(*(case.last_load(name) for name, case in changed.items() if case.last_load))
        dataset = Dataset(open_catalog(), branch_namespace(DATASET))
        for name in (name for name, case in CASES.items() if case.compacts):
            compacted = compact(dataset, name, CompactionOptions(min_files=2, deleted_share=0.0))
            assert compacted.deletes_removed
        with environ({"FLOE_BRANCH": "pr_1"}):
            load(*(make(CLONED) for make in CLONE.loads))
            found = {"cloned": locate(branch_namespace(DATASET), CLONED)}
        # The last: of what Spark leaves, not every table can be loaded into again.
        spark_changes(spark, {name: case for name, case in CASES.items() if name not in changed})
        for name, case in CASES.items():
            for table in (joined(name, child) for child in case.rows):
                found[table] = locate(DATASET, table)
        yield found


def spark_changes(spark: Spark, cases: dict[str, Case]) -> None:
    for name, case in cases.items():
        if case.spark:
            statements = (text.replace("{}", f"{DATASET}.{name}") for text in case.spark)
            spark.sql(open_catalog(), *statements)


def joined(name: str, child: str) -> str:
    return f"{name}__{child}" if child else name


def locate(namespace: str, name: str) -> dict[str, Any]:
    catalog = open_catalog()
    identifier = Dataset(catalog, namespace).identifier(name)
    return {
        "catalog": dict(catalog.properties),
        "identifier": identifier,
        "metadata": catalog.load_table(identifier).metadata_location,
    }


@contextmanager
def environ(variables: dict[str, str]) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def answers(
    tables: dict[str, Any], spark: Spark, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Answers]:
    """Return what an engine read, per table: its rows, or the error that it ended with."""

    @cache
    def ask(engine: str) -> Answers:
        if engine.startswith("spark"):
            return ask_spark(spark, tables)
        paths = [*ENGINES[engine].packages(), Path(__file__).parents[1]]
        asked = subprocess.run(
            [sys.executable, "-m", "interoperability.read", ENGINES[engine].reader],
            cwd=tmp_path_factory.mktemp("engine"),
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), "TZ": "UTC"},
            input=json.dumps(tables),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        answers: Answers = json.loads(asked.stdout)
        return answers

    return ask


def ask_spark(spark: Spark, tables: dict[str, Any]) -> Answers:
    answers: Answers = {}
    for name, table in tables.items():
        catalog = load_catalog("floe", **table["catalog"])
        try:
            (rows,) = spark.sql(catalog, f"SELECT * FROM {'.'.join(table['identifier'])}")
            answers[name] = {"rows": rows}
        except SparkError as error:
            answers[name] = {"error": str(error)}
    return answers
