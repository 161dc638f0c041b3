"""A REST catalog that survives a token which expires during a load, and has a timeout.

pyiceberg 0.12 repeats a request once that was rejected with 401 or 419, after calling
`_refresh_token` (iceberg-python issue 234). That renews only the token of its oldest way to log in,
with the expired one in the request's header, which a strict server rejects. And it waits for a
response without a time limit (issue 2772; pull request 3418 adds `connection.timeout`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.rest import RestCatalog
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session
    from urllib3 import BaseHTTPResponse

CONNECT_SECONDS = 10.0
# A commit may take a catalog long; after a timeout it is looked for before another attempt.
ANSWER_SECONDS = 120.0


LONGEST_WAIT_SECONDS = 30


class _RetryLater(Retry):
    """Waits as long as the server requests in `Retry-After`, but not for hours."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        asked = super().get_retry_after(response)
        return None if asked is None else min(asked, LONGEST_WAIT_SECONDS)


# A server that is overloaded or limits its callers responds so before it does anything. A commit
# that was applied all the same is found when it conflicts with itself.
_RETRY_LATER = _RetryLater(
    total=4,
    connect=0,
    read=0,
    other=0,
    status_forcelist=(429, 503),
    allowed_methods=None,
    backoff_factor=0.5,
    backoff_max=LONGEST_WAIT_SECONDS,
    raise_on_status=False,
)


class BoundedRestCatalog(RestCatalog):
    """A REST catalog that logs in again when its token is rejected, and times out."""

    def _refresh_token(self) -> None:
        self._session = self._create_session()

    def _config_headers(self, session: Session) -> None:
        # Called first for a new session, before it requests a token.
        super()._config_headers(session)
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Bounded(max_retries=_RETRY_LATER))


class _Bounded(HTTPAdapter):
    def send(self, request: PreparedRequest, *arguments: Any, **keywords: Any) -> Response:
        if keywords.get("timeout") is None:
            keywords["timeout"] = (CONNECT_SECONDS, ANSWER_SECONDS)
        return super().send(request, *arguments, **keywords)
