"""What all tests share: the fixtures of the real servers, the marker `servers`, and the order."""

from pathlib import Path

import pytest

pytest_plugins = ["servers.fixtures"]

_SERVER_FIXTURES = {
    "seaweedfs",
    "postgres",
    "own_seaweedfs",
    "own_postgres",
    "dask_address",
    "ray_address",
    "spark",
}
# The parameters of `stack`, `lake` and `server` that start a server.
_SERVER_KINDS = ("rest", "postgres")
# The folders whose files take longest. A file is run by one process, so a long one that comes last
# would keep one process busy and the others idle.
_LONGEST = ("deployment", "ui", "scaffold", "end_to_end", "faults", "sources", "project")
_HERE = Path(__file__).parent


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that starts a server, before `-m` selects, and put the longest first."""
    for item in items:
        if isinstance(item, pytest.Function) and _starts_a_server(item):
            item.add_marker("servers")
    items.sort(key=_position_of_folder)


def _position_of_folder(item: pytest.Item) -> int:
    folder = item.path.relative_to(_HERE).parts[0]
    return _LONGEST.index(folder) if folder in _LONGEST else len(_LONGEST)


def _starts_a_server(item: pytest.Function) -> bool:
    if item.get_closest_marker("rest") or not _SERVER_FIXTURES.isdisjoint(item.fixturenames):
        return True
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return any(isinstance(kind, str) and kind.startswith(_SERVER_KINDS) for kind in parameters)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    """An empty landing folder."""
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder
