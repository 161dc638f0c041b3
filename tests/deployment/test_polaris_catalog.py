"""`deploy/create_polaris_catalog.py`, against an HTTP server that answers as Polaris does."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs

import pytest
from servers.loopback import serving

from deployment.compose import DEPLOY, read_services, required_variables

MANAGEMENT = "/api/management/v1/catalogs"
SECRET = "s3cret-of-the-client"


@dataclass
class Polaris:
    """What the server was asked, and what it has."""

    uri: str = ""
    catalogs: dict[str, object] = field(default_factory=dict)
    grants: list[object] = field(default_factory=list)


@pytest.fixture
def polaris() -> Iterator[Polaris]:
    """A server on loopback with Polaris' answers: a token, 201, and 409 for what exists."""
    state = Polaris()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self.path == "/api/catalog/v1/oauth/tokens":
                right = parse_qs(body)["client_secret"] == [SECRET]
                return self.answer(*((200, {"access_token": "t"}) if right else (401, {})))
            if self.headers["Authorization"] != "Bearer t":
                return self.answer(401, {})
            catalog = json.loads(body)["catalog"]
            if catalog["name"] in state.catalogs:
                return self.answer(409, {"error": {"message": "exists"}})
            state.catalogs[catalog["name"]] = catalog
            return self.answer(201, catalog)

        def do_PUT(self) -> None:
            grant = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == f"{MANAGEMENT}/lake/catalog-roles/catalog_admin/grants"
            state.grants.append(grant)
            self.answer(201, None)

        def answer(self, status: int, content: object) -> None:
            body = b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with serving(Handler) as state.uri:
        yield state


def run(polaris: Polaris, secret: str = SECRET) -> subprocess.CompletedProcess[str]:
    """Run the script with the variables that its container has."""
    given = {**dict.fromkeys(required_variables(), "given"), "POLARIS_CLIENT_SECRET": secret}
    service = read_services(given)["polaris-catalog"]
    assert service["command"][1].endswith("/create_polaris_catalog.py")
    return subprocess.run(
        [sys.executable, DEPLOY / "create_polaris_catalog.py"],
        env={"PATH": os.environ["PATH"], **service["environment"], "POLARIS_URI": polaris.uri},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_catalog_is_created_once_and_is_writable(polaris: Polaris) -> None:
    """Every start of the deployment runs it, so the second time changes nothing."""
    for _ in range(2):
        done = run(polaris)
        assert done.returncode == 0, done.stderr
    (catalog,) = polaris.catalogs.values()
    assert isinstance(catalog, dict)
    assert catalog["name"] == "lake"
    assert catalog["storageConfigInfo"]["allowedLocations"] == ["s3://lake/"]
    assert catalog["storageConfigInfo"]["endpoint"] == "http://minio:9000"
    granted = {"grant": {"type": "catalog", "privilege": "CATALOG_MANAGE_CONTENT"}}
    assert polaris.grants == [granted, granted]


def test_a_wrong_secret_is_an_error_that_does_not_show_it(polaris: Polaris) -> None:
    """The log says what failed the deployment, and does not show the secret."""
    done = run(polaris, "another-secret")
    assert done.returncode == 1
    assert "answered 401" in done.stderr
    assert "another-secret" not in done.stderr + done.stdout
