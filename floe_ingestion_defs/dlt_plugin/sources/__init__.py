"""The supported source types, one module each."""

from __future__ import annotations

from floe_ingestion_defs.dlt_plugin.sources.base import SourceType
from floe_ingestion_defs.dlt_plugin.sources.files.filesystem import FilesystemSource
from floe_ingestion_defs.dlt_plugin.sources.python import PythonSource
from floe_ingestion_defs.dlt_plugin.sources.rest.rest_api import RestApiSource
from floe_ingestion_defs.dlt_plugin.sources.sql.sql_database import SqlDatabaseSource

SOURCE_TYPES: dict[str, SourceType] = {
    kind.name: kind
    for kind in (FilesystemSource(), SqlDatabaseSource(), RestApiSource(), PythonSource())
}

__all__ = ["SOURCE_TYPES", "SourceType"]
