"""What must hold between the fields of a configuration, beyond each field's own type.

Every rule raises `ValueError` with the field, the value and what would be right; the name of
the source is put before it by the model.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pydantic import ValidationError

from floe_ingestion_defs.dlt_plugin.config.source_options import (
    check_source_config,
    rest_resources,
    source_resource_names,
)
from floe_ingestion_defs.dlt_plugin.config.source_options.rest_api import has_cursor_placeholder
from floe_ingestion_defs.dlt_plugin.config.validation_errors import Problem, validation_error

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec

_WORDS = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
_SOURCE_NAME = re.compile(_WORDS)
_RESOURCE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:_[A-Za-z0-9]+)*")
_PARTITION = re.compile(
    r"(?P<column>\w+)|(?:identity|year|month|day|hour)\(\s*\w+\s*\)"
    r"|(?:bucket|truncate)\(\s*[1-9]\d*\s*,\s*\w+\s*\)"
)
# dlt refuses longer schema names, and the schema is named after the source.
_LONGEST_NAME = 64


def as_words(text: str) -> str:
    """Make of any text a name that is allowed: lower-case words joined by underscores."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", text)
    return re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_") or "name"


def check_source_name(value: str) -> str:
    """Refuse names that would come out changed as a pipeline, a schema or an asset key."""
    if not _SOURCE_NAME.fullmatch(value) or len(value) > _LONGEST_NAME:
        msg = (
            f"{value!r} is not a valid name: lower-case words joined by single underscores, at "
            f"most {_LONGEST_NAME} characters, such as {as_words(value)[:_LONGEST_NAME]!r}"
        )
        raise ValueError(msg)
    return value


def check_destination_table(value: str) -> str:
    """Refuse a table path that is not `namespace.table`."""
    namespace, dot, table = value.partition(".")
    plain = table.replace("{resource}", "resource")
    if not dot and re.fullmatch(_WORDS, value.replace("{resource}", "resource")):
        msg = f"{value!r} has no namespace; give namespace.table, such as 'bronze.{value}'"
        raise ValueError(msg)
    if not re.fullmatch(_WORDS, namespace) or not re.fullmatch(_WORDS, plain):
        words = ".".join(
            as_words(part.replace("{resource}", "RESOURCE")).replace("resource", "{resource}")
            if "{resource}" in part
            else as_words(part)
            for part in ([namespace, table] if dot else ["bronze", value])
        )
        msg = (
            f"{value!r} is not a table path: namespace.table in lower-case words joined by single "
            f"underscores, such as {words!r}"
        )
        raise ValueError(msg)
    return value


def check_key(value: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """Refuse keys that name nothing or one column twice."""
    if value is not None and (not value or not all(value) or len(set(value)) != len(value)):
        msg = f"{list(value)!r} is not a key; name each of its columns once"
        raise ValueError(msg)
    return value


def check_partitions(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse what is neither a column nor one of Iceberg's transforms of one."""
    for partition in value:
        if not _PARTITION.fullmatch(partition.strip()):
            msg = (
                f"{partition!r} is not a partition; give a column, year(c), month(c), day(c), "
                "hour(c), bucket(16, c) or truncate(4, c)"
            )
            raise ValueError(msg)
    return value


def check_source(source: IngestionSourceConfig) -> None:
    """Check one source whose fields are each valid.

    Raises:
        ValidationError: With the location of each field that is wrong.
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
        # Without a value: it would be the whole source, secrets included.
        problem = Problem("value_error", str(wrong))
        raise validation_error(type(source).__name__, [problem]) from None


def _check_resources(source: IngestionSourceConfig) -> None:
    table = source.destination_table.partition(".")[2]
    names = source_resource_names(source.source_type, source.source_config, table)
    _check_resource_names(source, names)
    specs = source.specs
    for spec in specs:
        _check_resource(source, spec)
    _check_tables(source, specs)


def _check_resource_names(source: IngestionSourceConfig, names: Sequence[str]) -> None:
    for name in names:
        if not _RESOURCE_NAME.fullmatch(name):
            if source.source_type == "filesystem" and "{resource}" in name:
                msg = (
                    f"destination_table {source.destination_table!r} contains {{resource}}; a "
                    "filesystem source has one resource: name it with source_config.resource_name, "
                    "or leave {resource} out"
                )
                raise ValueError(msg)
            msg = (
                f"resource name {name!r} is not valid: letters and digits in words joined by "
                f"single underscores, such as {as_words(name)!r}"
            )
            raise ValueError(msg)
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        msg = f"resource {', '.join(twice)} is named twice in source_config; name each once"
        raise ValueError(msg)
    unknown = sorted(set(source.resources) - set(names))
    if unknown:
        msg = (
            f"resources.{unknown[0]} overrides a resource that the source does not have; "
            f"it has {', '.join(names)}"
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
                f"destination_table {source.destination_table!r} is one table for {len(names)} "
                f"resources ({', '.join(names)}); put {{resource}} in it, such as "
                f"'{namespace}.{{resource}}'"
            )
            raise ValueError(msg)


def _check_resource(source: IngestionSourceConfig, spec: ResourceSpec) -> None:
    of = f" of resource {spec.name!r}" if spec.name in source.resources else ""
    if spec.write_mode == "merge":
        strategy = spec.merge_strategy
        if strategy != "scd2" and not spec.primary_key and not spec.merge_key:
            msg = (
                f"write_mode{of} is 'merge' but there is no primary_key; give the column or "
                "columns that identify a row, such as primary_key: id, or a merge_key"
            )
            raise ValueError(msg)
        if strategy in ("upsert", "insert-only") and not spec.primary_key:
            msg = (
                f"merge_strategy{of} is {strategy!r}, which goes by primary_key; give one, or "
                "use merge_strategy: delete-insert with the merge_key"
            )
            raise ValueError(msg)
    elif spec.merge_strategy is not None:
        msg = (
            f"merge_strategy{of} is {spec.merge_strategy!r} but write_mode is "
            f"{spec.write_mode!r}; set write_mode: merge, or leave merge_strategy out"
        )
        raise ValueError(msg)
    if spec.cursor_field is None:
        for field, value in (("initial_value", spec.initial_value), ("lag", spec.lag)):
            if value is not None:
                msg = (
                    f"{field}{of} is {value!r} but there is no cursor_field for it; give the "
                    "column that grows with time, such as cursor_field: updated_at"
                )
                raise ValueError(msg)
    if source.source_type == "rest_api":
        _check_cursor_in_request(source, spec)
    if (
        spec.write_mode == "replace"
        and source.source_type == "filesystem"
        and source.source_config.get("only_new_files")
    ):
        msg = (
            "write_mode is 'replace' and source_config.only_new_files is true, so each load would "
            "leave only the newest files' rows; set only_new_files: false, or write_mode: append"
        )
        raise ValueError(msg)


def _check_cursor_in_request(source: IngestionSourceConfig, spec: ResourceSpec) -> None:
    endpoint = rest_resources(source.source_config)[spec.name].get("endpoint")
    if not isinstance(endpoint, Mapping) or not has_cursor_placeholder(endpoint):
        return
    own = endpoint.get("incremental")
    if spec.cursor_field is None and own is None:
        msg = (
            f"the endpoint of resource {spec.name!r} has {{incremental.start_value}} in it but "
            "there is no cursor_field to take it from; give one, such as cursor_field: updated_at"
        )
        raise ValueError(msg)
    if spec.initial_value is None and "initial_value" not in (own or {}):
        msg = (
            f"the endpoint of resource {spec.name!r} has {{incremental.start_value}} in it but "
            "there is no initial_value for the first load; give one, such as initial_value: "
            "'2024-01-01T00:00:00Z'"
        )
        raise ValueError(msg)


def _check_tables(source: IngestionSourceConfig, specs: Sequence[ResourceSpec]) -> None:
    by_table: dict[str, str] = {}
    for spec in specs:
        if other := by_table.get(spec.table):
            msg = (
                f"resources {other!r} and {spec.name!r} both land in {spec.table!r}; give each a "
                "table of its own"
            )
            raise ValueError(msg)
        by_table[spec.table] = spec.name
    namespaces = sorted({spec.namespace for spec in specs})
    if len(namespaces) > 1:
        msg = (
            f"its resources land in the namespaces {', '.join(namespaces)}; a source has one, so "
            "make a source of its own for each"
        )
        raise ValueError(msg)


def check_sources(sources: Sequence[IngestionSourceConfig]) -> None:
    """Check that sources do not get in each other's way."""
    names: set[str] = set()
    tables: dict[str, tuple[str, ResourceSpec]] = {}
    for source in sources:
        if source.name in names:
            msg = (
                f"source {source.name!r}: name {source.name!r} is taken by another source; names "
                "are the pipelines' names and must differ"
            )
            raise ValueError(msg)
        names.add(source.name)
        for spec in source.specs:
            other, known = tables.setdefault(spec.table, (source.name, spec))
            if known.write_mode != spec.write_mode:
                msg = (
                    f"source {source.name!r}: write_mode {spec.write_mode!r} of resource "
                    f"{spec.name!r} does not go with {known.write_mode!r} of source {other!r}, "
                    f"which loads the same table {spec.table!r}; use one write_mode or two tables"
                )
                raise ValueError(msg)
            if spec.write_mode == "replace" and other != source.name:
                msg = (
                    f"source {source.name!r}: write_mode 'replace' of {spec.table!r} would undo "
                    f"what source {other!r} loads into the same table; use two tables"
                )
                raise ValueError(msg)
