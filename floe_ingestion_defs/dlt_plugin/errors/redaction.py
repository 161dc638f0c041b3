"""Keeps secrets out of whatever leaves the plugin as text: errors, logs, spans, results.

Drivers and HTTP libraries put URLs, and with them passwords and tokens, into their messages. What
is secret is known from the configuration; what only looks like one is struck out by its shape.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus, urlsplit

from pydantic import SecretStr

from floe_ingestion_defs.dlt_plugin.config.placeholders import (
    placeholder_names,
    resolve_placeholders,
)

STRUCK_OUT = "***"
_SECRET_KEYS = re.compile(
    r"pass|pwd|secret|token|credential|api.?key|access.?key|private|auth|signature|sas|cookie",
    re.IGNORECASE,
)
# pyiceberg's property for a header, and those headers that say nothing secret.
_HEADER = "header."
_ORDINARY_HEADER = re.compile(r"accept|content-|user-agent|x-iceberg-|x-client-", re.IGNORECASE)
# user:password@ of a URL, and the query of one, which is where API keys are sent.
_URL_USER = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)[^\s/@'\"]*:[^\s/@'\"]*@")
_URL_QUERY = re.compile(r"(?P<url>\b\w+://[^\s?'\"]+|\burl: /[^\s?'\"]*)\?[^\s'\")]+")
# Shorter ones would strike out ordinary words.
_SHORTEST = 4


class Redactor:
    """Strikes the secrets of one configuration out of texts.

    Args:
        secrets: The secrets themselves.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        shown_as = {form for secret in secrets for form in _forms(secret)}
        self._secrets = sorted(
            (secret for secret in shown_as if len(secret) >= _SHORTEST), key=len, reverse=True
        )

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def clean(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, STRUCK_OUT)
        text = _URL_USER.sub(rf"\g<scheme>{STRUCK_OUT}@", text)
        return _URL_QUERY.sub(rf"\g<url>?{STRUCK_OUT}", text)

    def finds_secret(self, text: str) -> bool:
        """Whether a text holds something that `clean` would strike out."""
        return self.clean(text) != text


def redactor_for(*configured: Any) -> Redactor:
    """Make a redactor that knows the secrets of configured values, placeholders included."""
    secrets: set[str] = set()
    for value in configured:
        secrets.update(_secrets_in(value, is_secret=False))
        # Not every variable is a secret, but every one that is a secret is a variable.
        names = set(placeholder_names(value))
        secrets.update(
            part for name in names if name in os.environ for part in _parts(os.environ[name], name)
        )
    return Redactor(secrets)


def _parts(value: str, name: str) -> Iterator[str]:
    """Give what is secret in a variable: of a URL its password, else all if its name says so."""
    password = _password(value)
    if password is not None:
        yield password
    if "://" not in value and _SECRET_KEYS.search(name):
        yield value


def _password(value: str) -> str | None:
    if "://" not in value:
        return None
    try:
        return urlsplit(value).password
    except ValueError:
        return None


def _secrets_in(value: Any, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, SecretStr):
        value, is_secret = value.get_secret_value(), True
    if isinstance(value, str):
        names = set(placeholder_names(value))
        if names:
            if names <= os.environ.keys() and is_secret:
                yield from _secrets_in(resolve_placeholders(value), is_secret=True)
            return
        password = _password(value)
        if password is not None:
            yield password
        elif is_secret and "://" not in value:
            yield value
            yield value.partition(":")[2]  # Of an OAuth2 credential, id:secret.
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if str(key).lower() == "headers" and isinstance(item, Mapping):
                item = {f"{_HEADER}{name}": header for name, header in item.items()}
            yield from _secrets_in(item, is_secret=is_secret or _names_secret(str(key)))
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _secrets_in(item, is_secret=is_secret)


def _names_secret(key: str) -> bool:
    """Whether a setting's name says that it is a secret; a header is one unless it is known."""
    if key.lower().startswith(_HEADER):
        return _ORDINARY_HEADER.match(key[len(_HEADER) :]) is None
    return _SECRET_KEYS.search(key) is not None


def _forms(secret: str) -> tuple[str, ...]:
    """Give a secret as it stands in messages: plain, and quoted for a URL."""
    return secret, quote(secret), quote(secret, safe=""), quote_plus(secret)
