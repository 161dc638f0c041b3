"""Loading a code location of 100 sources with 5 resources each, and the time to import it."""

import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.case import Case
from benchmarks.measure import Measurement, Stopwatch
from benchmarks.report import FLOE, Row, at_most, ratio, seconds
from benchmarks.runner import Bench

SOURCES = 100
WATCHED = 10
TABLES = [f"t{number}" for number in range(5)]
BARE = "bare @dlt_assets"
FILES = "this project, one defs.yaml per source"
IMPORTS = "dagster, dlt, dagster-dlt"
DEFINITIONS = "from pathlib import Path\n\nimport dagster as dg\n\n" + (
    "from floe_ingestion_defs.dagster_wiring import create_shared_definitions, "
    "require_distinct_sources\n\n\n"
    "@dg.definitions\n"
    "def defs() -> dg.Definitions:\n"
    "    loaded = dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    "    require_distinct_sources(loaded)\n"
    "    return dg.Definitions.merge(loaded, create_shared_definitions(loaded))\n"
)


def compare(bench: Bench) -> list[Row]:
    """Compare with bare assets, which have none of this project's checks, schedules and sensors."""
    found = {
        BARE: bench.measure("code-location", load_bare_assets),
        FLOE: bench.measure("code-location", load_sources),
        FILES: bench.measure("code-location", load_files),
    }
    bare = found[BARE].whole_seconds
    targets = [
        at_most(1.5, found[FLOE].whole_seconds / bare, "time, relative to the bare assets", ratio)
    ]
    note = (
        f"this project also creates five checks per asset, a schedule per source, and {WATCHED} "
        "more sources with sensors; imports are excluded. With one file per source, Dagster also "
        "resolves the YAML."
    )
    work = f"load a location of {SOURCES} sources with {len(TABLES)} resources each"
    return [Row(work, found, targets, note), _compare_imports(bench)]


def _compare_imports(bench: Bench) -> Row:
    found = {
        IMPORTS: bench.measure("imports", import_frameworks),
        FLOE: bench.measure("imports", import_definitions),
    }
    added = found[FLOE].whole_seconds
    target = at_most(0.5, added, "in addition to dagster's and dlt's own imports", seconds)
    note = "the figure of this project is what it adds once the others are imported."
    return Row("import `floe_ingestion_defs.definitions`", found, [target], note)


def import_frameworks(home: Path, cache: Path) -> Measurement:
    """Import what any code location with dlt imports."""
    watch = Stopwatch()
    _import_frameworks()
    return watch.stop()


def import_definitions(home: Path, cache: Path) -> Measurement:
    """Import what this project imports in addition."""
    _import_frameworks()
    watch = Stopwatch()
    import floe_ingestion_defs.definitions  # noqa: F401

    return watch.stop()


def _import_frameworks() -> None:
    import dagster  # noqa: F401
    import dagster_dlt  # noqa: F401
    import dlt  # noqa: F401


def load_bare_assets(home: Path, cache: Path) -> Measurement:
    """Load assets of the same names and hints, with one pipeline per source, as in dagster-dlt."""
    import dagster as dg
    import dagster_dlt
    import dlt

    watch = Stopwatch()
    assets: list[Any] = []
    for number in range(SOURCES):

        @dlt.source(name=f"source_{number}")
        def source() -> Any:
            return [
                dlt.resource([], name=name, primary_key="id", write_disposition="merge")
                for name in TABLES
            ]

        pipeline = dlt.pipeline(
            f"source_{number}",
            pipelines_dir=str(home / "pipelines"),
            destination="filesystem",
            dataset_name="bronze",
        )

        @dagster_dlt.dlt_assets(dlt_source=source(), dlt_pipeline=pipeline, name=f"source_{number}")
        def load(context: dg.AssetExecutionContext, dlt: dagster_dlt.DagsterDltResource) -> Any:
            yield from dlt.run(context=context)

        assets.append(load)
    resources = {"dlt": dagster_dlt.DagsterDltResource()}
    _load_all(dg.Definitions(assets=assets, resources=resources))
    return watch.stop()


def load_sources(home: Path, cache: Path) -> Measurement:
    """Load the sources from a configuration in Python."""
    import dagster as dg

    import floe_ingestion_defs.definitions  # noqa: F401
    from floe_ingestion_defs.dagster_wiring import (
        build_ingestion_definitions,
        create_shared_definitions,
        require_distinct_sources,
    )
    from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

    watch = Stopwatch()
    plugin = DltIngestionPlugin({"sources": configurations()})
    loaded = build_ingestion_definitions(plugin)
    require_distinct_sources(loaded)
    _load_all(dg.Definitions.merge(loaded, create_shared_definitions(loaded)))
    return watch.stop()


def load_files(home: Path, cache: Path) -> Measurement:
    """Load the sources from a project with one `defs.yaml` per source."""
    import yaml

    import floe_ingestion_defs.components
    import floe_ingestion_defs.definitions  # noqa: F401

    package = home / "files" / "many_sources"
    shutil.rmtree(package.parent, ignore_errors=True)
    for source in configurations():
        folder = package / "defs" / source["name"]
        folder.mkdir(parents=True)
        component = {
            "type": "floe_ingestion_defs.components.IngestionComponent",
            "attributes": {"sources": [source]},
        }
        (folder / "defs.yaml").write_text(yaml.safe_dump(component))
    for folder in (package, package / "defs"):
        (folder / "__init__.py").touch()
    (package / "definitions.py").write_text(DEFINITIONS)
    project = '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "{}"\n'
    (package.parent / "pyproject.toml").write_text(project.format(package.name))
    sys.path.insert(0, str(package.parent))

    watch = Stopwatch()
    from many_sources.definitions import defs  # type: ignore[import-not-found]

    _load_all(defs())
    return watch.stop()


def _load_all(definitions: Any) -> None:
    repository = definitions.get_repository_def()
    repository.load_all_definitions()
    found = len(repository.asset_graph.materializable_asset_keys)
    if found not in (SOURCES * len(TABLES), SOURCES * len(TABLES) + WATCHED):
        msg = f"{found} assets of {SOURCES} sources of {len(TABLES)} resources"
        raise AssertionError(msg)


def configurations() -> list[dict[str, Any]]:
    """Return the sources of five resources, and those of one, whose folders sensors watch."""
    watched = [
        {
            "name": f"watched_{number}",
            "source_type": "filesystem",
            "source_config": {"bucket_url": "landing", "file_glob": "*.csv", "format": "csv"},
            "destination_table": f"bronze.watched_{number}",
            "orchestration": {"new_files_every": "1m"},
        }
        for number in range(WATCHED)
    ]
    return [_configuration(number) for number in range(SOURCES)] + watched


def _configuration(number: int) -> dict[str, Any]:
    """Return a database source, or for every fifth number an API source."""
    source: dict[str, Any] = {
        "name": f"source_{number}",
        "description": "Example data.",
        "source_type": "sql_database",
        "source_config": {"table_names": TABLES},
        "credentials": "${DATABASE}",
        "destination_table": f"bronze.source_{number}_{{resource}}",
        "write_mode": "merge",
        "primary_key": "id",
        "cursor_field": "updated_at",
        "columns": {"id": "bigint", "updated_at": "timestamp"},
        "orchestration": {
            "owners": ["team:data"],
            "cron": "15 6 * * *",
            "checks": {
                "freshness": {"warn_after": "26h", "fail_after": "50h"},
                "unique_key": True,
                "not_null": True,
                "row_count_change": True,
            },
        },
    }
    if number % 5 == 0:
        resources = [{"name": name, "endpoint": {"path": name}} for name in TABLES]
        client = {"base_url": "https://api.example.com"}
        source["source_type"] = "rest_api"
        source["source_config"] = {"client": client, "resources": resources}
        del source["credentials"]
    return source


CASES = [Case("code-location", compare, "Dagster")]
