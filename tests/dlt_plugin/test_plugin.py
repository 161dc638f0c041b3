"""The plugin implements the contract: metadata, results of runs, and state."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from floe_ingestion_defs.contracts import IngestionConfig, IngestionResult
from floe_ingestion_defs.contracts.conformance import (
    BasePluginDiscoveryTests,
)
from floe_ingestion_defs.destinations import Finding, StagedTable
from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
    LoadResult,
    PipelineConfigurationError,
    SourceConnectionError,
    loading,
)

Source = dict[str, Any]
Rows = Callable[[str], list[dict[str, Any]]]


class TestDiscovery(BasePluginDiscoveryTests):
    plugin_name = "dlt"
    plugin_module = "floe_ingestion_defs.dlt_plugin"


@pytest.fixture
def landed(landing: Path) -> Path:
    (landing / "a.csv").write_text("id,name\n1,x\n2,y\n")
    return landing


@pytest.fixture
def config(landed: Path) -> IngestionConfig:
    return IngestionConfig(
        source_type="filesystem",
        source_config={"bucket_url": str(landed), "file_glob": "*.csv", "format": "csv"},
        destination_table="bronze.items",
    )


def test_a_contract_configuration_is_loaded_from_a_plain_script(
    config: IngestionConfig, rows: Rows
) -> None:
    plugin = DltIngestionPlugin()
    plugin.startup()
    result = plugin.run(plugin.create_pipeline(config))
    plugin.shutdown()
    assert isinstance(result, IngestionResult)
    assert (result.success, result.rows_loaded, result.errors) == (True, 2, [])
    assert result.bytes_written > 0
    assert result.duration_seconds > 0
    assert rows("bronze.items") == [{"id": 1, "name": "x"}, {"id": 2, "name": "y"}]


def test_settings_without_a_field_are_passed_in_the_source_config(
    config: IngestionConfig, landed: Path, rows: Rows
) -> None:
    config.source_config |= {"primary_key": "id", "name": "my_files"}
    config.write_mode = "merge"
    plugin = DltIngestionPlugin()
    pipeline = plugin.create_pipeline(config)
    assert pipeline.name == "my_files"
    plugin.run(pipeline)
    (landed / "b.csv").write_text("id,name\n1,changed\n")
    plugin.run(plugin.create_pipeline(config))
    assert rows("bronze.items") == [{"id": 1, "name": "changed"}, {"id": 2, "name": "y"}]


def test_a_pipeline_without_a_name_is_named_after_its_table(config: IngestionConfig) -> None:
    assert DltIngestionPlugin().create_pipeline(config).name == "bronze_items"


@pytest.mark.parametrize(
    "change",
    [
        {"source_type": "ftp"},
        {"write_mode": "upsert"},
        {"destination_table": "items"},
        {"source_config": {}},
    ],
)
def test_an_invalid_contract_configuration_is_rejected_when_the_pipeline_is_made(
    config: IngestionConfig, change: dict[str, Any]
) -> None:
    for field, value in change.items():
        setattr(config, field, value)
    with pytest.raises((ValidationError, PipelineConfigurationError)):
        DltIngestionPlugin().create_pipeline(config)


def test_two_pipelines_over_one_source_have_separate_states(
    config: IngestionConfig, rows: Rows
) -> None:
    plugin = DltIngestionPlugin()
    assert plugin.run(plugin.create_pipeline(config)).rows_loaded == 2
    config.source_config["name"] = "another"
    assert plugin.run(plugin.create_pipeline(config)).rows_loaded == 2
    assert plugin.run(plugin.create_pipeline(config)).rows_loaded == 0
    assert len(rows("bronze.items")) == 4


def test_a_run_leaves_nothing_outside_of_iceberg(
    config: IngestionConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    during: list[Path] = []

    def look(staged: StagedTable) -> Iterator[Finding]:
        during.extend(scratch.iterdir())
        yield from ()

    plugin = DltIngestionPlugin()
    pipeline = plugin.create_pipeline(config, audits=[look])
    assert list(scratch.iterdir()) == []
    plugin.run(pipeline)
    assert during
    assert list(scratch.iterdir()) == []


def test_a_pipeline_can_be_run_again(config: IngestionConfig, landed: Path) -> None:
    plugin = DltIngestionPlugin()
    pipeline = plugin.create_pipeline(config)
    assert plugin.run(pipeline).rows_loaded == 2
    (landed / "b.csv").write_text("id,name\n3,z\n")
    assert plugin.run(pipeline).rows_loaded == 1
    assert plugin.run(pipeline).rows_loaded == 0


def test_a_failed_load_ends_in_a_result_and_never_raises(
    config: IngestionConfig, landed: Path, tables: Callable[[], set[str]]
) -> None:
    (landed / "b.csv").write_text("id,name\n3\n")
    plugin = DltIngestionPlugin()
    result = plugin.run(plugin.create_pipeline(config))
    assert not result.success
    assert result.rows_loaded == 0
    (error,) = result.errors
    assert error.startswith("PERMANENT SourceReadError: b.csv: line 2")
    assert tables() == set()


def test_a_committed_load_does_not_fail_if_the_catalog_becomes_unavailable(
    files: Source,
    landed: Path,
    load: Callable[[Source], LoadResult],
    rows: Rows,
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The result lacks the figures of the catalog, and nothing is loaded again."""
    load(files)
    (landed / "b.csv").write_text("id,name\n3,z\n")
    catalog, away = home / "catalog.db", home / "catalog.away"
    opened = vars(loading)["open_configured_catalog"]

    def open_what_is_left(destination: Any) -> Any:
        catalog.rename(away)
        catalog.write_text("no database any more")
        return opened(destination)

    with monkeypatch.context() as broken:
        broken.setattr(loading, "open_configured_catalog", open_what_is_left)
        done = load(files)
    away.replace(catalog)
    assert (done.success, done.rows_loaded) == (True, 1)
    assert (done.resources["items"].total_rows, done.resources["items"].snapshot_id) == (None, None)
    assert load(files).rows_loaded == 0
    assert len(rows("bronze.items")) == 3


def test_a_result_has_snapshots_and_totals_of_each_table(
    files: Source, landed: Path, load: Callable[[Source], LoadResult]
) -> None:
    first = load(files).resources["items"]
    assert (first.table, first.rows_loaded, first.total_rows) == ("bronze.items", 2, 2)
    assert first.snapshot_id is not None
    assert first.previous_snapshot_id is None
    (landed / "b.csv").write_text("id,name\n3,z\n")
    second = load(files).resources["items"]
    assert (second.rows_loaded, second.total_rows) == (1, 3)
    assert second.previous_snapshot_id == first.snapshot_id
    third = load(files).resources["items"]
    assert (third.rows_loaded, third.total_rows) == (0, 3)
    assert third.snapshot_id == third.previous_snapshot_id == second.snapshot_id


def test_a_result_has_the_duration_of_each_phase(config: IngestionConfig) -> None:
    """Phases are in the order in which they happened, and take no longer than the load."""
    plugin = DltIngestionPlugin()
    result = plugin.load(plugin.create_pipeline(config))
    phases = ["extract", "normalize", "stage", "audit", "commit", "publish"]
    assert list(result.phase_seconds) == phases
    assert all(seconds > 0 for seconds in result.phase_seconds.values())
    assert sum(result.phase_seconds.values()) < result.duration_seconds
    again = plugin.load(plugin.create_pipeline(config))
    assert list(again.phase_seconds) == ["extract", "normalize"]


def test_a_variable_that_is_not_set_is_named_when_the_pipeline_is_made(
    files: Source, monkeypatch: pytest.MonkeyPatch, landed: Path
) -> None:
    monkeypatch.delenv("LANDING", raising=False)
    files["source_config"]["bucket_url"] = "${LANDING}"
    plugin = DltIngestionPlugin({"sources": [files]})
    with pytest.raises(PipelineConfigurationError, match=r"LANDING is not set.*source files"):
        plugin.create_pipeline(plugin.source("files"))
    monkeypatch.setenv("LANDING", str(landed))
    assert plugin.run(plugin.create_pipeline(plugin.source("files"))).rows_loaded == 2


def test_a_value_from_the_environment_is_validated_as_one_from_the_configuration(
    shop: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop["source_config"]["chunk_size"] = "${CHUNK}"
    plugin = DltIngestionPlugin({"sources": [shop]})
    monkeypatch.setenv("CHUNK", "many")
    with pytest.raises(PipelineConfigurationError, match="chunk_size"):
        plugin.create_pipeline(plugin.source("shop"))
    monkeypatch.setenv("CHUNK", "100")
    assert plugin.run(plugin.create_pipeline(plugin.source("shop"))).rows_loaded == 2


def test_a_source_that_hangs_times_out(items: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    from floe_ingestion_defs.dlt_plugin import preparation
    from floe_ingestion_defs.dlt_plugin.sources import SOURCE_TYPES

    released = threading.Event()
    monkeypatch.setattr(preparation, "CONNECT_TIMEOUT_SECONDS", 0.2)
    monkeypatch.setattr(
        type(SOURCE_TYPES["rest_api"]), "check", lambda *args: released.wait(30) or None
    )
    plugin = DltIngestionPlugin({"sources": [items]})
    with pytest.raises(SourceConnectionError, match=r"0\.2 seconds"):
        plugin.create_pipeline(plugin.source("items"))
    released.set()


def test_the_catalog_is_the_one_that_the_configuration_names(
    files: Source, landed: Path, tmp_path: Path
) -> None:
    from floe_ingestion_defs.dlt_plugin.config.destination import open_configured_catalog

    catalog = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path}/other.db",
        "warehouse": (tmp_path / "other").as_uri(),
    }
    plugin = DltIngestionPlugin({"sources": [files], "catalog_config": catalog})
    result = plugin.load(plugin.create_pipeline(plugin.source("files")))
    assert result.resources["items"].total_rows == 2
    opened = open_configured_catalog(plugin.get_destination_config(catalog))
    assert opened.table_exists("bronze.items")
    assert (tmp_path / "other.db").exists()
    assert not (tmp_path / "floe").exists()


def test_storage_keys_are_given_to_the_destination_under_pyicebergs_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("S3_SECRET", "sw0rdfish")
    config = DltIngestionPlugin().get_destination_config(
        {
            "name": "lake",
            "type": "rest",
            "uri": "http://localhost:8181",
            "warehouse": "s3://lake",
            "s3_endpoint": "http://localhost:9000",
            "s3_access_key_id": "admin",
            "s3_secret_access_key": "${S3_SECRET}",
            "s3_region": "eu-west-1",
            "s3.connect-timeout": 5,
            "ssl_verify": True,
        }
    )
    assert config["destination"] == "iceberg"
    assert config["catalog_name"] == "lake"
    assert config["catalog_type"] == "rest"
    assert config["catalog_uri"] == "http://localhost:8181"
    assert config["warehouse"] == "s3://lake"
    assert config["catalog_properties"] == {
        "s3.endpoint": "http://localhost:9000",
        "s3.access-key-id": "admin",
        "s3.secret-access-key": "sw0rdfish",
        "s3.region": "eu-west-1",
        "s3.connect-timeout": "5",
        "ssl_verify": "true",
    }
    assert "sw0rdfish" not in f"{config} {config!r}"


def test_a_missing_variable_of_the_catalog_is_named() -> None:
    os.environ.pop("NO_SUCH_TOKEN", None)
    with pytest.raises(PipelineConfigurationError, match="NO_SUCH_TOKEN"):
        DltIngestionPlugin().get_destination_config({"token": "${NO_SUCH_TOKEN}"})


def test_a_declared_source_has_the_resources_and_no_data(shop: Source) -> None:
    shop["credentials"] = "${NOT_SET_ANYWHERE}"
    plugin = DltIngestionPlugin({"sources": [shop]})
    declared = plugin.declare_source(plugin.source("shop"))
    assert declared.name == "shop"
    assert list(declared.resources) == ["orders"]
    hints = declared.resources["orders"].compute_table_schema()
    assert hints["name"] == "shop_orders"
    assert hints["columns"]["id"]["primary_key"] is True
    assert list(declared.resources["orders"]) == []


def test_capabilities_are_what_a_configuration_can_choose() -> None:
    capabilities = DltIngestionPlugin().capabilities
    assert capabilities.source_types == ("filesystem", "sql_database", "rest_api", "python")
    assert capabilities.write_modes == ("append", "replace", "merge")
    assert "scd2" in capabilities.merge_strategies
    assert "discard_value" in capabilities.schema_contracts


def test_a_resource_chooses_the_merge_mode_of_its_table(
    files: dict[str, Any], landing: Path, load: Callable[[dict[str, Any]], LoadResult]
) -> None:
    """As Iceberg's own table property, which every engine knows."""
    from floe_ingestion_defs.destinations import open_catalog

    (landing / "items.csv").write_text("id,v\n1,a\n")
    merged = {"write_mode": "merge", "primary_key": "id", "merge_mode": "copy-on-write"}
    load({**files, **merged})
    properties = open_catalog().load_table("bronze.items").properties
    assert properties["write.merge.mode"] == "copy-on-write"
