"""The tutorial of the documentation: a new source, its test, its YAML, and a load of it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
import yaml
from scaffold.formatting import require_formatted

from floe_ingestion_defs.dagster_wiring.settings.maintenance import MaintenanceSettings
from floe_ingestion_defs.dagster_wiring.settings.orchestration import OrchestrationSettings
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.scaffold.new_source import make_source

PYPROJECT = '[tool.dg.project]\nroot_module = "acme"\n'


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project that has a source `shop` of its own, beside what is installed."""
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    make_source("shop", tmp_path)
    (tmp_path / "dlt_sources" / "__init__.py").touch()
    return tmp_path


def test_a_new_source_passes_its_own_test(project: Path) -> None:
    """The generated source works unchanged."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "floe_ingestion_defs.pytest_plugin"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", "tests/sources/shop"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


def test_its_yaml_is_a_valid_configuration(project: Path) -> None:
    """The declared source is one that the plugin takes, with the resource and the table it says."""
    text = (project / "acme/defs/shop/defs.yaml").read_text()
    plugin = DltIngestionPlugin(yaml.safe_load(text)["attributes"])
    (spec,) = plugin.list_resources(plugin.source("shop"))
    assert (spec.name, spec.table) == ("items", "bronze.shop_items")


def test_the_tables_of_a_new_source_are_maintained(project: Path) -> None:
    """An existing source has to be given the block."""
    text = (project / "acme/defs/shop/defs.yaml").read_text()
    (source,) = yaml.safe_load(text)["attributes"]["sources"]
    settings = OrchestrationSettings.model_validate(source["orchestration"]).maintenance
    assert settings == MaintenanceSettings(schedule="0 3 * * *")
    assert settings.compact
    assert (settings.expire, settings.orphans) == (timedelta(days=5), timedelta(days=3))
    assert OrchestrationSettings().maintenance is None


def test_generated_code_is_formatted_as_this_project_is(project: Path) -> None:
    """Generated code passes the linter."""
    require_formatted(project, "dlt_sources/shop", "tests/sources/shop")


def test_existing_files_are_not_overwritten(project: Path) -> None:
    """A source that is there already is left as it is."""
    with pytest.raises(FileExistsError):
        make_source("shop", project)


@pytest.mark.parametrize("name", ["My-Shop", "my__shop", "class", ""])
def test_a_name_that_cannot_be_used_is_rejected(name: str, tmp_path: Path) -> None:
    """The name becomes a package, a source and a part of table names."""
    with pytest.raises(ValueError, match="is not a valid name"):
        make_source(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_project_is_rejected(tmp_path: Path) -> None:
    """A source is written only where its YAML is read."""
    with pytest.raises(ValueError, match="run this command in the folder of a project"):
        make_source("shop", tmp_path)
    assert list(tmp_path.iterdir()) == []
