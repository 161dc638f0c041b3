"""Optional packages that a source requires, and how to install them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from pydantic import SecretStr

from floe_ingestion_defs.dlt_plugin.config.placeholders import missing_names, resolve_placeholders

if TYPE_CHECKING:
    from collections.abc import Iterable

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig

# Required modules, by what is configured. Where one of several modules is sufficient, the
# requirement is that of the first.
_FILE_SYSTEMS = {
    "s3": ("s3fs",),
    "s3a": ("s3fs",),
    "gs": ("gcsfs",),
    "gcs": ("gcsfs",),
    "az": ("adlfs",),
    "azure": ("adlfs",),
    "abfs": ("adlfs",),
    "abfss": ("adlfs",),
    "adl": ("adlfs",),
    "sftp": ("paramiko",),
    "hf": ("huggingface_hub",),
}
_DATABASES = {
    "postgresql": ("psycopg2", "psycopg"),
    "postgres": ("psycopg2", "psycopg"),
    "mysql": ("MySQLdb",),
    "mariadb": ("MySQLdb",),
    "mssql": ("pyodbc",),
    "oracle": ("oracledb",),
    "snowflake": ("snowflake",),
    "duckdb": ("duckdb_engine",),
    "bigquery": ("sqlalchemy_bigquery",),
}
_BACKENDS = {"adbc": ("adbc_driver_postgresql",), "connectorx": ("connectorx",)}
_REQUIREMENTS = {
    "s3fs": "dlt[s3]",
    "gcsfs": "dlt[gs]",
    "adlfs": "dlt[az]",
    "paramiko": "dlt[sftp]",
    "huggingface_hub": "dlt[hf]",
    "openpyxl": "floe-ingestion-defs[excel]",
    "psycopg2": "floe-ingestion-defs[postgres]",
    "psycopg": "psycopg[binary]",
    "adbc_driver_postgresql": "floe-ingestion-defs[postgres]",
    "MySQLdb": "mysqlclient",
    "snowflake": "snowflake-sqlalchemy",
    "duckdb_engine": "duckdb-engine",
    "sqlalchemy_bigquery": "sqlalchemy-bigquery",
}
# Requirements of the catalog and its storage, where they differ from those of a source.
_CATALOG_REQUIREMENTS = {
    "psycopg2": "floe-ingestion-defs[sql-postgres]",
    "s3fs": "floe-ingestion-defs[s3fs]",
    "boto3": "pyiceberg[glue]",
    "thrift": "pyiceberg[hive]",
    "gcsfs": "pyiceberg[gcsfs]",
    "adlfs": "pyiceberg[adlfs]",
}


def install_command(module: str, *, for_catalog: bool = False) -> str:
    """Return the command that installs the package of a module.

    Args:
        module: The module that is missing.
        for_catalog: Whether the catalog requires it, rather than a source.
    """
    requirement = _REQUIREMENTS.get(module, module)
    if for_catalog:
        requirement = _CATALOG_REQUIREMENTS.get(module, requirement)
    return f"pip install '{requirement}'"


def check_extras(sources: Iterable[IngestionSourceConfig]) -> None:
    """Verify that the packages which the sources require are installed.

    A URL in an environment variable that is not set is not checked; the run checks it.

    Raises:
        ImportError: A package is not installed; names the source that requires it, and the command
            that installs it.
    """
    for source in sources:
        for modules in _needed(source):
            if not any(find_spec(module) for module in modules):
                msg = (
                    f"source {source.name!r} requires the Python package {modules[0]}, which is "
                    f"not installed: {install_command(modules[0])}"
                )
                raise ImportError(msg, name=modules[0])


def _needed(source: IngestionSourceConfig) -> list[tuple[str, ...]]:
    options = source.source_config
    if source.source_type == "filesystem":
        scheme = _scheme(options.get("bucket_url"))
        excel = [("openpyxl",)] if options.get("format") == "excel" else []
        return [*([_FILE_SYSTEMS[scheme]] if scheme in _FILE_SYSTEMS else []), *excel]
    if source.source_type != "sql_database":
        return []
    needed: list[tuple[str, ...]] = []
    if options.get("backend") in _BACKENDS:
        needed.append(_BACKENDS[options["backend"]])
    dialect, _, driver = _scheme(options.get("credentials") or source.credentials).partition("+")
    if driver:
        needed.append((driver,))
    elif dialect in _DATABASES:
        needed.append(_DATABASES[dialect])
    return needed


def _scheme(url: object) -> str:
    if isinstance(url, dict):
        url = url.get("drivername")
        url = f"{url.get_secret_value() if isinstance(url, SecretStr) else url}://"
    if not isinstance(url, (str, SecretStr)) or missing_names(url):
        return ""
    text: str = resolve_placeholders(url)
    scheme, separator, _ = text.partition("://")
    return scheme if separator else ""
