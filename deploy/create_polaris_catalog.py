"""Creates the catalog in Polaris, and allows its client to write tables; can be run again.

It requires no package, and reads everything from the environment: POLARIS_URI, POLARIS_CLIENT_ID,
POLARIS_CLIENT_SECRET, CATALOG, CATALOG_LOCATION and S3_ENDPOINT.
"""

import json
import os
import sys
import urllib.error
import urllib.parse
import urllib.request
from typing import Any

_SECONDS = 30
_EXISTS = 409


def main() -> int:
    """Create what does not exist yet."""
    uri, catalog = os.environ["POLARIS_URI"], os.environ["CATALOG"]
    location = os.environ["CATALOG_LOCATION"]
    token = _ask(
        "POST",
        f"{uri}/api/catalog/v1/oauth/tokens",
        form={
            "grant_type": "client_credentials",
            "client_id": os.environ["POLARIS_CLIENT_ID"],
            "client_secret": os.environ["POLARIS_CLIENT_SECRET"],
            "scope": "PRINCIPAL_ROLE:ALL",
        },
    )["access_token"]
    storage = {
        "storageType": "S3",
        "allowedLocations": [location],
        "endpoint": os.environ["S3_ENDPOINT"],
        "pathStyleAccess": True,
    }
    made = {
        "name": catalog,
        "type": "INTERNAL",
        "properties": {"default-base-location": location},
        "storageConfigInfo": storage,
    }
    management = f"{uri}/api/management/v1/catalogs"
    _ask("POST", management, token, {"catalog": made})
    # The creator of a catalog may manage it, but may not write into it before this.
    grant = {"type": "catalog", "privilege": "CATALOG_MANAGE_CONTENT"}
    role = f"{management}/{urllib.parse.quote(catalog)}/catalog-roles/catalog_admin/grants"
    _ask("PUT", role, token, {"grant": grant})
    print(f"catalog {catalog} is there, at {location}")
    return 0


def _ask(
    method: str,
    url: str,
    token: str | None = None,
    body: dict[str, Any] | None = None,
    form: dict[str, str] | None = None,
) -> dict[str, Any]:
    headers = {"Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if body is not None:
        headers["Content-Type"] = "application/json"
    data = urllib.parse.urlencode(form) if form is not None else json.dumps(body)
    request = urllib.request.Request(url, data.encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:
            answered: dict[str, Any] = json.loads(response.read() or b"{}")
            return answered
    except urllib.error.HTTPError as error:
        if error.code == _EXISTS:
            return {}
        # The response describes the error; the request, which contains the secret, is not shown.
        said = error.read().decode(errors="replace")
        print(f"error: {method} {url} answered {error.code}: {said}", file=sys.stderr)
        raise SystemExit(1) from None


if __name__ == "__main__":
    sys.exit(main())
