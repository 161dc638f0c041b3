"""The plugin's health, and what it reports when it starts."""

from pathlib import Path
from typing import Any

import pytest
from servers.seaweedfs import PLAIN_BUCKET

from floe_ingestion_defs.contracts import HealthState
from floe_ingestion_defs.contracts.conformance import (
    BaseHealthCheckTests,
)
from floe_ingestion_defs.dlt_plugin import (
    DltIngestionPlugin,
)

Source = dict[str, Any]


class TestHealthCheck(BaseHealthCheckTests):
    @pytest.fixture
    def stopped_plugin(self) -> DltIngestionPlugin:
        # Opened once before the clock runs: to import pyiceberg takes a second or two.
        import pyiceberg.catalog.sql
        import pyiceberg.io.pyarrow  # noqa: F401

        return DltIngestionPlugin()


def test_health_names_an_unreachable_catalog_and_does_not_raise() -> None:
    catalog = {"type": "rest", "uri": "http://me:sw0rdfish@127.0.0.1:1"}
    plugin = DltIngestionPlugin({"catalog_config": catalog})
    plugin.startup()
    status = plugin.health_check(timeout=5)
    assert status.state is HealthState.UNHEALTHY
    assert "catalog" in status.message
    assert "sw0rdfish" not in status.message


@pytest.mark.parametrize("file_io", ["pyarrow.PyArrowFileIO", "fsspec.FsspecFileIO"])
def test_health_names_a_storage_that_rejects_the_key(
    seaweedfs: Any, tmp_path: Path, file_io: str
) -> None:
    catalog = {
        "type": "sql",
        "uri": f"sqlite:///{tmp_path / 'catalog.db'}",
        "warehouse": f"s3://{PLAIN_BUCKET}/health",
        "py-io-impl": f"pyiceberg.io.{file_io}",
        **seaweedfs.s3_properties,
    }
    plugin = DltIngestionPlugin({"catalog_config": catalog})
    plugin.startup()
    status = plugin.health_check(timeout=10)
    assert status.state is HealthState.HEALTHY, status.message
    plugin.configure({"catalog_config": {**catalog, "s3.secret-access-key": "sw0rdfish"}})
    status = plugin.health_check(timeout=10)
    assert status.state is HealthState.UNHEALTHY
    assert "the storage" in status.message
    assert "sw0rdfish" not in status.message


def test_health_is_bounded_where_the_catalog_hangs(api: Any) -> None:
    api.script = [2.0] * 10
    plugin = DltIngestionPlugin({"catalog_config": {"type": "rest", "uri": api.url}})
    plugin.startup()
    plugin.health_check(timeout=0.1)
    status = plugin.health_check(timeout=0.3)
    assert status.state is HealthState.UNHEALTHY
    assert "0.3 seconds" in status.message
    assert status.response_time_ms < 1500


def test_health_is_degraded_where_one_source_of_several_lacks_a_variable(
    files: Source, shop: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    shop["credentials"] = "${SHOP_DATABASE}"
    plugin = DltIngestionPlugin({"sources": [files, shop]})
    plugin.startup()
    status = plugin.health_check(timeout=5)
    assert status.state is HealthState.DEGRADED
    assert "SHOP_DATABASE" in status.message
    assert "'shop'" in status.message
    plugin.configure({"sources": [shop]})
    assert plugin.health_check(timeout=5).state is HealthState.UNHEALTHY


@pytest.mark.parametrize(
    ("credentials", "command"),
    [
        ("mysql://me@db/shop", "pip install 'mysqlclient'"),
        ("oracle://me@db/shop", "pip install 'oracledb'"),
        ("postgresql+pg8000://me@db/shop", "pip install 'pg8000'"),
        ("${SHOP_DATABASE}", "pip install 'pyodbc'"),
    ],
)
def test_an_absent_driver_is_reported_at_startup_with_the_command_to_install_it(
    shop: Source, monkeypatch: pytest.MonkeyPatch, credentials: str, command: str
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "mssql://me:sw0rdfish@db/shop")
    plugin = DltIngestionPlugin({"sources": [{**shop, "credentials": credentials}]})
    with pytest.raises(ImportError, match="'shop'") as absent:
        plugin.startup()
    assert command in str(absent.value)
    assert plugin.health_check().state is HealthState.UNHEALTHY


def test_an_absent_file_system_is_reported_at_startup(files: Source) -> None:
    files["source_config"]["bucket_url"] = "sftp://host/landing"
    with pytest.raises(ImportError, match="paramiko"):
        DltIngestionPlugin({"sources": [files]}).startup()


def test_a_variable_that_is_not_set_does_not_keep_the_plugin_from_starting(
    shop: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_DATABASE", raising=False)
    DltIngestionPlugin({"sources": [{**shop, "credentials": "${SHOP_DATABASE}"}]}).startup()
