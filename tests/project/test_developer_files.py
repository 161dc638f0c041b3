import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from floe_ingestion_defs.dlt_plugin.config.models import DltIngestionConfig

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / ".env.example"
WORKFLOWS = ROOT / ".github" / "workflows"
SOURCES = sorted(ROOT.glob("floe_ingestion_defs/defs/**/defs.yaml"))
NAMING_TARGETS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(WORKFLOWS.glob("*.yml"))]
SETTING = re.compile(r"^#(?P<name>[A-Z][A-Z0-9_]*)=", re.MULTILINE)


def names_in_example() -> Any:
    """Return the variables that the example environment shows."""
    return {match["name"] for match in SETTING.finditer(EXAMPLE.read_text())}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.parent.name)
def test_every_variable_of_a_source_is_in_the_example_environment(path: Path) -> None:
    """It lists all that the template's sources require from the environment."""
    wanted = set(re.findall(r"\$\{([A-Z0-9_]+)\}", path.read_text())) - {"NAME"}
    assert wanted <= names_in_example()


def test_the_example_environment_reaches_pyiceberg(tmp_path: Path) -> None:
    """Its settings, taken out of their comments, pass through a shell into catalog `floe`."""
    (tmp_path / ".env").write_text(SETTING.sub(r"\g<name>=", EXAMPLE.read_text()))
    show = "from pyiceberg.utils.config import Config; print(*Config().get_catalog_config('floe'))"
    output = subprocess.run(
        ["bash", "-euc", f'set -a; source .env; set +a; "$0" -c "{show}"', sys.executable],
        cwd=tmp_path,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert set(output.split()) == {
        "credential",
        "oauth2-server-uri",
        "py-io-impl",
        "s3.access-key-id",
        "s3.endpoint",
        "s3.region",
        "s3.secret-access-key",
        "scope",
        "type",
        "uri",
        "warehouse",
    }


@pytest.mark.parametrize("path", NAMING_TARGETS, ids=lambda path: path.name)
def test_every_make_target_that_is_named_exists(path: Path) -> None:
    """No document and no workflow names a target that does not exist."""
    makefiles = [ROOT / "Makefile", *ROOT.glob("*.mk")]
    text = "\n".join(makefile.read_text() for makefile in makefiles)
    targets = set(re.findall(r"^([a-z-]+):", text, re.MULTILINE))
    named = re.findall(r"(?:`|\$ |run: )make ([a-z-]+)", path.read_text())
    assert set(named) <= targets


@pytest.mark.parametrize(
    ("target", "extras"), [("dev", "dg"), ("test-fast", "dev"), ("lint", "dev")]
)
def test_a_target_installs_only_what_it_needs(target: str, extras: str, tmp_path: Path) -> None:
    """What runs the code location is a third of what its tests need; these include it."""
    steps = subprocess.run(
        ["make", "--dry-run", f"VENV={tmp_path}", target],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert re.findall(r"-e '\.\[([a-z]+)", steps) == [extras]
    stamps = re.search(r"^touch (.*?)(?: #.*)?$", steps, re.MULTILINE)
    assert stamps is not None
    assert f"{tmp_path}/.runnable" in stamps[1].split()
    assert (f"{tmp_path}/.installed" in stamps[1].split()) == (extras == "dev")


def test_the_source_shown_to_contributors_is_valid() -> None:
    """The YAML in CONTRIBUTING.md is one that the plugin accepts."""
    document = (ROOT / "CONTRIBUTING.md").read_text()
    (block,) = re.findall(r"^ *```yaml\n(.*?)^ *```$", document, re.DOTALL | re.MULTILINE)
    attributes = yaml.safe_load(textwrap.dedent(block))["attributes"]
    assert DltIngestionConfig.model_validate(attributes).sources[0].name == "shop"


def test_ci_runs_on_every_supported_python() -> None:
    """The versions of the matrix are those of the package's classifiers."""
    workflow = yaml.safe_load((WORKFLOWS / "ci.yml").read_text())
    matrix = workflow["jobs"]["test"]["strategy"]["matrix"]["python-version"]
    classifiers = re.findall(r"Python :: (3\.\d+)\"", (ROOT / "pyproject.toml").read_text())
    assert matrix == classifiers


def test_pre_commit_accepts_its_configuration() -> None:
    """The hooks are ones that pre-commit can run."""
    command = [sys.executable, "-m", "pre_commit", "validate-config", ".pre-commit-config.yaml"]
    subprocess.run(command, cwd=ROOT, check=True)
