"""Fixtures that test a source of your own in five lines.

    def test_orders_are_loaded(run_source):
        run = run_source(
            source_type="python",
            source_config={"factory": "dlt_sources.shop:source", "resource_names": ["orders"]},
        )
        assert run.tables["orders"].num_rows == 3

pytest finds this module by the distribution's entry point. It imports nothing of the engine before
a fixture is requested.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    import pyarrow as pa
    from pyiceberg.catalog import Catalog

    from floe_ingestion_defs.dlt_plugin import DltIngestionConfig, DltIngestionPlugin, LoadResult

_NAMESPACE = "tested"
_SAMPLE_ROWS = [{"id": 1, "name": "Ada"}, {"id": 2, "name": "Grace"}]


@dataclass(frozen=True)
class SourceRun:
    """The result of one run of a source.

    Attributes:
    result: What the plugin's `load` returned.
    tables: The tables that the source's pipeline knows, nested ones included, by their names
        without the namespace; dlt's own columns are left out.
    """

    result: LoadResult
    tables: Mapping[str, pa.Table]


RunSource = Callable[..., SourceRun]


@pytest.fixture
def floe_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an embedded catalog of the test's own; no other one is configured."""
    folder = tmp_path / "floe"
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    monkeypatch.setenv("FLOE_HOME", str(folder))
    monkeypatch.setenv("PYICEBERG_HOME", str(tmp_path))
    for part in ("TYPE", "URI", "WAREHOUSE"):
        monkeypatch.delenv(f"PYICEBERG_CATALOG__FLOE__{part}", raising=False)
    return folder


@pytest.fixture
def floe_catalog(floe_home: Path) -> Catalog:
    """Open an empty Iceberg catalog of the test's own, which everything in the test loads into."""
    from floe_ingestion_defs.destinations import open_catalog

    return open_catalog()


@pytest.fixture(scope="session")
def dlt_config(tmp_path_factory: pytest.TempPathFactory) -> DltIngestionConfig:
    """Return a configuration with one source, `sample`, of two rows in a file."""
    from floe_ingestion_defs.dlt_plugin import DltIngestionConfig

    folder = tmp_path_factory.mktemp("sample")
    (folder / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in _SAMPLE_ROWS))
    sample = {
        "name": "sample",
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(folder), "file_glob": "*.jsonl", "format": "jsonl"},
        "destination_table": f"{_NAMESPACE}.people",
    }
    return DltIngestionConfig.model_validate({"sources": [sample]})


@pytest.fixture
def dlt_plugin(
    dlt_config: DltIngestionConfig, floe_catalog: Catalog
) -> Iterator[DltIngestionPlugin]:
    """Start the plugin with `dlt_config` before the test, and shut it down after it."""
    from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

    plugin = DltIngestionPlugin(dlt_config)
    plugin.startup()
    yield plugin
    plugin.shutdown()


@pytest.fixture
def run_source(floe_catalog: Catalog) -> RunSource:
    """Return a function that loads a source into the test's own catalog and returns a `SourceRun`.

    It takes a source as in `defs.yaml`, as a mapping or as keyword arguments; `name` and
    `destination_table` may be left out. A second run continues where the first one ended.
    """

    def run_source(source: Mapping[str, Any] | None = None, /, **settings: Any) -> SourceRun:
        from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

        config = {
            "name": "source",
            "destination_table": f"{_NAMESPACE}.{{resource}}",
            **(source or {}),
            **settings,
        }
        plugin = DltIngestionPlugin({"sources": [config], "retry_config": {"max_retries": 0}})
        result = plugin.load(plugin.create_pipeline(plugin.source(config["name"])))
        namespace = config["destination_table"].partition(".")[0]
        return SourceRun(result, _read_tables(floe_catalog, namespace))

    return run_source


def _read_tables(catalog: Catalog, namespace: str) -> dict[str, pa.Table]:
    tables = {}
    if catalog.namespace_exists(namespace):
        for *_, name in catalog.list_tables(namespace):
            if not name.startswith("_dlt_"):
                rows = catalog.load_table((namespace, name)).scan().to_arrow()
                own = [column for column in rows.column_names if not column.startswith("_dlt_")]
                tables[name] = rows.select(own)
    return tables
