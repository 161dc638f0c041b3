"""Errors are categorized by their remedy, at any depth of wrapping."""

import socket
from pathlib import Path

import pytest
import requests
import sqlalchemy
from dlt.common.configuration.exceptions import ConfigProviderException
from dlt.common.destination.exceptions import (
    DestinationTerminalException,
    DestinationTransientException,
)
from dlt.common.exceptions import MissingDependencyException
from pyiceberg.exceptions import CommitFailedException, ForbiddenError, ServiceUnavailableError

from floe_ingestion_defs.dlt_plugin import (
    DestinationWriteError,
    ErrorCategory,
    IngestionError,
    PipelineConfigurationError,
    SchemaContractViolation,
    categorize_error,
)
from floe_ingestion_defs.dlt_plugin.errors.categories import retry_after_seconds

TRANSIENT = ErrorCategory.TRANSIENT
PERMANENT = ErrorCategory.PERMANENT
CONFIGURATION = ErrorCategory.CONFIGURATION


def http_error(status: int, **headers: str) -> requests.HTTPError:
    response = requests.Response()
    response.status_code = status
    response.headers.update(headers)
    return requests.HTTPError(f"{status}", response=response)


def wrapped(error: Exception) -> Exception:
    try:
        try:
            raise error
        except Exception as inner:
            msg = "in between"
            raise RuntimeError(msg) from inner
    except RuntimeError as middle:
        outer = ValueError("outermost")
        outer.__cause__ = middle
        return outer


@pytest.mark.parametrize(
    ("error", "category"),
    [
        *[(http_error(status), TRANSIENT) for status in (408, 429, 500, 502, 503, 504)],
        *[(http_error(status), PERMANENT) for status in (401, 403)],
        *[(http_error(status), CONFIGURATION) for status in (400, 404)],
        (TimeoutError(), TRANSIENT),
        (ConnectionResetError(), TRANSIENT),
        (ConnectionRefusedError(), TRANSIENT),
        (requests.ConnectionError(), TRANSIENT),
        (requests.ReadTimeout(), TRANSIENT),
        (requests.exceptions.ChunkedEncodingError(), TRANSIENT),
        (socket.gaierror(-3, "Temporary failure in name resolution"), TRANSIENT),
        (CommitFailedException(), TRANSIENT),
        (ServiceUnavailableError(), TRANSIENT),
        (ForbiddenError(), PERMANENT),
        (PermissionError(), PERMANENT),
        (FileNotFoundError(), CONFIGURATION),
        (ModuleNotFoundError("psycopg2"), CONFIGURATION),
        (MissingDependencyException("x", ["y"]), CONFIGURATION),
        (ConfigProviderException("secrets.toml"), CONFIGURATION),
        (sqlalchemy.exc.NoSuchTableError("orders"), CONFIGURATION),
        (sqlalchemy.exc.ArgumentError("no url"), CONFIGURATION),
        (DestinationTransientException(), TRANSIENT),
        (DestinationTerminalException(), PERMANENT),
        (ValueError("anything else"), PERMANENT),
        (PipelineConfigurationError("x"), CONFIGURATION),
        (SchemaContractViolation("x"), PERMANENT),
    ],
    ids=lambda value: repr(value)[:50] if isinstance(value, Exception) else str(value),
)
def test_an_error_has_its_category_bare_and_wrapped(
    error: Exception, category: ErrorCategory
) -> None:
    assert categorize_error(error) is category
    assert categorize_error(wrapped(error)) is category


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("server closed the connection unexpectedly", TRANSIENT),
        ("database is locked", TRANSIENT),
        ('password authentication failed for user "me"', PERMANENT),
        ("no such table: orders", CONFIGURATION),
        ('database "shop" does not exist', CONFIGURATION),
    ],
)
def test_a_driver_s_message_decides_without_a_code(text: str, category: ErrorCategory) -> None:
    class OperationalError(Exception):
        pass

    error = sqlalchemy.exc.OperationalError("SELECT 1", None, OperationalError(text))
    assert categorize_error(error) is category


@pytest.mark.parametrize(
    ("code", "category"),
    [
        ("08006", TRANSIENT),
        ("57P01", TRANSIENT),
        ("40001", TRANSIENT),
        ("28P01", PERMANENT),
        ("42501", PERMANENT),
        ("3D000", CONFIGURATION),
    ],
)
def test_a_sqlstate_decides(code: str, category: ErrorCategory) -> None:
    class OperationalError(Exception):
        pgcode = code

    error = sqlalchemy.exc.OperationalError("SELECT 1", None, OperationalError("…"))
    assert categorize_error(error) is category


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("FATAL:  terminating connection due to administrator command", TRANSIENT),
        ("server closed the connection unexpectedly", TRANSIENT),
        ("ERROR:  division by zero", PERMANENT),
    ],
)
def test_a_broken_stream_is_recognized_by_its_message(text: str, category: ErrorCategory) -> None:
    """ADBC's streams raise what Arrow makes of an error: no code, no class of its own."""
    error = OSError(f"[libpq] Execution error [PGRES_FATAL_ERROR]: {text}")
    assert categorize_error(error) is category


def test_a_real_driver_s_error_is_categorized(tmp_path: Path) -> None:
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path}/no/such/folder.db")
    with pytest.raises(sqlalchemy.exc.OperationalError) as failed:
        engine.connect()
    assert categorize_error(failed.value) is CONFIGURATION


def test_an_error_keeps_its_category() -> None:
    error = DestinationWriteError("no")
    error.category = TRANSIENT
    assert categorize_error(error) is TRANSIENT


def test_a_server_s_retry_after_is_read() -> None:
    assert retry_after_seconds(wrapped(http_error(429, **{"Retry-After": "7"}))) == 7.0
    assert retry_after_seconds(http_error(429)) is None


def test_every_error_names_its_subject() -> None:
    error = IngestionError(
        "it failed",
        source_name="shop",
        source_type="sql_database",
        destination_table="bronze.orders",
        pipeline_name="shop",
    )
    for part in ("it failed", "shop", "sql_database", "bronze.orders"):
        assert part in str(error)
