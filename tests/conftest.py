"""What all tests share: the fixtures of the real servers, and the marker of tests that use them."""

import pytest

pytest_plugins = ["servers.fixtures"]

_SERVER_FIXTURES = {"seaweedfs", "postgres", "own_seaweedfs", "own_postgres", "spark"}
# The parameters of `stack`, `lake` and `server` that start a server.
_SERVER_KINDS = ("rest", "postgres")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test that starts a server with `servers`, before `-m` selects by marker."""
    for item in items:
        if isinstance(item, pytest.Function) and _starts_a_server(item):
            item.add_marker("servers")


def _starts_a_server(item: pytest.Function) -> bool:
    if item.get_closest_marker("rest") or not _SERVER_FIXTURES.isdisjoint(item.fixturenames):
        return True
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    return any(isinstance(kind, str) and kind.startswith(_SERVER_KINDS) for kind in parameters)
