from __future__ import annotations

import logging
import shutil
import sys
from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.contracts import (
    DuplicatePluginError,
    IngestionConfig,
    IngestionPlugin,
    PluginConfigurationError,
    PluginIncompatibleError,
    PluginLoadError,
    PluginNotFoundError,
    PluginRef,
    PluginRegistry,
    PluginType,
)

if TYPE_CHECKING:
    from pathlib import Path

    from contracts.conftest import Install

INGESTION = PluginType.INGESTION


def rejected_configuration(config: Any) -> Any:
    """Return the error with which the sample plugin's registry rejects a configuration."""
    with pytest.raises(PluginConfigurationError) as rejected:
        PluginRegistry().create(INGESTION, PluginRef(type="sample", version="1", config=config))
    return rejected.value


def test_installed_plugins_are_listed_by_their_entry_points(install: Install) -> None:
    """The names come from the installed distributions, this project's own among them."""
    install("acme-ingestion", name="acme")
    install("zenith-ingestion", name="zenith")
    assert PluginRegistry().list(INGESTION) == ["acme", "dlt", "zenith"]


def test_listing_imports_nothing(install: Install) -> None:
    """Listing plugins does not run the code of their modules."""
    install("acme-ingestion", "raise SystemExit('imported')")
    registry = PluginRegistry()
    registry.discover()
    assert "sample" in registry.list(INGESTION)
    assert "acme_ingestion" not in sys.modules


def test_a_plugin_found_by_its_name_runs(install: Install) -> None:
    """The registry returns a working instance of the class that the target names."""
    install("acme-ingestion")
    plugin = PluginRegistry().get(INGESTION, "sample")
    assert isinstance(plugin, IngestionPlugin)
    pipeline = plugin.create_pipeline(IngestionConfig("rows", {"rows": [1, 2]}))
    assert plugin.run(pipeline).rows_loaded == 2


def test_discovery_is_idempotent(install: Install) -> None:
    """A registry looks once; a new one sees what was installed since."""
    install("acme-ingestion", name="acme")
    registry = PluginRegistry()
    registry.discover()
    install("zenith-ingestion", name="zenith")
    registry.discover()
    assert "zenith" not in registry.list(INGESTION)
    assert "zenith" in PluginRegistry().list(INGESTION)


def test_the_registry_returns_the_same_instance_again(install: Install) -> None:
    """`get` instantiates a plugin once."""
    install("acme-ingestion")
    registry = PluginRegistry()
    assert registry.get(INGESTION, "sample") is registry.get(INGESTION, "sample")


def test_a_missing_plugin_is_an_error_that_names_the_installed_ones(install: Install) -> None:
    """The error for a misspelled name lists the possible ones."""
    install("acme-ingestion")
    with pytest.raises(PluginNotFoundError, match=r"'sampel'.*'floe\.ingestion'.*'sample'"):
        PluginRegistry().get(INGESTION, "sampel")


@pytest.mark.parametrize(
    ("more_code", "target", "reason"),
    [
        ("raise RuntimeError('half installed')", "{module}:SamplePlugin", "half installed"),
        ("import a_module_that_is_absent", "{module}:SamplePlugin", "a_module_that_is_absent"),
        ("", "{module}:NoSuchPlugin", "NoSuchPlugin"),
        ("", "no target at all", "no target at all"),
        ("", "{module}", "inherits IngestionPlugin"),
        ("", "{module}:Source", "inherits IngestionPlugin"),
        ("class SamplePlugin(IngestionPlugin): pass", "{module}:SamplePlugin", "abstract"),
        (
            "del SamplePlugin.__init__; SamplePlugin.__init__ = lambda self: 1 / 0",
            "{module}:SamplePlugin",
            "ZeroDivisionError",
        ),
    ],
)
def test_a_broken_plugin_is_logged_and_skipped(
    install: Install, caplog: pytest.LogCaptureFixture, more_code: str, target: str, reason: str
) -> None:
    """A plugin that cannot be imported does not affect the others, and the log says why."""
    install("acme-ingestion", more_code, name="acme", target=target)
    install("zenith-ingestion", name="zenith")
    registry = PluginRegistry()
    with caplog.at_level(logging.WARNING):
        plugins = registry.load_all(INGESTION)
    assert "zenith" in plugins
    assert "acme" not in plugins
    assert "'acme'" in caplog.text
    assert "acme-ingestion" in caplog.text
    assert reason in caplog.text
    with pytest.raises(PluginLoadError, match="acme-ingestion"):
        registry.get(INGESTION, "acme")


def test_two_plugins_with_the_same_name_are_an_error_that_names_both(install: Install) -> None:
    """It is ambiguous which one is meant, so neither is used; the error names both."""
    install("acme-ingestion", name="twin")
    install("zenith-ingestion", name="twin")
    with pytest.raises(DuplicatePluginError) as rejected:
        PluginRegistry().discover()
    for expected in (
        "'twin'",
        "'acme-ingestion'",
        "acme_ingestion:SamplePlugin",
        "'zenith-ingestion'",
        "zenith_ingestion:SamplePlugin",
    ):
        assert expected in str(rejected.value)


def test_one_distribution_seen_twice_is_not_a_duplicate(
    install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second copy of the same distribution further down the path is shadowed by the first."""
    install("acme-ingestion")
    copy = tmp_path / "copy"
    info = "acme_ingestion-1.2.3.dist-info"
    shutil.copytree(tmp_path / info, copy / info)
    monkeypatch.setattr(sys, "path", [*sys.path, str(copy)])
    assert PluginRegistry().list(INGESTION).count("sample") == 1


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0", "1", "one", ""])
def test_a_plugin_for_another_major_version_is_rejected(
    install: Install, caplog: pytest.LogCaptureFixture, version: str
) -> None:
    """It was written for a contract that this release does not implement, or declares none."""
    install("acme-ingestion", f"SamplePlugin.floe_api_version = {version!r}")
    registry = PluginRegistry()
    with pytest.raises(PluginIncompatibleError, match=rf"'sample'.*{version!r}.*'1\.0'"):
        registry.get(INGESTION, "sample")
    assert "sample" not in registry.load_all(INGESTION)
    assert "'sample'" in caplog.text


def test_a_plugin_for_another_minor_version_is_accepted(install: Install) -> None:
    """Within a major version, plugins and platform are compatible."""
    install("acme-ingestion", "SamplePlugin.floe_api_version = '1.7'")
    assert PluginRegistry().get(INGESTION, "sample").floe_api_version == "1.7"


def test_a_plugin_made_from_a_reference_is_configured_and_new(install: Install) -> None:
    """Two references of one plugin do not share an instance, so they cannot share a setting."""
    install("acme-ingestion")
    registry = PluginRegistry()
    ref = PluginRef(type="sample", version="1.2.3", config={"sources": [{"name": "shop"}]})
    first: Any = registry.create(INGESTION, ref)
    second: Any = registry.create(INGESTION, ref)
    found: Any = registry.get(INGESTION, "sample")
    assert first.config.sources[0].name == "shop"
    assert first is not second
    assert found.config.sources == []


def test_a_reference_for_another_version_is_logged(
    install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    """A configuration compiled for another release still works; the log reports it."""
    install("acme-ingestion")
    with caplog.at_level(logging.INFO):
        PluginRegistry().create(INGESTION, PluginRef(type="sample", version="1.0.0"))
    assert "1.2.3" in caplog.text
    assert "1.0.0" in caplog.text


def test_a_rejected_configuration_names_source_field_value_and_remedy(
    install: Install,
) -> None:
    """The location in the configuration contains the source's name."""
    install("acme-ingestion")
    error = rejected_configuration({"sources": [{"name": "shop", "write_mode": "upsert"}]})
    assert str(error) == (
        "configuration of plugin 'sample' is not valid: sources[0 'shop'].write_mode: "
        "Input should be 'append', 'replace' or 'merge', not 'upsert'"
    )


def test_a_misspelled_field_of_a_configuration_is_named(install: Install) -> None:
    """A field that would be ignored is an error at every level."""
    install("acme-ingestion")
    error = rejected_configuration({"sources": [{"name": "shop", "prot": 1}], "catalog": {}})
    assert "sources[0 'shop'].prot: " in str(error)
    assert "catalog: Extra inputs are not permitted; valid fields: sources" in str(error)


def test_a_rejected_configuration_shows_no_value_that_could_be_a_secret(install: Install) -> None:
    """Neither the error nor its cause contains a value other than one of a fixed set of choices."""
    install("acme-ingestion")
    error = rejected_configuration(
        {
            "sources": [
                {"name": "shop", "port": "hunter2", "pasword": "hunter3"},
                {"name": "mail", "write_mode": {"key": "hunter4"}},
            ],
            "key": "hunter5",
        }
    )
    assert "hunter" not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
