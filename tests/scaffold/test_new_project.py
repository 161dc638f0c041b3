"""A project that depends on the wheel, created and used where the checkout is not importable."""

import re
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from dagster_cloud_cli.config.models import load_dagster_cloud_yaml
from deployment.console import read_commands
from pyiceberg.catalog import Catalog, load_catalog
from scaffold.formatting import require_formatted

from floe_ingestion_defs.scaffold.new_project import compatible_versions, make_project
from floe_ingestion_defs.scaffold.project_files import EXTRAS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def project(environment: Any) -> Path:
    """A new project, made with the installed wheel and installed itself, with a source `shop`."""
    folder: Path = environment.home / "acme-ingestion"
    scaffold = "floe_ingestion_defs.scaffold"
    arguments = ("-m", f"{scaffold}.new_project", "acme_ingestion", folder)
    environment.run("python", *arguments, cwd=environment.home)
    environment.install("-e", folder)
    environment.run("python", "-m", f"{scaffold}.new_source", "shop", cwd=folder)
    return folder


def test_the_wheel_holds_the_engine_and_nothing_of_a_project(wheel: Path) -> None:
    """The wheel must not contain what a project has itself, because the two would conflict."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (entry_points,) = [name for name in names if name.endswith("entry_points.txt")]
        registered = archive.read(entry_points).decode()
    assert {name.split("/")[0] for name in names} == {
        "floe_ingestion_defs",
        "floe_ingestion_defs-0.1.0.dist-info",
    }
    assert not [name for name in names if "/defs/" in name or name.endswith("/definitions.py")]
    assert {"floe_ingestion_defs/py.typed", "floe_ingestion_defs/pytest_plugin.py"} <= set(names)
    groups = ("[dagster_dg_cli.registry_modules]", "[dlt]", "[floe.ingestion]", "[pytest11]")
    assert all(group in registered for group in groups)


def test_the_checkout_is_not_importable(environment: Any, project: Path) -> None:
    """Otherwise the rules below would hold for the checkout and say nothing about the wheel."""
    show = "import floe_ingestion_defs as f, dlt_sources as d; print(f.__file__); print(d.__file__)"
    engine, sources = environment.run("python", "-c", show, cwd=environment.home).splitlines()
    assert Path(engine).is_relative_to(environment.folder)
    assert Path(sources).is_relative_to(project)


def test_a_new_project_loads_its_first_source(environment: Any, project: Path) -> None:
    """Dagster's own checks pass, and a run loads the table, all from the wheel."""
    assert "All definitions loaded successfully" in make(environment, project, "check")
    validated = environment.run("dagster", "definitions", "validate", cwd=project)
    assert "All code locations passed validation" in validated
    load = ("asset", "materialize", "--select", "ingestion__shop__items")
    environment.run("dagster", *load, "-m", "acme_ingestion.definitions", cwd=project)
    catalog = open_tables(environment.home / "floe")
    rows = catalog.load_table("bronze.shop_items").scan().to_arrow().sort_by("id")
    assert rows.select(["id", "name"]).to_pylist() == [
        {"id": number, "name": f"item {number}"} for number in (1, 2, 3)
    ]


def test_a_branch_of_a_new_project_loads_and_is_dropped(environment: Any, project: Path) -> None:
    """The commands of the page, in their order; the branch's tables are there in between."""
    commands, _ = read_commands(ROOT / "docs" / "dagster" / "branch-deployments.md")
    (project / ".venv").symlink_to(environment.folder)
    (environment.folder / "bin" / "bash").symlink_to("/bin/bash")
    catalog = open_tables(environment.home / "floe")
    there = []
    for command in commands:
        environment.run("bash", "-ec", command, cwd=project)
        there.append(catalog.namespace_exists("bronze__pr_123"))
    assert there == [True, False]
    assert catalog.table_exists("bronze.shop_items")


def open_tables(home: Path) -> Catalog:
    return load_catalog(
        "floe", type="sql", uri=f"sqlite:///{home}/catalog.db", warehouse=f"file://{home}/warehouse"
    )


def test_a_new_project_passes_its_own_tests(environment: Any, project: Path) -> None:
    """The location's test and the source's, with the fixtures that the wheel brings."""
    assert "2 passed" in make(environment, project, "test", "ARGS=-q -p no:cacheprovider")


def test_make_installs_a_new_project_with_the_versions_of_its_constraints(
    environment: Any, project: Path
) -> None:
    """Without fetching anything: they are the versions of the packages that the tests run with."""
    offline = ("PIP_NO_INDEX=1", "PIP_NO_BUILD_ISOLATION=0")
    stamp = environment.home / "installed"
    installed = f"INSTALLED={stamp}"
    make(environment, project, "venv", installed, "EXTRAS=dev,postgres,duckdb", env=offline)
    assert stamp.exists()
    pinned = dict(line.split("==") for line in (project / "constraints.txt").read_text().split())
    assert pinned["dlt"] == version("dlt")
    assert {"dagster", "dagster-dg-cli", "duckdb", "psycopg2-binary", "pytest"} <= set(pinned)
    assert "floe-ingestion-defs" not in pinned


def test_a_new_project_names_the_engine_s_extras_and_variables(project: Path) -> None:
    """As the engine itself has them, for users: those for its own tests are not among them."""
    engine = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = tomllib.loads((project / "pyproject.toml").read_text())["project"]
    internal = {"bench", "demo", "dev", "dg", "docs", "test"}
    assert set(engine["optional-dependencies"]) - internal == set(EXTRAS)
    assert set(named["optional-dependencies"]) == {*EXTRAS, "dev"}
    known, listed = (
        set(re.findall(r"^#([A-Z][A-Z0-9_]*)=", file.read_text(), re.MULTILINE))
        for file in (ROOT / ".env.example", project / ".env.example")
    )
    assert "PYICEBERG_CATALOG__FLOE__URI" in listed
    assert listed <= known


def make(environment: Any, project: Path, *arguments: str, env: tuple[str, ...] = ()) -> str:
    """Run a target of the new project's Makefile in the environment that it is installed in."""
    given = (f"BIN={environment.folder / 'bin'}", *arguments)
    stamps = () if env else ("--old-file", ".venv/.installed")
    return str(environment.run_program("env", *env, "make", *stamps, *given, cwd=project))


def test_dagster_plus_accepts_a_new_project(project: Path) -> None:
    """Its dagster_cloud.yaml has no key that is not one, and names the location as dg does."""
    read = load_dagster_cloud_yaml((project / "dagster_cloud.yaml").read_text())
    (location,) = read.locations
    assert location.location_name == "acme_ingestion"
    assert location.code_source is not None
    assert location.code_source.module_name == "acme_ingestion.definitions"


def test_generated_code_is_formatted_as_this_project_is(project: Path) -> None:
    """Generated code passes the linter."""
    require_formatted(project, "acme_ingestion", "tests")


def test_existing_files_are_not_overwritten(tmp_path: Path) -> None:
    """In a folder that holds one of the files, none is written."""
    (tmp_path / "pyproject.toml").write_text("mine")
    with pytest.raises(FileExistsError):
        make_project("acme", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["pyproject.toml"]


@pytest.mark.parametrize("name", ["Acme", "dlt_sources", "tests", "class"])
def test_a_name_that_cannot_be_used_is_rejected(name: str, tmp_path: Path) -> None:
    """The name becomes a package beside `dlt_sources` and `tests`."""
    with pytest.raises(ValueError, match="name"):
        make_project(name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("current", "allowed"), [("0.1.3", ">=0.1.3,<0.2"), ("2.4.0", ">=2.4.0,<3")]
)
def test_a_project_allows_every_compatible_version(current: str, allowed: str) -> None:
    """Semantic versioning: fixes come by upgrading, breaking changes by a decision."""
    assert compatible_versions(current) == allowed
