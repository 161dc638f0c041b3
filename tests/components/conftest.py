import importlib
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import dagster as dg
import pytest

from floe_ingestion_defs import definitions as code_location

LoadLocation = Callable[..., dg.Definitions]

PYPROJECT = """
[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{module}"
"""


@pytest.fixture(autouse=True)
def _home(floe_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_DISABLE_TELEMETRY", "1")
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def load_location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LoadLocation]:
    """Loads a project that has our `definitions.py` and the `defs.yaml` files that are given.

    Each argument is a folder below `defs/`; what is given is the YAML of its `attributes:`, or
    the whole file where it names a type. `files` are others below `defs/`, by their paths.
    """
    module = f"project_{uuid4().hex}"

    def load(files: dict[str, str] | None = None, **folders: str) -> dg.Definitions:
        package = tmp_path / module
        (package / "defs").mkdir(parents=True)
        (tmp_path / "pyproject.toml").write_text(PYPROJECT.format(module=module))
        for folder in (package, package / "defs"):
            (folder / "__init__.py").touch()
        shutil.copy(code_location.__file__, package / "definitions.py")
        for name, text in folders.items():
            (package / "defs" / name).mkdir()
            (package / "defs" / name / "defs.yaml").write_text(text)
        for file, text in (files or {}).items():
            (package / "defs" / file).write_text(text)
        monkeypatch.syspath_prepend(str(tmp_path))
        loaded = importlib.import_module(f"{module}.definitions").defs()
        assert isinstance(loaded, dg.Definitions)
        return loaded

    yield load
    for name in [name for name in sys.modules if name.partition(".")[0] == module]:
        del sys.modules[name]
