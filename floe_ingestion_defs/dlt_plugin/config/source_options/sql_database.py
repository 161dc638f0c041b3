"""Options of a SQL database source, read through SQLAlchemy or a faster driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from floe_ingestion_defs.dlt_plugin.config.names import default_resource_name
from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

SqlBackend = Literal["auto", "adbc", "pyarrow", "connectorx", "sqlalchemy"]


class TableOptions(SourceOptions):
    """One table or view and the name of its resource, or a pattern for the names of tables."""

    @model_validator(mode="before")
    @classmethod
    def _a_name_alone_will_do(cls, value: Any) -> Any:
        return {"table": value} if isinstance(value, str) else value

    table: str = Field(min_length=1, description="Table or view, as the database spells its name.")
    name: str | None = Field(
        default=None,
        min_length=1,
        description="Name of the resource. Default: the name of the table, as words.",
    )

    @property
    def is_pattern(self) -> bool:
        """Whether this is a pattern: it has no name of a resource, and a wildcard."""
        return self.name is None and any(wildcard in self.table for wildcard in "*?")


def configured_tables(source_config: Mapping[str, Any]) -> tuple[TableOptions, ...]:
    """Return the tables, views and patterns of a database source, from raw configuration."""
    tables = source_config.get("table_names", ())
    tables = (tables,) if isinstance(tables, str) else tables
    return tuple(map(TableOptions.model_validate, tables))


def sql_tables(source_config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the name of each resource of a database, with its table, from raw configuration.

    The tables that patterns match are known only after `expand_tables`.

    Raises:
        ValueError: The resource of a table needs a name of its own.
    """
    return [
        (each.name or default_resource_name(each.table), each.table)
        for each in configured_tables(source_config)
        if not each.is_pattern
    ]


class SqlDatabaseOptions(SourceOptions):
    """Tables and views of one database."""

    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        default=None,
        description="SQLAlchemy URL such as postgresql://user:password@host/database, or its "
        "parts with dlt's field names. Default: taken from dlt's configuration providers.",
    )
    schema_: str | None = Field(
        default=None, alias="schema", description="Database schema that contains the tables."
    )
    table_names: tuple[TableOptions, ...] = Field(
        min_length=1,
        description="Tables and views to load; each becomes a resource of the same name, or of the "
        "one that a mapping of table and name has. A pattern such as sales_* or * stands for all "
        "tables of the schema that it matches.",
    )
    excluded_tables: tuple[str, ...] = Field(
        default=(), description="Tables, or patterns, that the patterns of table_names skip."
    )
    include_views: bool = Field(
        default=False, description="Whether the patterns of table_names match views, too."
    )
    chunk_size: int = Field(
        default=50_000, ge=1, description="Rows to read at a time; limits the memory used."
    )
    backend: SqlBackend = Field(
        default="auto",
        description="How rows are read: auto uses adbc for PostgreSQL if its driver is installed, "
        "otherwise pyarrow; connectorx is used as in dlt; sqlalchemy reads rows as dicts, whose "
        "nested values become separate tables.",
    )
    readers: int = Field(
        default=1,
        ge=1,
        le=32,
        description="Connections that read a table of PostgreSQL at the same time, over adbc and "
        "one snapshot of the database, when all of its rows are loaded.",
    )
    backend_kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments of the backend, as in dlt."
    )
    engine_kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments of sqlalchemy.create_engine."
    )
    reflection_level: Literal["minimal", "full", "full_with_precision"] = Field(
        default="full",
        description="How much of each column's type is read from the database schema.",
    )
    unbounded_numeric: Literal["decimal", "text"] = Field(
        default="decimal",
        description="Type of a numeric without a precision: decimal has 18 digits before and 20 "
        "after the point, and a value with more fails the load; text holds every value.",
    )
    included_columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict,
        description="Columns to load, by table or resource. Default: all columns.",
    )
    excluded_columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Columns to exclude, by table or resource."
    )
    where: dict[str, str] = Field(
        default_factory=dict,
        description="Conditions in SQL that rows must meet to be loaded, by table or resource, "
        "such as status <> 'draft'.",
    )

    @field_validator("table_names", "excluded_tables", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _only_adbc_reads_in_parallel(self) -> SqlDatabaseOptions:
        if self.readers > 1 and self.backend not in ("auto", "adbc"):
            msg = (
                f"readers is {self.readers}, but backend {self.backend!r} reads with one "
                "connection; use backend: adbc, or remove readers"
            )
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _tables_are_loaded(self) -> SqlDatabaseOptions:
        if self.has_patterns:
            return self
        for setting in ("excluded_tables", "include_views"):
            if getattr(self, setting):
                msg = (
                    f"{setting} applies to the patterns of table_names, but there is none; remove "
                    "it, or use a pattern such as table_names: 'sales_*'"
                )
                raise ValueError(msg)
        resources = sql_tables({"table_names": self.table_names})
        known = {name for pair in resources for name in pair}
        for setting in ("included_columns", "excluded_columns", "where"):
            for table in getattr(self, setting):
                if table not in known:
                    msg = f"{setting} names table {table!r}, which is not among table_names"
                    raise ValueError(msg)
        return self

    @property
    def has_patterns(self) -> bool:
        """Whether patterns match tables that the configuration does not name."""
        return any(each.is_pattern for each in self.table_names)

    def table_of(self, resource: str) -> str:
        """Return the table of a resource, as the database spells its name."""
        return dict(sql_tables({"table_names": self.table_names}))[resource]
