"""Real tables in an embedded catalog of each test's own, and dlt's SQL destination beside it."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dlt
import duckdb
import pytest
from dlt.common.destination.exceptions import DestinationException
from dlt.pipeline.exceptions import PipelineStepFailed
from servers.stack import rest_stack

from floe_ingestion_defs.destinations import iceberg
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.changes import merge_mode
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from dlt.common.pipeline import LoadInfo
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

Row = dict[str, Any]


@dataclass
class Lake:
    """A dataset that pipelines load into, each run in a working directory of its own."""

    folder: Path
    dataset: str = "lake"
    runs: Iterator[int] = field(default_factory=itertools.count)

    def pipeline(self, name: str = "shop", destination: Any = None, **options: Any) -> dlt.Pipeline:
        """A pipeline with a fresh working directory: it knows nothing but what Iceberg does."""
        return dlt.pipeline(
            name,
            destination=destination or iceberg(**options),
            dataset_name=self.dataset,
            pipelines_dir=str(self.folder / "runs" / str(next(self.runs))),
        )

    def load(
        self, data: Any, *, pipeline: str = "shop", options: Row | None = None, **arguments: Any
    ) -> LoadInfo:
        """Runs a pipeline; `options` are the destination's, the rest is dlt's `run`."""
        return self.pipeline(pipeline, **(options or {})).run(data, **arguments)

    def rejected(self, data: Any, **arguments: Any) -> Exception:
        """What the destination raised when it rejected a load."""
        with pytest.raises(PipelineStepFailed) as caught:
            self.load(data, **arguments)
        error: BaseException = caught.value
        while error.__cause__ is not None and not isinstance(error, DestinationException):
            error = error.__cause__
        assert isinstance(error, Exception)
        return error

    @property
    def catalog(self) -> Catalog:
        return open_catalog()

    def table(self, name: str) -> Table:
        dataset = Dataset(self.catalog, self.dataset)
        return dataset.catalog.load_table(dataset.identifier(name))

    def tables(self) -> set[str]:
        """The tables of the dataset that are not dlt's own."""
        names = {identifier[-1] for identifier in self.catalog.list_tables(self.dataset)}
        return {name for name in names if not name.lstrip("_").startswith("dlt_")}

    def arrow(self, name: str) -> pa.Table:
        return self.table(name).scan().to_arrow()

    def rows(self, name: str, *columns: str) -> list[Row]:
        """The rows of a table in order, dlt's own columns left out unless they are asked for."""
        rows = self.arrow(name).to_pylist()
        wanted = [
            {c: v for c, v in row.items() if (c in columns if columns else c[:5] != "_dlt_")}
            for row in rows
        ]
        return sorted(wanted, key=canonical)

    def values(self, name: str, column: str) -> list[Any]:
        """One column's values, in order."""
        return sorted(self.arrow(name)[column].to_pylist(), key=lambda v: (v is None, v))

    def snapshots(self, name: str) -> int:
        return len(self.table(name).metadata.snapshots)


@dataclass
class SqlLake(Lake):
    """The same dataset in DuckDB, by dlt's own SQL destination."""

    def pipeline(self, name: str = "shop", destination: Any = None, **options: Any) -> dlt.Pipeline:
        database = dlt.destinations.duckdb(str(self.folder / "oracle.duckdb"))
        return super().pipeline(name, destination or database)

    def tables(self) -> set[str]:
        with duckdb.connect(str(self.folder / "oracle.duckdb")) as connection:
            found = connection.execute(
                "select table_name from information_schema.tables where table_schema = ?",
                [self.dataset],
            ).fetchall()
        return {name for (name,) in found if not name.startswith("_dlt")}

    def arrow(self, name: str) -> pa.Table:
        with duckdb.connect(str(self.folder / "oracle.duckdb")) as connection:
            return connection.sql(f'select * from "{self.dataset}"."{name}"').to_arrow_table()


def canonical(value: Any) -> str:
    """A value in a form that two destinations agree on, whatever they call its type."""

    def plain(value: Any) -> str:
        if isinstance(value, datetime) and value.tzinfo:
            return value.astimezone(UTC).isoformat()
        return str(value)

    return json.dumps(value, default=plain, sort_keys=True)


def trees(lake: Lake, root: str) -> list[str]:
    """The rows of a root table with those of its nested tables inside, in a comparable form.

    Row keys are random, so they are left out; a nested row without its parent is an error.
    """
    tables = {name: lake.arrow(name).to_pylist() for name in sorted(lake.tables())}
    tables = {n: rows for n, rows in tables.items() if n == root or n.startswith(f"{root}__")}
    nested: dict[str, list[Row]] = {}
    documents: list[Row] = []
    for name in sorted(tables, key=len, reverse=True):
        keys = {row.get("_dlt_id", "") for row in tables[name]}
        for row in tables[name]:
            document = {k: v for k, v in row.items() if k[:5] != "_dlt_" and v is not None}
            # Two versions of one content share their row key, and so their nested rows.
            document["+"] = sorted(nested.get(row.get("_dlt_id", ""), []), key=canonical)
            if name == root:
                documents.append(document)
            else:
                document.update(table=name, at=row["_dlt_list_idx"])
                nested.setdefault(row["_dlt_parent_id"], []).append(document)
        nested = {key: rows for key, rows in nested.items() if key not in keys}
    assert not nested, f"orphaned rows: {nested}"
    return sorted(canonical(document) for document in documents)


@pytest.fixture(autouse=True)
def home(floe_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a catalog of the test's own, and no configuration but that."""
    monkeypatch.setenv("DLT_DATA_DIR", str(tmp_path / "dlt"))
    monkeypatch.chdir(tmp_path)
    return floe_home


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test that is marked `also_on_rest` on a REST catalog with S3 storage as well."""
    marker = metafunc.definition.get_closest_marker("also_on_rest")
    if marker is not None:
        marks = [pytest.mark.rest, *([pytest.mark.all_cases] if marker.kwargs else [])]
        stacks = ["sqlite", pytest.param("rest", marks=marks)]
        metafunc.parametrize("lake", stacks, indirect=True)


@pytest.fixture
def lake(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> Lake:
    if getattr(request, "param", "sqlite") == "sqlite":
        return Lake(tmp_path)
    stack = rest_stack(request.getfixturevalue("seaweedfs"), tmp_path)
    for name, value in stack.environment.items():
        monkeypatch.setenv(name, value)
    return Lake(tmp_path, stack.namespace)


@pytest.fixture
def sql_lake(tmp_path: Path) -> SqlLake:
    return SqlLake(tmp_path)


@pytest.fixture
def merge_on_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are deleted by position, however small a file and however large their share of it."""
    monkeypatch.setenv("DESTINATION__MERGE_MODE", "merge-on-read")
    monkeypatch.setattr(merge_mode, "MOST_DELETED", 1.0)


Compare = Callable[..., None]


@pytest.fixture
def same_as_sql(lake: Lake, sql_lake: SqlLake) -> Compare:
    """Runs the same loads through both destinations and compares what they leave.

    The loads are made by a function, once for each destination, since a dlt resource keeps what a
    run did to it.
    """

    def compare(make_loads: Callable[[], list[Any]], *roots: str) -> None:
        for number, (ours, theirs) in enumerate(zip(make_loads(), make_loads(), strict=True)):
            lake.load(ours)
            sql_lake.load(theirs)
            for root in roots:
                difference = f"{root} after load {number + 1}"
                assert trees(lake, root) == trees(sql_lake, root), difference

    return compare
