import json
import logging
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.contracts import (
    CompiledArtifacts,
    PluginConfigurationError,
    PluginNotFoundError,
    PluginRef,
    ResolvedPlugins,
)
from floe_ingestion_defs.dagster_wiring import (
    FloeDltResource,
    build_ingestion_definitions,
    create_definitions,
    create_ingestion_resources,
    try_create_ingestion_resources,
)
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin


def artifacts(config: dict[str, Any], plugin: str = "dlt") -> CompiledArtifacts:
    """What a platform's compiler would write, read back from its file."""
    text = json.dumps(
        {"plugins": {"ingestion": {"type": plugin, "version": "1", "config": config}}}
    )
    return CompiledArtifacts.model_validate_json(text)


def test_a_platform_file_gives_the_definitions_that_yaml_gives(shop: dict[str, Any]) -> None:
    """Both use one factory, so a change from one to the other changes no definition."""
    # The schedule of the freshness checks belongs to the location, not to a source.
    shop["orchestration"] = {"cron": "5 * * * *", "checks": {"freshness": False}}

    compiled = create_definitions(artifacts({"sources": [shop]})).get_repository_def()
    built = build_ingestion_definitions(
        DltIngestionPlugin({"sources": [shop]})
    ).get_repository_def()

    assert compiled.asset_graph.get_all_asset_keys() == built.asset_graph.get_all_asset_keys()
    assert [s.name for s in compiled.schedule_defs] == [s.name for s in built.schedule_defs]
    assert {job.name for job in compiled.get_all_jobs()} == {
        *(job.name for job in built.get_all_jobs()),
        "drop_branch_tables",
        "ingestion",
    }


@pytest.mark.parametrize(
    "nothing",
    [CompiledArtifacts(), CompiledArtifacts(plugins=ResolvedPlugins(ingestion=None))],
)
def test_without_an_ingestion_plugin_the_location_is_empty_and_a_warning_is_logged(
    nothing: CompiledArtifacts, caplog: pytest.LogCaptureFixture
) -> None:
    """A platform that ingests nothing is valid, and the log says so."""
    with caplog.at_level(logging.WARNING):
        definitions = create_definitions(nothing)

    assert list(definitions.resolve_all_asset_keys()) == []
    assert "no ingestion plugin is configured" in caplog.text
    assert try_create_ingestion_resources(nothing.plugins) == {}


def test_a_plugin_that_is_not_installed_is_an_error() -> None:
    """Only a missing configuration of a plugin is ignored."""
    wanted = artifacts({}, plugin="airbyte")

    with pytest.raises(PluginNotFoundError, match="'airbyte'"):
        create_definitions(wanted)
    with pytest.raises(PluginNotFoundError, match="'airbyte'"):
        try_create_ingestion_resources(wanted.plugins)


def test_a_configuration_that_the_plugin_rejects_is_an_error(shop: dict[str, Any]) -> None:
    """An error in the platform file is raised, not skipped."""
    shop["write_mode"] = "mrege"

    with pytest.raises(PluginConfigurationError, match="write_mode"):
        create_definitions(artifacts({"sources": [shop]}))


def test_the_resource_of_a_plugin_is_dlt() -> None:
    """The key is the one that people know from dagster-dlt."""
    resources = create_ingestion_resources(PluginRef(type="dlt", version="1"))

    assert set(resources) == {"dlt"}
    assert isinstance(resources["dlt"], FloeDltResource)


def test_locations_from_several_plugins_merge(shop: dict[str, Any]) -> None:
    """`Definitions.merge` rejects two resources with the same key, so all bring the same."""
    merged = dg.Definitions.merge(
        create_definitions(artifacts({"sources": [shop]})),
        build_ingestion_definitions(
            DltIngestionPlugin(
                {"sources": [{**shop, "name": "crm", "destination_table": "bronze.crm_{resource}"}]}
            )
        ),
    )

    assert len(merged.resolve_asset_graph().materializable_asset_keys) == 4


def test_loading_the_location_opens_no_connection(tmp_path: Path) -> None:
    """No connection, no database, no catalog: a location shows its assets on any machine.

    The worked example's database does not exist here, its variables are not set, and every
    connection and every new folder would be found out.
    """
    script = dedent(
        """
        import socket

        def reject(*_: object) -> None:
            raise AssertionError("a connection was opened")

        socket.socket.connect = reject
        socket.socket.connect_ex = reject
        socket.getaddrinfo = reject

        from floe_ingestion_defs.definitions import defs

        repository = defs().get_repository_def()
        repository.load_all_definitions()
        print(len(repository.asset_graph.get_all_asset_keys()))
        """
    )
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "HOME": str(home),
        "DLT_DATA_DIR": str(tmp_path / "dlt"),
        "FLOE_HOME": str(tmp_path / "floe"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }

    loaded = subprocess.run(
        [sys.executable, "-c", script],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert loaded.returncode == 0, loaded.stderr
    assert int(loaded.stdout) >= 1
    assert sorted(tmp_path.rglob("*")) == [home]
