"""Options of a SQL database source, read through SQLAlchemy or a faster driver."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr, model_validator

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

SqlBackend = Literal["auto", "adbc", "pyarrow", "connectorx", "sqlalchemy"]


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
    table_names: tuple[str, ...] = Field(
        min_length=1,
        description="Tables and views to load; each becomes a resource of the same name.",
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
        default_factory=dict, description="Columns to load, by table. Default: all columns."
    )
    excluded_columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Columns to exclude, by table."
    )

    @model_validator(mode="after")
    def _columns_are_of_loaded_tables(self) -> SqlDatabaseOptions:
        for setting in ("included_columns", "excluded_columns"):
            for table in getattr(self, setting):
                if table not in self.table_names:
                    msg = f"{setting} names table {table!r}, which is not among table_names"
                    raise ValueError(msg)
        return self
