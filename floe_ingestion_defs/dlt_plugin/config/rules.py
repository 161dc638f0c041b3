"""Rules of a configuration that involve several fields, resources or sources.

Every rule raises `ValueError` with the field, the value and the fix; the model prepends the name
of the source.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from floe_ingestion_defs.dlt_plugin.config.field_rules import as_words
from floe_ingestion_defs.dlt_plugin.config.names import RESOURCE_NAME
from floe_ingestion_defs.dlt_plugin.config.source_options import (
    check_source_config,
    rest_resources,
    source_resource_names,
)
from floe_ingestion_defs.dlt_plugin.config.source_options.rest_api import has_cursor_placeholder
from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import sql_tables
from floe_ingestion_defs.dlt_plugin.config.table_patterns import has_patterns
from floe_ingestion_defs.dlt_plugin.config.validation_errors import Problem, validation_error

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec


def check_source(source: IngestionSourceConfig) -> None:
    """Validate one source, each of whose fields is valid.

    Raises:
        ValidationError: The source is not valid; has the location of each invalid field.
    """
    try:
        check_source_config(source.source_type, source.source_config)
    except ValidationError as wrong:
        problems = (
            Problem(error["type"], error["msg"], ("source_config", *error["loc"]), error["input"])
            for error in wrong.errors()
        )
        raise validation_error(wrong.title, problems) from None
    try:
        _check_resources(source)
    except ValueError as wrong:
        # Without a value: the value would be the whole source, including its secrets.
        problem = Problem("value_error", str(wrong))
        raise validation_error(type(source).__name__, [problem]) from None


def _check_resources(source: IngestionSourceConfig) -> None:
    table = source.destination_table.partition(".")[2]
    names = source_resource_names(source.source_type, source.source_config, table)
    if has_patterns(source):
        _check_table_of_patterns(source)
    else:
        _check_overrides(source, names)
    _check_resource_names(source, names)
    specs = source.specs
    for spec in specs:
        _check_resource(source, spec)
    _check_tables(source, specs)


def _check_resource_names(source: IngestionSourceConfig, names: Sequence[str]) -> None:
    for name in names:
        if not RESOURCE_NAME.fullmatch(name):
            if source.source_type == "filesystem" and "{resource}" in name:
                msg = (
                    f"destination_table {source.destination_table!r} contains {{resource}}, but a "
                    "filesystem source has only one resource; name it with "
                    "source_config.resource_name, or remove {resource}"
                )
                raise ValueError(msg)
            msg = (
                f"{name!r} is not a valid resource name; use words of letters and digits joined "
                f"by single underscores, such as {as_words(name)!r}"
            )
            raise ValueError(msg)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        msg = f"source_config lists resource {', '.join(twice)} more than once; list each once"
        if source.source_type == "sql_database":
            pairs = sql_tables(source.source_config)
            first, second, *_ = (table for name, table in pairs if name == twice[0])
            msg += (
                f". It is made from tables {first!r} and {second!r}; give one of them another "
                f"name, such as table_names: [{{table: {second}, name: other_{twice[0]}}}]"
            )
        raise ValueError(msg)
    if len(names) > 1 and "{resource}" not in source.destination_table:
        separate = [
            name
            for name in names
            if not (override := source.resources.get(name)) or not override.destination_table
        ]
        if len(separate) > 1:
            namespace = source.destination_table.partition(".")[0]
            msg = (
                f"destination_table {source.destination_table!r} is a single table for "
                f"{len(names)} resources ({', '.join(names)}); include {{resource}} in it, such "
                f"as '{namespace}.{{resource}}'"
            )
            raise ValueError(msg)


def _check_overrides(source: IngestionSourceConfig, names: Sequence[str]) -> None:
    unknown = sorted(set(source.resources) - set(names))
    if unknown:
        msg = (
            f"resources.{unknown[0]} overrides a resource that does not exist; available: "
            f"{', '.join(names)}"
        )
        raise ValueError(msg)


def _check_table_of_patterns(source: IngestionSourceConfig) -> None:
    """Reject a single table for the tables of a database that patterns match."""
    if "{resource}" not in source.destination_table:
        namespace = source.destination_table.partition(".")[0]
        msg = (
            f"destination_table {source.destination_table!r} is a single table for all tables that "
            f"table_names matches; include {{resource}} in it, such as '{namespace}.{{resource}}'"
        )
        raise ValueError(msg)


def _check_resource(source: IngestionSourceConfig, spec: ResourceSpec) -> None:
    of = f" of resource {spec.name!r}" if spec.name in source.resources else ""
    # The tables of a database have keys of their own, which are unknown before a run.
    if spec.write_mode == "merge" and source.source_type != "sql_database":
        strategy = spec.merge_strategy
        if strategy != "scd2" and not spec.primary_key and not spec.merge_key:
            msg = (
                f"write_mode{of} is 'merge', but primary_key is not set; set it to the column or "
                "columns that identify a row, such as primary_key: id, or set a merge_key"
            )
            raise ValueError(msg)
        if strategy in ("upsert", "insert-only") and not spec.primary_key:
            msg = (
                f"merge_strategy{of} is {strategy!r}, which requires a primary_key; set one, or "
                "use merge_strategy: delete-insert with the merge_key"
            )
            raise ValueError(msg)
    if spec.write_mode != "merge" and spec.merge_strategy is not None:
        msg = (
            f"merge_strategy{of} is {spec.merge_strategy!r}, but write_mode is "
            f"{spec.write_mode!r}; set write_mode: merge, or remove merge_strategy"
        )
        raise ValueError(msg)
    if spec.cursor_field is None:
        for field in ("initial_value", "lag", "on_cursor_value_missing"):
            value = getattr(spec, field)
            if value is not None:
                msg = (
                    f"{field}{of} is {value!r}, but cursor_field is not set; set it to a "
                    "monotonically increasing column, such as cursor_field: updated_at"
                )
                raise ValueError(msg)
    _check_initial_value(spec, of)
    if spec.on_cursor_value_missing == "include" and spec.write_mode == "append":
        msg = (
            f"on_cursor_value_missing{of} is 'include', but write_mode is 'append', so each load "
            "would add the rows without a cursor again; set write_mode: merge"
        )
        raise ValueError(msg)
    if spec.type_conflict is not None and spec.schema_contract != "evolve":
        msg = (
            f"type_conflict{of} is {spec.type_conflict!r}, but schema_contract is "
            f"{spec.schema_contract!r}, which decides about values of another type; set "
            "schema_contract: evolve, or remove type_conflict"
        )
        raise ValueError(msg)
    if spec.keeps_nested:
        _check_nested(source, spec, of)
    if source.source_type == "rest_api":
        _check_cursor_in_request(source, spec)
    if (
        spec.write_mode == "replace"
        and source.source_type == "filesystem"
        and source.source_config.get("only_new_files")
    ):
        msg = (
            "write_mode is 'replace' and source_config.only_new_files is true, so each load would "
            "keep only the rows of new files; set only_new_files: false, or write_mode: append"
        )
        raise ValueError(msg)


def _check_nested(source: IngestionSourceConfig, spec: ResourceSpec, of: str) -> None:
    if source.source_type == "sql_database":
        reason = "source_type is 'sql_database', whose arrays and JSON values are read as text"
    elif spec.merge_strategy == "scd2":
        reason = "merge_strategy is 'scd2', which would add a version of every row with a new field"
    else:
        return
    msg = f"nested{of} is 'native', but {reason}; remove nested"
    raise ValueError(msg)


# dlt's data types with which strings are compared as they are written.
_COMPARED_AS_DATES = frozenset({"timestamp", "date"})
_COMPARED_AS_NUMBERS = frozenset({"bigint", "double", "decimal", "wei"})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}.*)?")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def _check_initial_value(spec: ResourceSpec, of: str) -> None:
    """Reject a string that the declared type of the cursor cannot be compared with."""
    value, column = spec.initial_value, spec.columns.get(spec.cursor_field or "")
    if column is None or not isinstance(value, str) or "${" in value:
        return
    if column.data_type in _COMPARED_AS_DATES and not _DATE.fullmatch(value):
        right = "a date or timestamp in ISO 8601, such as '2024-01-01' or '2024-01-01T12:00:00Z'"
    elif column.data_type in _COMPARED_AS_NUMBERS and not _NUMBER.fullmatch(value):
        right = "a number"
    else:
        return
    msg = (
        f"initial_value{of} is {value!r}, but cursor_field {spec.cursor_field!r} is declared as "
        f"{column.data_type}; use {right}"
    )
    raise ValueError(msg)


def _check_cursor_in_request(source: IngestionSourceConfig, spec: ResourceSpec) -> None:
    endpoint = rest_resources(source.source_config)[spec.name].get("endpoint")
    if not isinstance(endpoint, Mapping) or not has_cursor_placeholder(endpoint):
        return
    own = endpoint.get("incremental")
    if spec.cursor_field is None and own is None:
        msg = (
            f"the endpoint of resource {spec.name!r} contains {{incremental.start_value}}, but "
            "cursor_field is not set; set one, such as cursor_field: updated_at"
        )
        raise ValueError(msg)
    if spec.initial_value is None and "initial_value" not in (own or {}):
        msg = (
            f"the endpoint of resource {spec.name!r} contains {{incremental.start_value}}, but "
            "there is no initial_value for the first load; set one, such as initial_value: "
            "'2024-01-01T00:00:00Z'"
        )
        raise ValueError(msg)


def _check_tables(source: IngestionSourceConfig, specs: Sequence[ResourceSpec]) -> None:
    by_table: dict[str, str] = {}
    for spec in specs:
        if other := by_table.get(spec.table):
            msg = (
                f"resources {other!r} and {spec.name!r} are both loaded into {spec.table!r}; use "
                f"a separate table for each, such as resources: {{{spec.name}: "
                f"{{destination_table: {spec.table}_2}}}}"
            )
            raise ValueError(msg)
        by_table[spec.table] = spec.name
    namespaces = sorted({spec.namespace for spec in specs})
    if len(namespaces) > 1:
        msg = (
            f"its resources are loaded into several namespaces: {', '.join(namespaces)}; use one "
            "namespace per source, or a separate source for each"
        )
        raise ValueError(msg)


def check_sources(sources: Sequence[IngestionSourceConfig]) -> None:
    """Verify that sources do not conflict with each other."""
    names: set[str] = set()
    tables: dict[str, tuple[str, ResourceSpec]] = {}
    for source in sources:
        if source.name in names:
            msg = (
                f"source {source.name!r}: another source is also named {source.name!r}; names of "
                "sources are also names of pipelines and must be unique"
            )
            raise ValueError(msg)
        names.add(source.name)
        for spec in source.specs:
            other, known = tables.setdefault(spec.table, (source.name, spec))
            if known.write_mode != spec.write_mode:
                msg = (
                    f"source {source.name!r}: write_mode {spec.write_mode!r} of resource "
                    f"{spec.name!r} conflicts with {known.write_mode!r} of source {other!r}, which "
                    f"loads the same table {spec.table!r}; use the same write_mode, or two tables"
                )
                raise ValueError(msg)
            if spec.write_mode == "replace" and other != source.name:
                msg = (
                    f"source {source.name!r}: write_mode 'replace' of {spec.table!r} would delete "
                    f"the rows that source {other!r} loads into the same table; use two tables"
                )
                raise ValueError(msg)
