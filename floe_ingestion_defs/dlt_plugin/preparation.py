"""What `create_pipeline` does with a configuration: resolve it, and reach the source once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr, ValidationError

from floe_ingestion_defs.dlt_plugin.config.field_rules import as_words
from floe_ingestion_defs.dlt_plugin.config.messages import explain
from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
from floe_ingestion_defs.dlt_plugin.config.placeholders import missing_names, resolve_placeholders
from floe_ingestion_defs.dlt_plugin.config.resource_specs import tables_of
from floe_ingestion_defs.dlt_plugin.config.source_options import OPTIONS_MODELS, SourceOptions
from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    PipelineConfigurationError,
    SourceConnectionError,
)
from floe_ingestion_defs.dlt_plugin.errors.translation import (
    as_ingestion_error,
    raise_as_ingestion_error,
)
from floe_ingestion_defs.dlt_plugin.sources import SOURCE_TYPES
from floe_ingestion_defs.dlt_plugin.time_limit import call_within

if TYPE_CHECKING:
    from floe_ingestion_defs.contracts import IngestionConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions
    from floe_ingestion_defs.dlt_plugin.config.table_patterns import DatabaseTables
    from floe_ingestion_defs.dlt_plugin.errors.redaction import Redactor

CONNECT_TIMEOUT_SECONDS = 10.0
_RESOLVED = ("source_config", "credentials", "initial_value")
# These are also names of dlt's arguments in `source_config`.
_SOURCE_CONFIG_ONLY = frozenset({"credentials", "resources"})


def as_source_config(config: IngestionConfig | IngestionSourceConfig) -> IngestionSourceConfig:
    """Return the contract's configuration of a source as the plugin's.

    Settings for which the contract has no field are part of its `source_config`. The name, under
    which the state is stored, is derived from the table unless `source_config` has one.

    Raises:
        ValidationError: The configuration is not valid.
    """
    if isinstance(config, IngestionSourceConfig):
        return config
    inner = dict(config.source_config)
    known = IngestionSourceConfig.model_fields.keys() - _SOURCE_CONFIG_ONLY
    own = {key: inner.pop(key) for key in list(inner) if key in known}
    table = config.destination_table.replace("{resource}", "")
    return IngestionSourceConfig.model_validate(
        {
            "name": as_words(table),
            **own,
            "source_type": config.source_type,
            "source_config": inner,
            "destination_table": config.destination_table,
            "write_mode": config.write_mode,
            "schema_contract": config.schema_contract,
        }
    )


def resolve_source(source: IngestionSourceConfig) -> tuple[IngestionSourceConfig, SourceOptions]:
    """Return a source with its placeholders resolved, and its validated options.

    Raises:
        PipelineConfigurationError: A variable is not set, or its value is not valid.
    """
    values = {name: getattr(source, name) for name in _RESOLVED}
    missing = missing_names(values)
    if missing:
        names = ", ".join(missing)
        variables = f"variable {names} is" if len(missing) == 1 else f"variables {names} are"
        msg = f"environment {variables} not set (referenced by source {source.name!r})"
        raise PipelineConfigurationError(msg, **_about(source))
    resolved = {name: resolve_placeholders(value) for name, value in values.items()}
    resolved["credentials"] = _as_secret(resolved["credentials"])
    source = source.model_copy(update=resolved)
    try:
        options = OPTIONS_MODELS[source.source_type].model_validate(source.source_config)
    except ValidationError as wrong:
        text = explain(wrong, OPTIONS_MODELS[source.source_type])
    else:
        return source, options
    msg_0 = f"source_config: {text}"
    raise PipelineConfigurationError(msg_0, **_about(source))


def _as_secret(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: SecretStr(item) for key, item in value.items()}
    return None if value is None else SecretStr(value)


def _about(source: IngestionSourceConfig) -> dict[str, str]:
    return {
        "source_name": source.name,
        "source_type": source.source_type,
        "destination_table": tables_of(source),
        "pipeline_name": source.name,
    }


def choose_resources(
    source: IngestionSourceConfig, names: Sequence[str] | None
) -> tuple[ResourceSpec, ...]:
    """Return resources of a source by name, or all of them if no names are given.

    Raises:
        PipelineConfigurationError: The source has no resource of that name.
    """
    specs = source.specs
    if names is None:
        return specs
    known = {spec.name: spec for spec in specs}
    unknown = [name for name in names if name not in known]
    if unknown:
        msg = f"resource {unknown[0]!r} not found; available: {', '.join(known)}"
        raise PipelineConfigurationError(msg, **_about(source))
    return tuple(spec for spec in specs if spec.name in set(names))


def reach_source(
    source: IngestionSourceConfig,
    options: SourceOptions,
    redactor: Redactor,
    timeout: float | None = None,
) -> None:
    """Connect to the source once, within a time limit that does not depend on its driver.

    Args:
        source: The resolved source.
        options: Its options.
        redactor: Redacts secrets from the error.
        timeout: Seconds after which the source is considered unreachable; ten by default.

    Raises:
        SourceConnectionError: The source cannot be reached.
        PipelineConfigurationError: A package or a setting that is required to reach it is missing.
    """
    timeout = CONNECT_TIMEOUT_SECONDS if timeout is None else timeout
    kind = SOURCE_TYPES[source.source_type]
    try:
        call_within(timeout, lambda: kind.check(source, options, timeout), subject="the source")
    except Exception as error:  # any error of a driver or a file system
        failed = as_ingestion_error(error, source, redactor, "connect")
    else:
        return
    if isinstance(failed, PipelineConfigurationError):
        raise failed from None
    msg = f"the source cannot be reached: {failed.message}"
    unreachable = SourceConnectionError(msg, **_about(source))
    unreachable.category = failed.category
    # Raised outside the handler, so that the original, which may have secrets, is not attached.
    raise unreachable


def list_database_tables(source: IngestionSourceConfig, redactor: Redactor) -> DatabaseTables:
    """Return the tables of the database that a source reads.

    Args:
        source: The source, as configured.
        redactor: Redacts secrets from errors.

    Raises:
        PipelineConfigurationError: The source is not a database, or a variable is not set.
        IngestionError: The database cannot be reached, or rejects the query.
    """
    if source.source_type != "sql_database":
        msg = f"source_type is {source.source_type!r}; only a sql_database has tables to list"
        raise PipelineConfigurationError(msg, **_about(source))
    from floe_ingestion_defs.dlt_plugin.sources.sql.discovery import list_tables

    resolved, options = resolve_source(source)
    reach_source(resolved, options, redactor)
    try:
        listed = list_tables(resolved, cast("SqlDatabaseOptions", options))
    except Exception as error:  # any error of a driver
        raise_as_ingestion_error(error, source, redactor)
    return listed.model_copy(update={"schema_": source.source_config.get("schema")})
