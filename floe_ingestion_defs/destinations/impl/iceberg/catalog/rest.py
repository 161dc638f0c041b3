"""A REST catalog that survives a token which expires in the middle of a load, and waits no longer.

pyiceberg repeats a request once that was refused with 401 or 419, after a call of `_refresh_token`.
That renews the token of its oldest way to log in only, with the expired one in the request's
header, which a strict server refuses. And it waits for an answer without end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.rest import RestCatalog
from requests.adapters import HTTPAdapter

if TYPE_CHECKING:
    from requests import PreparedRequest, Response, Session

CONNECT_SECONDS = 10.0
# A commit may take a catalog long; one that is given up is looked for before it is made again.
ANSWER_SECONDS = 120.0


class BoundedRestCatalog(RestCatalog):
    """Logs in afresh when its token is refused, and gives a silent server up."""

    def _refresh_token(self) -> None:
        self._session = self._create_session()

    def _config_headers(self, session: Session) -> None:
        # The first that happens to a new session, before it asks for a token.
        super()._config_headers(session)
        for scheme in ("http://", "https://"):
            session.mount(scheme, _Bounded())


class _Bounded(HTTPAdapter):
    def send(self, request: PreparedRequest, *arguments: Any, **keywords: Any) -> Response:
        if keywords.get("timeout") is None:
            keywords["timeout"] = (CONNECT_SECONDS, ANSWER_SECONDS)
        return super().send(request, *arguments, **keywords)
