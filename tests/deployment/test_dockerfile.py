"""`deploy/Dockerfile`: its steps, taken in a folder, make a code location that loads."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from deployment.compose import DEPLOY, read_services, required_variables
from deployment.dockerfile import Image, read_steps
from floe_ingestion_defs.definitions import defs

ROOT = DEPLOY.parent
SITE_PACKAGES = Path(pytest.__file__).parents[1]


def build(root: Path, offline: Sequence[str] = ()) -> Image:
    """Take every step of the Dockerfile."""
    image = Image(root, ROOT, tuple(offline))
    if offline:
        # The packages of this environment are used for those that pip would fetch.
        (site,) = (root / "usr").glob("lib/python*/site-packages")
        (site / "packages.pth").write_text(f"{SITE_PACKAGES}\n")
    for step in read_steps(DEPLOY / "Dockerfile"):
        image.take(step)
    return image


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """The image, with this environment's packages instead of fetched ones."""
    return build(tmp_path_factory.mktemp("image"), ["--no-deps", "--no-build-isolation", "--quiet"])


def show(image: Image, code: str) -> str:
    """Run Python in the image, without anything of this process's environment."""
    environment = {**image.variables(), "HOME": str(image.root)}
    return subprocess.run(
        [image.bin / "python", "-c", code],
        cwd=image.place("."),
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    ).stdout


def test_the_steps_make_a_location_that_loads(image: Image) -> None:
    """Everything is copied, and installed so that entry points and defs/ are found."""
    code = """
import floe_ingestion_defs
from floe_ingestion_defs.definitions import defs
from importlib.metadata import entry_points
print(floe_ingestion_defs.__file__)
print(*(point.name for point in entry_points(group="floe.ingestion")))
print(len(defs().resolve_all_asset_keys()))
"""
    module, plugin, assets = show(image, code).splitlines()
    assert Path(module).is_relative_to(image.place("."))
    assert plugin == "dlt"
    assert int(assets) == len(defs().resolve_all_asset_keys())


def test_the_image_holds_nothing_but_the_code_and_its_instance(image: Image) -> None:
    """No tests, no history, no .env, and nothing of Docker's own files."""
    here = {path.name for path in image.place(".").iterdir()}
    assert here == {
        "LICENSE",
        "README.md",
        "constraints.txt",
        "dlt_sources",
        "floe_ingestion_defs",
        "pyproject.toml",
    }
    home = image.place(image.environment["DAGSTER_HOME"])
    assert {path.name for path in home.iterdir()} == {"dagster.yaml", "workspace.yaml", "storage"}


def test_copied_files_are_in_the_docker_build_context() -> None:
    """Everything else is ignored, so that no secret beside the code gets into a layer."""
    ignore = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    shown = {line[1:] for line in ignore if line.startswith("!")}
    copied = {
        source.removesuffix("/__init__.py")
        for name, value in read_steps(DEPLOY / "Dockerfile")
        if name == "COPY"
        for source in value.split()[:-1]
    }
    assert "*" in ignore
    assert copied == shown


def test_nothing_runs_as_root(image: Image) -> None:
    """By number, which is what Kubernetes can check."""
    assert image.user == "10001"
    names = [name for name, _ in read_steps(DEPLOY / "Dockerfile")]
    assert "COPY" not in names[names.index("USER") :]
    assert "RUN" not in names[names.index("USER") :]


def test_the_command_serves_the_location_and_the_health_check_queries_it(image: Image) -> None:
    """There is no shell in between, so that a stop signal reaches Dagster."""
    assert image.command[:3] == ["dagster", "code-server", "start"]
    assert image.health[:3] == ["dagster", "api", "grpc-health-check"]
    port = image.command[image.command.index("-p") + 1]
    assert image.health[-1] == port
    given = dict.fromkeys(required_variables(), "given")
    assert read_services(given)["code"]["environment"]["FLOE_CODE_SERVER_PORT"] == port


@pytest.mark.all_cases
@pytest.mark.timeout(1200)
def test_a_whole_build_installs_all_that_the_location_needs(tmp_path: Path) -> None:
    """With every package fetched, as Docker would, into an environment that has none."""
    image = build(tmp_path)
    packages = "dagster_postgres, dagster_k8s, psycopg2, adbc_driver_postgresql, dagster_webserver"
    assert show(image, f"import {packages}; print('all')") == "all\n"
    environment = {**os.environ, **image.variables(), "DAGSTER_HOME": ""}
    done = subprocess.run(
        [image.bin / "dagster", "definitions", "validate", "-m", "floe_ingestion_defs.definitions"],
        cwd=image.place("."),
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "All code locations passed validation" in done.stderr + done.stdout
