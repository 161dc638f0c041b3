"""A REST catalog that survives a token which expires in the middle of a load, and waits no longer.

pyiceberg repeats a request once that was refused with 401 or 419, after a call of `_refresh_token`.
That renews the token of its oldest way to log in only, with the expired one in the request's
header, which a strict server refuses. And it waits for an answer without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.rest import RestCatalog
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

CONNECT_SECONDS = 10.0
# A commit may take a catalog long; one that is given up is looked for before it is made again.
ANSWER_SECONDS = 120.0


# A server that is overloaded or limits its callers says so before it does anything; `Retry-After`
# is honoured. A commit that was applied all the same is found when it conflicts with itself.
_RETRY_LATER = Retry(
    total=4,
    connect=0,
    read=0,
    other=0,
    status_forcelist=(429, 503),
    allowed_methods=None,
    backoff_factor=0.5,
    backoff_max=30,
    raise_on_status=False,
)


class BoundedRestCatalog(RestCatalog):
    """Logs in afresh when its token is refused, and gives a silent server up."""

    def _refresh_token(self) -> None:
        self._session = self._create_session()

    def _config_headers(self, session: Session) -> None:
        # The first that happens to a new session, before it asks for a token.
        super()._config_headers(session)
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Bounded(max_retries=_RETRY_LATER))


class _Bounded(HTTPAdapter):
    def send(self, request: PreparedRequest, *arguments: Any, **keywords: Any) -> Response:
        if keywords.get("timeout") is None:
            keywords["timeout"] = (CONNECT_SECONDS, ANSWER_SECONDS)
        return super().send(request, *arguments, **keywords)
