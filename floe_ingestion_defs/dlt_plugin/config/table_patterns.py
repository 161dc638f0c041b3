"""Patterns in `table_names`, and the tables of a database that they match.

A database is listed once (`sources.sql.discovery`); who loads the configuration, such as an
orchestrator, stores the list, so that resolving a pattern opens no connection.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from floe_ingestion_defs.dlt_plugin.config.names import default_resource_name
from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import (
    SqlDatabaseOptions,
    TableOptions,
    configured_tables,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig


class DatabaseTables(BaseModel):
    """What a schema of a database contained when it was listed.

    Attributes:
        schema_: The schema, as configured; None for the database's default.
        tables: Names of its tables, without the partitions of a table.
        views: Names of its views.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    schema_: str | None = Field(default=None, alias="schema")
    tables: tuple[str, ...]
    views: tuple[str, ...] = ()


def has_patterns(source: IngestionSourceConfig) -> bool:
    """Return whether the tables of a source are known only with a list of its database's."""
    return source.source_type == "sql_database" and any(
        each.is_pattern for each in configured_tables(source.source_config)
    )


def require_named_tables(source: IngestionSourceConfig) -> None:
    """Reject a source whose patterns have not been replaced by tables.

    Raises:
        PipelineConfigurationError: The source has patterns.
    """
    if has_patterns(source):
        msg = (
            f"source {source.name!r}: source_config.table_names has patterns, so its tables are "
            "known only with a list of those of its database; expand them with "
            "DltIngestionPlugin.list_tables and expand_tables, or name the tables"
        )
        raise PipelineConfigurationError(msg, source_name=source.name)


def expand_tables(source: IngestionSourceConfig, listed: DatabaseTables) -> IngestionSourceConfig:
    """Return a source whose patterns are replaced by the tables that they match.

    Tables that the configuration names are loaded as configured, and no pattern matches them.

    Args:
        source: A source for which `has_patterns` is true.
        listed: The tables of its database.

    Raises:
        PipelineConfigurationError: A pattern or an exclusion matches no table, the list is of
            another schema, or the tables do not fit the rest of the configuration.
    """
    configured = configured_tables(source.source_config)
    named = [each for each in configured if not each.is_pattern]
    try:
        matched = _match(source, configured, listed)
        tables = [{"table": each.table, "name": each.name} for each in named]
        tables += [{"table": name, "name": _resource_name(name)} for name in matched]
        rest = {
            key: value
            for key, value in source.source_config.items()
            if key not in ("table_names", "excluded_tables", "include_views")
        }
        given = {name: getattr(source, name) for name in source.model_fields_set}
        return type(source).model_validate(
            {**given, "source_config": {**rest, "table_names": tables}}
        )
    except ValidationError as wrong:
        text = "\n".join(error["msg"] for error in wrong.errors())
    except ValueError as wrong:
        text = f"source {source.name!r}: {wrong}"
    raise PipelineConfigurationError(text, source_name=source.name)


def _match(
    source: IngestionSourceConfig, configured: Iterable[TableOptions], listed: DatabaseTables
) -> list[str]:
    options = SqlDatabaseOptions.model_construct(**source.source_config)
    schema = source.source_config.get("schema")
    if listed.schema_ != schema:
        msg = (
            f"the list of tables is of schema {listed.schema_ or 'default'!r}, but schema is "
            f"{schema or 'default'!r}; list the tables again"
        )
        raise ValueError(msg)
    names = listed.tables + (listed.views if options.include_views else ())
    excluded = set(_matches(options.excluded_tables, names, "excluded_tables", schema))
    configured = list(configured)
    patterns = [each.table for each in configured if each.is_pattern]
    known = excluded | {each.table for each in configured}
    matched = _matches(patterns, names, "table_names", schema)
    return sorted(set(matched) - known)


def _matches(
    patterns: str | Iterable[str], names: Iterable[str], setting: str, schema: str | None
) -> Iterator[str]:
    names = list(names)
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        matched = [name for name in names if _fits(pattern, name)]
        if not matched:
            msg = (
                f"source_config.{setting} has {pattern!r}, which matches none of the {len(names)} "
                f"tables of {f'schema {schema!r}' if schema else 'the default schema'}; correct "
                "it, or list the tables again if the database has changed"
            )
            raise ValueError(msg)
        yield from matched


def _fits(pattern: str, name: str) -> bool:
    """Return whether a name matches a pattern, in which `*` and `?` are wildcards."""
    parts = {"*": ".*", "?": "."}
    return bool(re.fullmatch("".join(parts.get(c, re.escape(c)) for c in pattern), name, re.DOTALL))


def _resource_name(table: str) -> str:
    try:
        return default_resource_name(table)
    except ValueError as wrong:
        msg = f"{wrong}, or add it to excluded_tables"
        raise ValueError(msg) from None
