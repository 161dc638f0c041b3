"""A REST catalog whose tokens expire all the time, behind a real proxy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import yaml
from servers.proxy import Proxy, Tokens, running_proxy
from servers.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS
from servers.stack import Stack, rest_stack

from floe_ingestion_defs.dlt_plugin import DestinationWriteError, ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from end_to_end.stacks.conftest import Shop

pytestmark = pytest.mark.rest


@pytest.fixture
def proxy(seaweedfs: SeaweedFS) -> Iterator[Proxy]:
    with running_proxy(seaweedfs.catalog_uri) as proxy:
        yield proxy


@pytest.fixture
def stack(
    proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Stack:
    """The catalog behind the proxy."""
    chosen = rest_stack(seaweedfs, tmp_path, proxy.uri)
    for name, value in chosen.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("RUNTIME__DLTHUB_TELEMETRY", "false")
    return chosen


def log_in_by_auth_manager(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Configures pyiceberg's newer way to log in, which only its file can hold."""
    monkeypatch.delenv("PYICEBERG_CATALOG__FLOE__CREDENTIAL")
    monkeypatch.delenv("PYICEBERG_CATALOG__FLOE__OAUTH2_SERVER_URI")
    login = {
        "client_id": ACCESS_KEY,
        "client_secret": SECRET_KEY,
        "token_url": stack.properties["oauth2-server-uri"],
        "expires_in": "3600",
    }
    auth = {"type": "oauth2", "oauth2": login}
    file = stack.folder / ".pyiceberg.yaml"
    file.write_text(yaml.safe_dump({"catalog": {"floe": {"auth": auth}}}))


@pytest.mark.parametrize("login", ["credential", "auth manager"])
@pytest.mark.parametrize("status", [401, 419])
def test_a_load_continues_when_its_token_expires(
    shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch, status: int, login: Any
) -> None:
    """Every third request is rejected, commits among them, and each row is loaded once."""
    if login == "auth manager":
        log_in_by_auth_manager(shop.stack, monkeypatch)
    proxy.tokens = Tokens(uses=2, status=status)
    shop.options = {"write_mode": "merge", "primary_key": "id"}
    for rows in ([(1, "one"), (2, "two")], [(2, "TWO"), (3, "three")]):
        shop.hold("id integer, name text", *rows)
        shop.load()
    assert proxy.tokens.rejected > 5
    # Requests at the same time are rejected together, and one login serves them all.
    assert proxy.tokens.issued > 5
    proxy.tokens = None
    monkeypatch.undo()
    assert shop.rows("id", "name") == [(1, "one"), (2, "TWO"), (3, "three")]
    assert len(shop.table.snapshots()) == 2


def test_a_login_that_is_withdrawn_ends_the_load_and_leaves_it_to_the_next(
    shop: Shop, proxy: Proxy
) -> None:
    """No further token is given: permanent, nothing half-done, and then each row once."""
    proxy.tokens = Tokens(uses=4, status=401, most=2)
    shop.hold("id integer", (1,), (2,))
    with pytest.raises(DestinationWriteError, match="invalid_client") as failed:
        shop.load()
    assert failed.value.category is ErrorCategory.PERMANENT
    proxy.tokens = None
    names = [name for _, name in shop.stack.catalog().list_tables(shop.stack.namespace)]
    assert "items" not in names
    shop.load()
    assert shop.rows("id") == [(1,), (2,)]
