"""A REST catalog that logs in once, survives a token which expires, and has a timeout.

pyiceberg 0.12 logs in twice for each catalog object, and a load opens several. Here the catalog
objects of one process share a session and the catalog's configuration.

pyiceberg 0.12 repeats a request once that was rejected with 401 or 419, after calling
`_refresh_token` (iceberg-python issue 234). That renews only the token of its oldest way to log in,
with the expired one in the request's header, which a strict server rejects. And it waits for a
response without a time limit (issue 2772; pull request 3418 adds `connection.timeout`).
"""

from __future__ import annotations

import json
import os
from hashlib import sha256
from threading import RLock
from typing import TYPE_CHECKING, Any

from cachetools import TTLCache
from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.typedef import EMPTY_DICT
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from floe_ingestion_defs.destinations.impl.iceberg.catalog.s3_file_io import with_few_requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.catalog.rest.auth import AuthManager
    from pyiceberg.io import FileIO
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


# The properties that pyiceberg's session depends on, apart from those with these prefixes.
_SESSION_PROPERTIES = {
    "audience",
    "auth",
    "credential",
    "oauth2-server-uri",
    "resource",
    "scope",
    "ssl",
    "token",
    "uri",
}
_SESSION_PREFIXES = ("header.", "rest.")
_SIGV4 = "rest.sigv4-enabled"

_lock = RLock()
# A token is used for as long as the server accepts it. Some servers respond to an expired one with
# 403, which says that it lacks a right, so that sessions are not kept for longer than tokens are
# usually valid.
_sessions: TTLCache[str, tuple[Session, AuthManager | None]] = TTLCache(64, 3600)
_configurations: TTLCache[str, dict[str, Any]] = TTLCache(64, 600)


def log_out() -> None:
    """Forget all sessions and configurations; in a child process, whose parent uses them."""
    global _lock
    _lock = RLock()
    _sessions.clear()
    _configurations.clear()


os.register_at_fork(after_in_child=log_out)


def _key(properties: Mapping[str, Any]) -> str:
    # A hash, because properties contain secrets.
    return sha256(json.dumps(properties, sort_keys=True, default=repr).encode()).hexdigest()


class BoundedRestCatalog(RestCatalog):
    """A REST catalog that logs in again when its token is rejected, and times out."""

    def _create_session(self) -> Session:
        if self.properties.get(_SIGV4):  # Such a session signs with any of the properties.
            return super()._create_session()
        key = self._session_key()
        with _lock:
            if key not in _sessions:
                _sessions[key] = super()._create_session(), self._auth_manager
            session, self._auth_manager = _sessions[key]
        return session

    def _session_key(self) -> str:
        return _key(
            {
                name: value
                for name, value in self.properties.items()
                if name in _SESSION_PROPERTIES or name.startswith(_SESSION_PREFIXES)
            }
        )

    def _refresh_token(self) -> None:
        with _lock:
            known = _sessions.get(self._session_key())
            # Another catalog of the process may have logged in again already.
            if known and known[0] is self._session:
                del _sessions[self._session_key()]
            self._session = self._create_session()

    def _fetch_config(self) -> None:
        key = _key(self.properties)
        with _lock:
            known = _configurations.get(key)
            if known is None:
                before = set(vars(self))
                super()._fetch_config()
                known = {k: v for k, v in vars(self).items() if k not in before}
                _configurations[key] = {**known, "uri": self.uri, "properties": self.properties}
            else:
                vars(self).update(known, properties=dict(known["properties"]))

    def _load_file_io(
        self, properties: Mapping[str, str] = EMPTY_DICT, location: str | None = None
    ) -> FileIO:
        merged = {**self.properties, **properties}
        return super()._load_file_io(with_few_requests(merged, location or ""), location)

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
