"""Connections to the databases of `sql_database` sources, from configuration or dlt's providers."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dlt.sources.credentials import ConnectionStringCredentials
    from sqlalchemy import Engine

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions


def resolve_credentials(
    source: IngestionSourceConfig, options: SqlDatabaseOptions
) -> ConnectionStringCredentials:
    """Return the configured URL of the database, or that of dlt's providers."""
    from dlt.common.configuration.resolve import resolve_configuration
    from dlt.sources.credentials import ConnectionStringCredentials

    given = options.credentials if options.credentials is not None else source.credentials
    value: Any = None
    if isinstance(given, dict):
        value = {key: secret.get_secret_value() for key, secret in given.items()}
    elif given is not None:
        value = given.get_secret_value()
    credentials = resolve_configuration(
        ConnectionStringCredentials(),
        sections=("sources", source.name, "credentials"),
        explicit_value=value,
    )
    if credentials.drivername in ("postgres", "postgresql"):
        credentials.drivername = f"postgresql+{_postgresql_driver()}"
    return credentials


def _postgresql_driver() -> str:
    """Return the installed driver: SQLAlchemy 2.1 defaults to psycopg, dlt's extra is psycopg2."""
    return "psycopg2" if find_spec("psycopg") is None and find_spec("psycopg2") else "psycopg"


def create_engine(credentials: ConnectionStringCredentials, options: SqlDatabaseOptions) -> Engine:
    """Create an engine for a database; the caller disposes of it."""
    from dlt.sources.sql_database import engine_from_credentials

    return engine_from_credentials(credentials, **(options.engine_kwargs or {}))


def require_sqlite_file(engine: Engine) -> None:
    """Reject a missing database file, for which SQLite would create an empty database."""
    from pathlib import Path

    database = engine.url.database
    if engine.dialect.name != "sqlite" or not database or database == ":memory:":
        return
    if not database.startswith("file:") and not Path(database).is_file():
        msg = f"database file {database} does not exist"
        raise FileNotFoundError(msg)
