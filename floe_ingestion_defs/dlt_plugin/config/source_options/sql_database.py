"""Options of a source of database tables, read through SQLAlchemy or a faster driver."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, SecretStr

from floe_ingestion_defs.dlt_plugin.config.source_options.base import SourceOptions

SqlBackend = Literal["auto", "adbc", "pyarrow", "connectorx", "sqlalchemy"]


class SqlDatabaseOptions(SourceOptions):
    """Tables and views of one database."""

    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        default=None,
        description="SQLAlchemy URL such as postgresql://user:password@host/database, or its "
        "parts by dlt's names; left out, dlt's own providers are asked.",
    )
    schema_: str | None = Field(
        default=None, alias="schema", description="Database schema that the tables are in."
    )
    table_names: tuple[str, ...] = Field(
        min_length=1, description="Tables and views to load, each a resource of this name."
    )
    chunk_size: int = Field(
        default=50_000, ge=1, description="Rows that are read at a time; bounds the memory."
    )
    backend: SqlBackend = Field(
        default="auto",
        description="How rows are read: auto takes adbc for PostgreSQL where its driver is "
        "installed, else pyarrow; connectorx as dlt does it; sqlalchemy gives dicts, whose nested "
        "values become tables of their own.",
    )
    backend_kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments for the backend, as dlt passes them on."
    )
    engine_kwargs: dict[str, Any] | None = Field(
        default=None, repr=False, description="Arguments for sqlalchemy.create_engine."
    )
    reflection_level: Literal["minimal", "full", "full_with_precision"] = Field(
        default="full", description="How much of a column's type is taken from the database."
    )
    included_columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Columns to load, by table; left out, all of them."
    )
    excluded_columns: dict[str, tuple[str, ...]] = Field(
        default_factory=dict, description="Columns not to load, by table."
    )
