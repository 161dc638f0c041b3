"""What a database says of its tables: their columns, types and keys, reflected once per load."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.config.names import as_identifier, find_name
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sqlalchemy import Connection, Table
    from sqlalchemy.types import TypeEngine

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.config.source_options.sql_database import SqlDatabaseOptions

# Iceberg's longest decimal, and the decimal places of a numeric without a precision: an average of
# integers in PostgreSQL has at most so many.
_LONGEST_DECIMAL = 38
_UNBOUNDED_SCALE = 20


def reflect_resource(
    spec: ResourceSpec, options: SqlDatabaseOptions, connection: Connection
) -> ResourceSpec:
    """Return a resource with its reflected table, its key, and names as the database spells them.

    A primary key that is not configured is that of the table.

    Args:
        spec: The resource as configured.
        options: The options of its source.
        connection: A connection to the database.

    Raises:
        sqlalchemy.exc.NoSuchTableError: The table does not exist.
        PipelineConfigurationError: A setting names a column that the table does not have, or the
            rows of a merge have no key.
    """
    table = _reflect_table(options.table_of(spec.name), options, connection)
    reflected = tuple(column.name for column in table.primary_key)
    _select_columns(table, spec.name, options)
    names = table.columns.keys()
    _require_distinct_names(names, table.name)
    columns = {find_name(name, names) or name: column for name, column in spec.columns.items()}
    key = _find_columns("primary_key", spec.primary_key, names, spec)
    if not key and set(reflected) <= set(names):
        key = reflected
    spec = replace(
        spec,
        primary_key=key,
        merge_key=_find_columns("merge_key", spec.merge_key, names, spec),
        cursor_field=next(
            iter(_find_columns("cursor_field", filter(None, [spec.cursor_field]), names, spec)),
            None,
        ),
        columns=columns,
        origin=table,
    )
    _require_key(spec, table)
    _set_key(table, key)
    return spec


def _reflect_table(name: str, options: SqlDatabaseOptions, connection: Connection) -> Table:
    import sqlalchemy
    from dlt.sources.sql_database.helpers import default_engine_adapter_callback

    metadata = sqlalchemy.MetaData(schema=options.schema_)
    default_engine_adapter_callback(connection.engine, metadata)
    return sqlalchemy.Table(name, metadata, autoload_with=connection, resolve_fks=False)


def _find_columns(
    setting: str, configured: Iterable[str], names: Sequence[str], spec: ResourceSpec
) -> tuple[str, ...]:
    return tuple(
        _find_column(f"{setting} of resource {spec.name!r}", name, names) for name in configured
    )


def _find_column(setting: str, name: str, names: Sequence[str]) -> str:
    found = find_name(name, names)
    if found is None:
        msg = (
            f"{setting} names {name!r}, which is not a column of the table; its columns are "
            f"{', '.join(names)}"
        )
        raise PipelineConfigurationError(msg)
    return found


def _require_distinct_names(names: Iterable[str], table: str) -> None:
    """Reject two columns whose names would be the same in Iceberg."""
    found: dict[str, str] = {}
    for name in names:
        other = found.setdefault(as_identifier(name), name)
        if other != name:
            msg = (
                f"columns {other!r} and {name!r} of table {table!r} are both named "
                f"{as_identifier(name)!r} in Iceberg; exclude one, with "
                f"source_config.excluded_columns: {{{table}: [{name}]}}, or load a view of the "
                "table that has another alias for it"
            )
            raise PipelineConfigurationError(msg)


def _select_columns(table: Table, resource: str, options: SqlDatabaseOptions) -> None:
    """Remove the columns that are not loaded from a reflected table.

    dlt's own arguments ignore a name that is not in the table: with a typo in `excluded_columns`,
    the column that must not be loaded would be.
    """
    from dlt.sources.sql_database.schema_types import default_table_adapter

    names = table.columns.keys()
    selected: dict[str, list[str] | None] = {}
    for setting in ("included_columns", "excluded_columns"):
        by_table = getattr(options, setting)
        label = resource if resource in by_table else table.name
        columns = by_table.get(label)
        selected[setting] = columns and [
            _find_column(f"source_config.{setting}.{label}", name, names) for name in columns
        ]
    default_table_adapter(table, selected["included_columns"], selected["excluded_columns"])


def _require_key(spec: ResourceSpec, table: Table) -> None:
    """Reject a merge without the key that its strategy requires."""
    if spec.write_mode != "merge" or spec.primary_key or spec.merge_strategy == "scd2":
        return
    if spec.merge_key and spec.merge_strategy == "delete-insert":
        return
    msg = (
        f"write_mode of resource {spec.name!r} is 'merge' with merge_strategy "
        f"{spec.merge_strategy!r}, but {table.name!r} has no primary key in the database; set "
        "primary_key to the column or columns that identify a row"
    )
    raise PipelineConfigurationError(msg)


def _set_key(table: Table, key: Sequence[str]) -> None:
    """Make a key the primary key of a reflected table: dlt takes its hint from there."""
    import sqlalchemy

    for column in table.columns:
        column.primary_key = False
    table.append_constraint(sqlalchemy.PrimaryKeyConstraint(*(table.columns[name] for name in key)))


def plain_type(kind: TypeEngine[Any], options: SqlDatabaseOptions) -> TypeEngine[Any]:
    """Return the type that dlt infers a column from.

    In SQLAlchemy 2.1, Float is no longer a Numeric. A numeric without a precision gets one that no
    usual value exceeds: dlt's nine decimal places are fewer than an average has.
    """
    import sqlalchemy

    if isinstance(kind, sqlalchemy.Float):
        return sqlalchemy.Numeric(asdecimal=False)
    if isinstance(kind, sqlalchemy.Numeric) and kind.asdecimal and kind.precision is None:
        if options.unbounded_numeric == "text":
            return sqlalchemy.Text()
        return sqlalchemy.Numeric(_LONGEST_DECIMAL, _UNBOUNDED_SCALE)
    return kind
