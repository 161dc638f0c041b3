"""Categorizes any error: whether a retry can help, and who has to act on it.

Errors arrive wrapped: dlt wraps the source's, SQLAlchemy the driver's, requests urllib3's. The
innermost error with a known category decides. Classes are recognized by name, so that only the
libraries that raised them are imported.
"""

from __future__ import annotations

import errno
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    ErrorCategory,
    IngestionError,
    PipelineConfigurationError,
    SchemaContractViolation,
)
from floe_ingestion_defs.dlt_plugin.errors.object_store import storage_category, storage_status

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TRANSIENT = frozenset(
    {
        "builtins.TimeoutError",
        "builtins.ConnectionError",
        "socket.gaierror",
        "concurrent.futures._base.TimeoutError",
        "concurrent.futures._base.CancelledError",
        "distributed.scheduler.KilledWorker",
        "ray.exceptions.RayError",
        "http.client.IncompleteRead",
        "http.client.RemoteDisconnected",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
        "requests.exceptions.ChunkedEncodingError",
        "requests.exceptions.ContentDecodingError",
        "urllib3.exceptions.ProtocolError",
        "urllib3.exceptions.TimeoutError",
        "aiohttp.client_exceptions.ClientConnectionError",
        "sqlalchemy.exc.TimeoutError",
        "sqlalchemy.exc.DisconnectionError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "pyiceberg.exceptions.CommitFailedException",
        "pyiceberg.exceptions.CommitStateUnknownException",
        "pyiceberg.exceptions.ServerError",
        "pyiceberg.exceptions.ServiceUnavailableError",
        "pyiceberg.exceptions.TooManyRequestsError",
        "pyiceberg.exceptions.AuthorizationExpiredError",
    }
)
_PERMANENT = frozenset(
    {
        "builtins.PermissionError",
        "botocore.exceptions.NoCredentialsError",
        "dlt.common.schema.exceptions.DataValidationError",
        "pyiceberg.exceptions.UnauthorizedError",
        "pyiceberg.exceptions.ForbiddenError",
        "pyiceberg.exceptions.OAuthError",
    }
)
# Raised only if something is missing in the configuration or the installation; the errors below
# also have other causes in other places.
SETUP_ERRORS = frozenset(
    {
        "builtins.ImportError",
        "dlt.common.configuration.exceptions.ConfigurationException",
        "dlt.common.exceptions.MissingDependencyException",
        "sqlalchemy.exc.ArgumentError",
        "sqlalchemy.exc.NoSuchModuleError",
        "sqlalchemy.exc.NoSuchTableError",
    }
)
_CONFIGURATION = SETUP_ERRORS | frozenset(
    {
        "builtins.FileNotFoundError",
        "builtins.NotADirectoryError",
        "floe_ingestion_defs.destinations.impl.iceberg.errors.InvalidHint",
        "floe_ingestion_defs.branch.InvalidBranch",
        "floe_ingestion_defs.destinations.impl.iceberg.errors.DatasetRefused",
        "floe_ingestion_defs.destinations.impl.iceberg.errors.UnsupportedCatalog",
        "pydantic_core._pydantic_core.ValidationError",
        "pyiceberg.exceptions.BadRequestError",
        "pyiceberg.exceptions.NoSuchNamespaceError",
        "pyiceberg.exceptions.NotInstalledError",
        "requests.exceptions.InvalidURL",
        "requests.exceptions.MissingSchema",
        "requests.exceptions.InvalidSchema",
    }
)
# dlt's own category, used if no wrapped error has one.
_DLT_TRANSIENT = "dlt.common.destination.exceptions.DestinationTransientException"
# https://www.postgresql.org/docs/current/errcodes-appendix.html, by class.
_SQLSTATE = {
    "08": ErrorCategory.TRANSIENT,
    "40": ErrorCategory.TRANSIENT,
    "53": ErrorCategory.TRANSIENT,
    "55": ErrorCategory.TRANSIENT,
    "57": ErrorCategory.TRANSIENT,
    "28": ErrorCategory.PERMANENT,
    "3D": ErrorCategory.CONFIGURATION,
    "3F": ErrorCategory.CONFIGURATION,
    "42": ErrorCategory.CONFIGURATION,
}
_SQLSTATE_DENIED = "42501"
_DRIVER_TEXTS = (
    ("unable to open database", ErrorCategory.CONFIGURATION),
    ("no such table", ErrorCategory.CONFIGURATION),
    ("no such column", ErrorCategory.CONFIGURATION),
    ("does not exist", ErrorCategory.CONFIGURATION),
    ("authentication failed", ErrorCategory.PERMANENT),
    ("access denied", ErrorCategory.PERMANENT),
    ("permission denied", ErrorCategory.PERMANENT),
)
# Prefix of libpq's message in the middle of an ADBC stream, which has a message but no code.
_STREAM = "[libpq]"
_GONE_AWAY = (
    "terminating connection",
    "server closed the connection",
    "no connection to the server",
    "could not receive data",
    "ssl syscall error",
    "ssl connection has been closed",
    "the database system is",
    "conflict with recovery",
    "deadlock detected",
)
_CLIENT_ERROR, _SERVER_ERROR = 400, 500


def error_chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors that it wraps, outermost first, each once."""
    seen: set[int] = set()
    todo: list[BaseException] = [error]
    while todo:
        current = todo.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        hidden = None if current.__suppress_context__ else current.__context__
        wrapped = (
            current.__cause__ or hidden,
            # dlt's PipelineStepFailed and job errors, SQLAlchemy's DBAPIError.
            getattr(current, "exception", None),
            getattr(current, "client_exception", None),
            getattr(current, "orig", None),
        )
        todo += [inner for inner in wrapped if isinstance(inner, BaseException)]


def categorize_error(error: BaseException) -> ErrorCategory:
    """Return the category of an error, which says what to do about it.

    TRANSIENT: 408, 429, 5xx, timeouts, resets, a lost database connection, a commit conflict.
    PERMANENT: 401, 403, missing permissions, a violated contract, and any unknown error.
    CONFIGURATION: 400, 404, an invalid configuration, a missing package.
    PARTIAL is not a category of one load; see `category_of_failures`.

    Args:
        error: Any exception; the errors that it wraps are examined too.
    """
    chain = list(error_chain(error))
    for known in chain:
        if isinstance(known, SchemaContractViolation):
            return ErrorCategory.PERMANENT
        if isinstance(known, PipelineConfigurationError):
            return ErrorCategory.CONFIGURATION
        if isinstance(known, IngestionError) and known.category is not None:
            return known.category
    # pyiceberg's interpretation of a catalog's status wins: a 400 for a login is a failed login.
    for inner in (*filter(_is_catalogs, reversed(chain)), *reversed(chain)):
        category = _category(inner)
        if category is not None:
            return category
    if any(_DLT_TRANSIENT in class_names(known) for known in chain):
        return ErrorCategory.TRANSIENT
    return ErrorCategory.PERMANENT


def category_of_failures(errors: Sequence[IngestionError], *, partial: bool) -> ErrorCategory:
    """Return the category of several failed loads of one source.

    Args:
        errors: Their errors, at least one.
        partial: Whether other loads of the source succeeded.
    """
    if partial:
        return ErrorCategory.PARTIAL
    categories = [categorize_error(error) for error in errors]
    # A retry helps only if it helps all of them.
    lasting = [found for found in categories if found is not ErrorCategory.TRANSIENT]
    return (lasting or categories)[0]


def retry_after_seconds(error: BaseException) -> float | None:
    """Return the number of seconds that a server requests to wait; None if it does not."""
    for inner in error_chain(error):
        headers: Any = getattr(getattr(inner, "response", None), "headers", None)
        value = None if headers is None else headers.get("Retry-After")
        if isinstance(value, str) and (seconds := _seconds_until(value.strip())) is not None:
            return seconds
    return None


def _seconds_until(value: str) -> float | None:
    """Return the seconds of a `Retry-After`, which has seconds or a date (RFC 9110, 10.2.3)."""
    if value.isdigit():
        return float(value)
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, (date - datetime.now(UTC)).total_seconds())


def _is_catalogs(error: BaseException) -> bool:
    return type(error).__module__.startswith("pyiceberg.")


def class_names(error: BaseException) -> set[str]:
    """Return the full names of an error's class and of its base classes."""
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}


def _category(error: BaseException) -> ErrorCategory | None:
    stored = storage_category(error)
    if stored is not None:
        return stored
    status = _http_status(error)
    if status is not None:
        return _of_status(status)
    names = class_names(error)
    if names & _PERMANENT:
        return ErrorCategory.PERMANENT
    if names & _CONFIGURATION:
        return ErrorCategory.CONFIGURATION
    if names & _TRANSIENT:
        return ErrorCategory.TRANSIENT
    if isinstance(error, OSError) and error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH):
        return ErrorCategory.TRANSIENT
    if isinstance(error, OSError) and _STREAM in str(error):
        text = str(error).lower()
        return ErrorCategory.TRANSIENT if any(part in text for part in _GONE_AWAY) else None
    code = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(code, str) and (code == _SQLSTATE_DENIED or code[:2] in _SQLSTATE):
        return _SQLSTATE.get(code[:2]) if code != _SQLSTATE_DENIED else ErrorCategory.PERMANENT
    if any(name.rpartition(".")[2] in ("OperationalError", "InterfaceError") for name in names):
        text = str(error).lower()
        return next(
            (found for part, found in _DRIVER_TEXTS if part in text), ErrorCategory.TRANSIENT
        )
    return None


def _of_status(status: int) -> ErrorCategory | None:
    # Catalogs return 419 for an expired token.
    if status in (408, 419, 425, 429) or status >= _SERVER_ERROR:
        return ErrorCategory.TRANSIENT
    if status in (401, 403):
        return ErrorCategory.PERMANENT
    return ErrorCategory.CONFIGURATION if status >= _CLIENT_ERROR else None


def _http_status(error: BaseException) -> int | None:
    response: Any = getattr(error, "response", None)
    if isinstance(response, dict):  # botocore
        response = response.get("ResponseMetadata", {})
        status = response.get("HTTPStatusCode")
    else:
        status = getattr(response, "status_code", None)
    if status is None:
        status = getattr(error, "status", None)  # aiohttp, google
    if status is None:
        status = storage_status(error)
    return status if isinstance(status, int) else None
