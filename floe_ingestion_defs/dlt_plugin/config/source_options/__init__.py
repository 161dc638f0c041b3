"""The model of `source_config` for each source type, and the resources that it names.

Everything here works on configuration alone: no network, no file, no driver, no dlt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from floe_ingestion_defs.dlt_plugin.config.placeholders import has_placeholder
from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.python import PythonOptions
from floe_ingestion_defs.dlt_plugin.config.source_options.rest_api import (
    EndpointOptions,
    EndpointResourceOptions,
    RestApiOptions,
    RestClientOptions,
)
from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import (
    SqlDatabaseOptions,
    sql_tables,
)
from floe_ingestion_defs.dlt_plugin.config.validation_errors import Problem, validation_error

OPTIONS_MODELS: dict[str, type[SourceOptions]] = {
    "filesystem": FilesystemOptions,
    "sql_database": SqlDatabaseOptions,
    "rest_api": RestApiOptions,
    "python": PythonOptions,
}

__all__ = [
    "OPTIONS_MODELS",
    "EndpointOptions",
    "EndpointResourceOptions",
    "FilesystemOptions",
    "PythonOptions",
    "RestApiOptions",
    "RestClientOptions",
    "SourceOptions",
    "SqlDatabaseOptions",
    "check_source_config",
    "rest_resources",
    "source_resource_names",
]


def check_source_config(source_type: str, source_config: Mapping[str, Any]) -> None:
    """Validate an unresolved `source_config` against the model of its source type.

    A placeholder represents a value of any type, so errors that it causes are ignored here; the
    run validates the resolved value.

    Raises:
        ValidationError: A field is missing, misspelled or out of range.
    """
    model = OPTIONS_MODELS[source_type]
    try:
        model.model_validate(dict(source_config))
    except ValidationError as wrong:
        remaining = [
            Problem(error["type"], error["msg"], error["loc"], error["input"])
            for error in wrong.errors()
            if not has_placeholder(error["input"])
        ]
        if len(remaining) == wrong.error_count():
            raise
        if remaining:
            raise validation_error(wrong.title, remaining) from None


def rest_resources(source_config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the resources of a REST source by name, each with the source's defaults filled in.

    A resource that is read only for the resources that depend on it (`selected: false`) is left
    out.
    """
    defaults = _as_dict(source_config.get("resource_defaults"))
    found: dict[str, dict[str, Any]] = {}
    for resource in source_config.get("resources", ()):
        own = {"name": resource} if isinstance(resource, str) else _as_dict(resource)
        settings = {**defaults, **own}
        if settings.get("selected", True):
            found[str(settings["name"])] = settings
    return found


def _as_dict(value: Any) -> dict[str, Any]:
    if isinstance(value, SourceOptions):
        value = value.model_dump(by_alias=True)
    return {k: v for k, v in value.items() if v is not None} if isinstance(value, Mapping) else {}


def source_resource_names(
    source_type: str, source_config: Mapping[str, Any], table: str
) -> tuple[str, ...]:
    """Return the names of a source's resources, from its configuration alone.

    Args:
        source_type: Type of the source.
        source_config: The validated `source_config`, with unresolved placeholders.
        table: Table part of `destination_table`, with `{resource}` still in it.
    """
    match source_type:
        case "sql_database":
            return tuple(name for name, _ in sql_tables(source_config))
        case "rest_api":
            return tuple(rest_resources(source_config))
        case "python":
            return tuple(source_config["resource_names"])
        case _:
            return (str(source_config.get("resource_name") or table),)
