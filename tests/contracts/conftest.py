"""Real distributions on a real path: what `pip install` leaves behind, without pip."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

SAMPLE_PLUGIN = Path(__file__).with_name("sample_plugin.py")


class Install(Protocol):
    """Installs a distribution with one module, a copy of the sample plugin, and one entry point.

    `more_code` is appended to the module; `target` may contain `{module}`.
    """

    def __call__(
        self,
        distribution: str,
        more_code: str = "",
        *,
        name: str = "sample",
        target: str = "{module}:SamplePlugin",
    ) -> None: ...


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs distributions for one test; their modules are forgotten after it."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(
        distribution: str,
        more_code: str = "",
        *,
        name: str = "sample",
        target: str = "{module}:SamplePlugin",
    ) -> None:
        module = distribution.replace("-", "_")
        (tmp_path / f"{module}.py").write_text(f"{SAMPLE_PLUGIN.read_text()}\n{more_code}\n")
        info = tmp_path / f"{module}-1.2.3.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2.3\n"
        )
        (info / "entry_points.txt").write_text(
            f"[floe.ingestion]\n{name} = {target.format(module=module)}\n"
        )
        importlib.invalidate_caches()

    yield install
    for module in list(sys.modules):
        path = getattr(sys.modules[module], "__file__", None)
        if path and Path(path).is_relative_to(tmp_path):
            del sys.modules[module]
