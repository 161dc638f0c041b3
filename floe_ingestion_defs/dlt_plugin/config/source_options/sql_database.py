"""Options of a SQL database source, read through SQLAlchemy or a faster driver."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SecretStr, model_validator

from floe_ingestion_defs.dlt_plugin.config.names import default_resource_name
from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

SqlBackend = Literal["auto", "adbc", "pyarrow", "connectorx", "sqlalchemy"]


class TableOptions(SourceOptions):
    """One table or view, and the name of its resource."""

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


def sql_tables(source_config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the name of each resource of a database, with its table, from raw configuration.

    Raises:
        ValueError: The resource of a table needs a name of its own.
    """
    tables = map(TableOptions.model_validate, source_config["table_names"])
    return [(each.name or default_resource_name(each.table), each.table) for each in tables]


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
        "one that a mapping of table and name has.",
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

    @model_validator(mode="after")
    def _tables_are_loaded(self) -> SqlDatabaseOptions:
        resources = sql_tables({"table_names": self.table_names})
        known = {name for pair in resources for name in pair}
        for setting in ("included_columns", "excluded_columns", "where"):
            for table in getattr(self, setting):
                if table not in known:
                    msg = f"{setting} names table {table!r}, which is not among table_names"
                    raise ValueError(msg)
        return self

    def table_of(self, resource: str) -> str:
        """Return the table of a resource, as the database spells its name."""
        return dict(sql_tables({"table_names": self.table_names}))[resource]
