"""`dataset().ibis()` and `relation.to_ibis()` return what they return on `duckdb`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from servers.engines import python_packages

if TYPE_CHECKING:
    from pathlib import Path

# What `ibis-framework[duckdb]` needs besides the main environment's packages.
PACKAGES = (
    "ibis-framework==12.0.0",
    "atpublic==9.0.0",
    "parsy==2.2",
    "pyarrow-hotfix==0.7",
    "toolz==1.2.0",
)
PROGRAM = """
import sys
import dlt

destination = sys.argv[1]
if destination == "duckdb":
    destination = dlt.destinations.duckdb("oracle.duckdb")
pipeline = dlt.pipeline("shop", destination=destination, dataset_name="lake", pipelines_dir="dlt")
rows = [{"id": n, "kind": n % 2, "sizes": [n, n]} for n in range(5)]
pipeline.run(rows, table_name="parts")
backend = pipeline.dataset().ibis()
parts, sizes = (backend.table(name, database="lake") for name in ("parts", "parts__sizes"))
# In `duckdb`, dlt's own columns are NOT NULL.
print(parts.drop("_dlt_load_id", "_dlt_id").schema())
print(parts.filter(parts.id > 1).select("id").order_by("id").execute())
print(parts.group_by("kind").agg(total=parts.id.sum()).order_by("kind").execute())
print(parts.join(sizes, parts._dlt_id == sizes._dlt_parent_id).count().execute())
relation = pipeline.dataset()["parts"].select("id").to_ibis()
print(relation.id.max().execute())
"""


@pytest.mark.all_cases
def test_ibis_returns_the_same(tmp_path: Path) -> None:
    packages = {"PYTHONPATH": os.pathsep.join([str(python_packages("ibis", *PACKAGES)), *sys.path])}
    environment = {**os.environ, **packages, "RUNTIME__LOG_LEVEL": "ERROR"}
    printed = []
    for destination in ("duckdb", "iceberg"):
        folder = tmp_path / destination
        folder.mkdir()
        run = [sys.executable, "-c", PROGRAM, destination]
        printed.append(
            subprocess.run(
                run, cwd=folder, env=environment, check=True, capture_output=True, text=True
            ).stdout
        )
    assert printed[0] == printed[1]
    assert printed[0].endswith("10\n4\n")
