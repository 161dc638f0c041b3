"""Names of datasets by OpenLineage's naming conventions, so that lineage joins that of other tools.

A table is named by its location, as the integrations of Spark, Flink and Trino name it; its name in
the catalog is a symlink. Names contain no credentials.
"""

from typing import Any, NamedTuple
from urllib.parse import urlsplit, urlunsplit

from pydantic import SecretStr

from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dlt_plugin import IngestionSourceConfig
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

_FILE = "file"
_SCHEMES = {"s3a": "s3", "s3n": "s3", "gcs": "gs", "abfs": "abfss"}
# Namespace, default port and default schema of a SQLAlchemy dialect; a schema of None has no place
# in the name.
_DATABASES: dict[str, tuple[str, int | None, str | None]] = {
    "postgresql": ("postgres", 5432, "public"),
    "postgres": ("postgres", 5432, "public"),
    "mysql": ("mysql", 3306, None),
    "mariadb": ("mysql", 3306, None),
    "mssql": ("mssql", 1433, "dbo"),
}


class DatasetName(NamedTuple):
    """Namespace and name, which identify a dataset."""

    namespace: str
    name: str


def name_of_location(location: str) -> DatasetName:
    """Return the name of a dataset by its location, such as `s3://bucket/path`."""
    parts = urlsplit(location)
    if parts.scheme in ("", _FILE):
        return DatasetName(_FILE, parts.path or location)
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    # In a URL of Azure, the part before the @ is the container.
    host = parts.netloc if scheme == "abfss" else parts.netloc.rpartition("@")[2]
    return DatasetName(f"{scheme}://{host}", parts.path.strip("/") or "/")


def name_of_source(configured: ConfiguredSource, resource: str) -> DatasetName | None:
    """Return the name of the table, endpoint or folder that a resource is loaded from.

    Args:
        configured: The source.
        resource: Name of the resource.

    Returns:
        None if it is not known: the source is Python code, or a variable is not set here.
    """
    from floe_ingestion_defs.dlt_plugin.preparation import resolve_source

    try:
        source, options = resolve_source(configured.source)
    except PipelineConfigurationError:
        return None
    match source.source_type:
        case "sql_database":
            return _name_of_table(source, options, resource)
        case "filesystem":
            return name_of_location(str(getattr(options, "bucket_url", "")))
        case "rest_api":
            return _name_of_endpoint(source, resource)
    return None


def _name_of_table(source: IngestionSourceConfig, options: Any, table: str) -> DatasetName | None:
    from sqlalchemy.engine import URL, make_url
    from sqlalchemy.exc import ArgumentError

    given = source.credentials if options.credentials is None else options.credentials
    try:
        if isinstance(given, dict):
            parts = {key: value.get_secret_value() for key, value in given.items()}
            port = parts.get("port")
            url = URL.create(
                parts["drivername"],
                host=parts.get("host"),
                port=int(port) if port else None,
                database=parts.get("database"),
            )
        elif isinstance(given, SecretStr):
            url = make_url(given.get_secret_value())
        else:
            return None
    except (ArgumentError, KeyError, ValueError):
        return None
    dialect = url.get_backend_name()
    if dialect == "sqlite":
        return DatasetName(_FILE, f"{url.database}/{table}")
    scheme, default_port, schema = _DATABASES.get(dialect, (dialect, None, None))
    host, listening = url.host or "localhost", url.port or default_port
    names_of_parts = (url.database, options.schema_ or schema, table)
    return DatasetName(
        f"{scheme}://{host}:{listening}" if listening else f"{scheme}://{host}",
        ".".join(part for part in names_of_parts if part),
    )


def _name_of_endpoint(source: IngestionSourceConfig, resource: str) -> DatasetName:
    from floe_ingestion_defs.dlt_plugin.config.source_options import rest_resources

    endpoint = rest_resources(source.source_config)[resource].get("endpoint")
    path = endpoint.get("path") if isinstance(endpoint, dict) else endpoint
    base = urlsplit(str(source.source_config["client"]["base_url"]))
    below = str(path or resource).partition("?")[0].strip("/")
    name = "/".join(part for part in (base.path.strip("/"), below) if part)
    return DatasetName(f"{base.scheme}://{base.netloc.rpartition('@')[2]}", name)


def without_credentials(uri: str) -> str:
    """Return the URI of a catalog without user, password, query and driver."""
    parts = urlsplit(uri)
    scheme, host = parts.scheme.partition("+")[0], parts.netloc.rpartition("@")[2]
    return urlunsplit((scheme, host, parts.path, "", ""))
