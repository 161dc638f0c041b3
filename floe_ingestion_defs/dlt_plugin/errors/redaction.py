"""Redacts secrets from all text that leaves the plugin: errors, logs, spans, results.

Drivers and HTTP libraries include URLs in their messages, and with them passwords and tokens. The
secrets are known from the configuration; other text that looks like one is redacted by its pattern.
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

REDACTED = "***"
_SECRET_KEYS = re.compile(
    r"pass|pwd|secret|token|credential|api.?key|access.?key|private|auth|signature|sas|cookie",
    re.IGNORECASE,
)
# pyiceberg's property for a header, and the headers that are not secret.
_HEADER = "header."
_ORDINARY_HEADER = re.compile(r"accept|content-|user-agent|x-iceberg-|x-client-", re.IGNORECASE)
# user:password@ of a URL, and its query, in which API keys are sent.
_URL_USER = re.compile(r"(?P<scheme>[a-zA-Z][\w+.-]*://)[^\s/@'\"]*:[^\s/@'\"]*@")
_URL_QUERY = re.compile(r"(?P<url>\b\w+://[^\s?'\"]+|\burl: /[^\s?'\"]*)\?[^\s'\")]+")
# Shorter secrets would redact ordinary words.
_SHORTEST = 4


class Redactor:
    """Redacts the secrets of one configuration from text.

    Args:
        secrets: The secrets.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        shown_as = {form for secret in secrets for form in _forms(secret)}
        self._secrets = sorted(
            (secret for secret in shown_as if len(secret) >= _SHORTEST), key=len, reverse=True
        )

    def __repr__(self) -> str:
        return f"Redactor({len(self._secrets)} secrets)"

    def clean(self, text: str) -> str:
        """Return a text with its secrets redacted."""
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        text = _URL_USER.sub(rf"\g<scheme>{REDACTED}@", text)
        return _URL_QUERY.sub(rf"\g<url>?{REDACTED}", text)

    def finds_secret(self, text: str) -> bool:
        """Return whether a text contains something that `clean` would redact."""
        return self.clean(text) != text


def redactor_for(*configured: Any) -> Redactor:
    """Return a redactor of the secrets in configured values, including placeholders."""
    secrets: set[str] = set()
    for value in configured:
        secrets.update(_secrets_in(value, is_secret=False))
        # Not every variable is a secret, but every secret should be in a variable.
        names = set(placeholder_names(value))
        secrets.update(
            part for name in names if name in os.environ for part in _parts(os.environ[name], name)
        )
    return Redactor(secrets)


def _parts(value: str, name: str) -> Iterator[str]:
    """Yield the secrets in a variable: the password of a URL, or all of it by its name."""
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
    """Return whether a setting is a secret by its name; a header is one unless it is known."""
    if key.lower().startswith(_HEADER):
        return _ORDINARY_HEADER.match(key[len(_HEADER) :]) is None
    return _SECRET_KEYS.search(key) is not None


def _forms(secret: str) -> tuple[str, ...]:
    """Return the forms in which a secret occurs in messages: plain, and quoted for a URL."""
    return secret, quote(secret), quote(secret, safe=""), quote_plus(secret)
