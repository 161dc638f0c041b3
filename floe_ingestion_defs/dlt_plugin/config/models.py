"""The plugin's configuration: sources, catalog, retries.

It is validated as a whole before anything runs, without access to anything that it names: no
network, no file, no driver. Errors name the source, the field, the value and the fix.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)

from floe_ingestion_defs.branch import BranchTables
from floe_ingestion_defs.dlt_plugin.config import field_rules
from floe_ingestion_defs.dlt_plugin.config import rules as config_rules
from floe_ingestion_defs.dlt_plugin.config.columns import ColumnConfig
from floe_ingestion_defs.dlt_plugin.config.messages import name_the_source
from floe_ingestion_defs.dlt_plugin.config.resource_specs import (
    ResourceSpec,
    confined,
    derive_specs,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

SourceTypeName = Literal["filesystem", "sql_database", "rest_api", "python"]
WriteMode = Literal["append", "replace", "merge"]
MergeStrategy = Literal["delete-insert", "upsert", "insert-only", "scd2"]
MergeMode = Literal["auto", "copy-on-write", "merge-on-read"]
RewriteExecutor = Literal["threads", "ray", "dask"]
SchemaContract = Literal["evolve", "freeze", "discard_row", "discard_value"]
TypeConflict = Literal["fail", "variant", "text"]
Nested = Literal["dlt", "native"]
KeyColumns = tuple[str, ...]

# Inputs are left out of error messages: a misplaced password must not reach a log.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RetryConfig(BaseModel):
    """How a load is retried after a transient failure."""

    model_config = _STRICT

    max_retries: int = Field(
        default=3,
        ge=0,
        le=20,
        description="Maximum number of retries after the first attempt; 0 disables retries.",
    )
    initial_delay_seconds: float = Field(
        default=1.0,
        gt=0,
        le=300,
        description="Seconds before the first retry; doubles with each further one.",
    )


class ResourceConfig(BaseModel):
    """How one resource is loaded; omitted fields are inherited from its source."""

    model_config = _STRICT

    destination_table: str | None = Field(
        default=None, description="Table to load, as namespace.table; may contain {resource}."
    )
    write_mode: WriteMode | None = Field(
        default=None,
        description="append adds rows, replace replaces all rows, merge updates rows by key.",
    )
    merge_strategy: MergeStrategy | None = Field(
        default=None,
        description="How write_mode merge handles rows with the same key. Default: upsert, or "
        "delete-insert if there is a merge_key.",
    )
    merge_mode: MergeMode | None = Field(
        default=None,
        description="How merges and window overwrites delete rows of data files: copy-on-write "
        "rewrites the files, merge-on-read deletes rows by position, auto chooses for each file. "
        "Default: the table's property write.merge.mode, or auto.",
    )
    schema_contract: SchemaContract | None = Field(
        default=None,
        description="How new columns and type changes are handled: evolve accepts them, freeze "
        "fails the load, discard_row and discard_value drop the row or the value.",
    )
    primary_key: KeyColumns | None = Field(
        default=None, description="Column or columns that uniquely identify a row."
    )
    merge_key: KeyColumns | None = Field(
        default=None,
        description="Column or columns that identify a group of rows, which a merge replaces as "
        "a whole.",
    )
    cursor_field: str | None = Field(
        default=None,
        description="Monotonically increasing column; only rows beyond the last loaded value are "
        "loaded.",
    )
    initial_value: Any = Field(
        default=None, description="Value of cursor_field at which the first load starts."
    )
    lag: float | None = Field(
        default=None,
        ge=0,
        description="How far before the last loaded value to read again, for late-arriving rows: "
        "in seconds for timestamps, in days for dates, otherwise in the cursor's own unit.",
    )
    on_cursor_value_missing: Literal["raise", "include", "exclude"] | None = Field(
        default=None,
        description="What to do with rows without a value in cursor_field: raise fails the load, "
        "include loads them with every load, exclude never loads them. Default: raise.",
    )
    partition_by: tuple[str, ...] | None = Field(
        default=None,
        description="Partitioning of the table: columns, or transforms such as month(time_hour) "
        "and bucket(16, id).",
    )
    columns: dict[str, ColumnConfig] | None = Field(
        default=None,
        description="Declared columns by name; a data type alone is a short form.",
    )
    out_of_range_dates: Literal["fail", "null", "quarantine"] | None = Field(
        default=None,
        description="What to do with dates and timestamps outside of the years 1 to 9999, such as "
        "PostgreSQL's infinity: fail the load, load them as null, or store their rows in the table "
        "{table}__rejected instead. Default: fail.",
    )
    type_conflict: TypeConflict | None = Field(
        default=None,
        description="What to do under the contract evolve with values of a type that Iceberg "
        "cannot widen a column to, such as 1.5 or text in a column of integers: fail the load, or "
        "load them into a column of their own, with dlt's name and their type (variant, such as "
        "amount__v_double) or as text (text, amount__v_text). Default: variant for rows that are "
        "dicts, as in dlt, and fail for files and databases.",
    )
    nested: Nested | None = Field(
        default=None,
        description="How nested values are stored: dlt makes columns and nested tables of those in "
        "rows that are dicts, and JSON strings of those in Arrow tables and files; native stores "
        "them as Iceberg structs, lists and maps. Default: dlt.",
    )
    quarantine: bool | None = Field(
        default=None,
        description="Whether to store the rows that discard_row rejects, with the reason, in the "
        "table {table}__rejected.",
    )
    add_load_id: bool | None = Field(
        default=None,
        description="Whether each row has the id of its load in the column _dlt_load_id. Default: "
        "true. Rows that dlt normalizes, such as those with nested tables, always have it.",
    )
    show_values: bool | None = Field(
        default=None,
        description="Whether errors and previews may contain values of the data. Default: false, "
        "because values may be personal data, and logs and Dagster's database store them.",
    )
    description: str | None = Field(
        default=None, description="Description of the table, shown in Dagster."
    )

    @field_validator("primary_key", "merge_key", "partition_by", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("primary_key", "merge_key")
    @classmethod
    def _key_names_columns(cls, value: KeyColumns | None) -> KeyColumns | None:
        return field_rules.check_key(value)

    @field_validator("lag", mode="before")
    @classmethod
    def _lag_is_a_number(cls, value: Any) -> Any:
        return field_rules.check_lag(value)

    @field_validator("destination_table")
    @classmethod
    def _table_has_a_namespace(cls, value: str | None) -> str | None:
        return None if value is None else field_rules.check_destination_table(value)

    @field_validator("partition_by")
    @classmethod
    def _partitions_are_transforms(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else field_rules.check_partitions(value)


class IngestionSourceConfig(ResourceConfig):
    """One source: how to reach it, and where and how its resources are loaded."""

    name: str = Field(
        description="Name of the source: lower-case words joined by single underscores. It is "
        "also the name of dlt's pipeline, under which the state is stored."
    )
    source_type: SourceTypeName = Field(description="Type of the source.")
    source_config: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="Options of the source type, with dlt's argument names.",
    )
    destination_table: str = Field(
        description="Table to load, as namespace.table; with {resource} in it if the source has "
        "several resources, such as bronze.shop_{resource}."
    )
    write_mode: WriteMode = Field(
        default="append",
        description="append adds rows, replace replaces all rows, merge updates rows by key.",
    )
    schema_contract: SchemaContract = Field(
        default="evolve",
        description="How new columns and type changes are handled: evolve accepts them, freeze "
        "fails the load, discard_row and discard_value drop the row or the value.",
    )
    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        default=None,
        description="Credentials of the source, preferably as ${NAME}. Default: taken from dlt's "
        "configuration providers.",
    )
    isolation: Literal["source", "resource"] = Field(
        default="source",
        description="Unit of a load: the whole source, loaded completely or not at all; or each "
        "resource, so that a failing one does not block the others.",
    )
    resources: dict[str, ResourceConfig] = Field(
        default_factory=dict, description="Overrides for individual resources, by resource name."
    )
    orchestration: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings for the orchestrator that runs this source; the plugin passes them "
        "on without reading them.",
    )

    @model_validator(mode="wrap")
    @classmethod
    def _errors_name_the_source(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            source = handler(data)
            config_rules.check_source(source)
        except ValidationError as wrong:
            raise name_the_source(wrong, cls, data) from None
        return source

    @property
    def specs(self) -> tuple[ResourceSpec, ...]:
        """The source's resources, derived from its configuration alone."""
        # Whether this process is confined to a branch may be decided after the configuration is
        # read, so only what does not depend on it is cached.
        return tuple(map(confined, self._derived_specs))

    @cached_property
    def _derived_specs(self) -> tuple[ResourceSpec, ...]:
        return derive_specs(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with some fields changed; see pydantic's method of the same name."""
        copied = super().model_copy(update=update, deep=deep)
        # pydantic copies the value of a cached property along with the fields.
        copied.__dict__.pop("_derived_specs", None)
        return copied

    @field_validator("destination_table", mode="before")
    @classmethod
    def _table_is_given(cls, value: Any) -> Any:
        return field_rules.check_table_is_given(value)

    @field_validator("name")
    @classmethod
    def _name_is_valid(cls, value: str) -> str:
        return field_rules.check_source_name(value)


class DltIngestionConfig(BaseModel):
    """The complete configuration of `DltIngestionPlugin`."""

    model_config = _STRICT

    sources: tuple[IngestionSourceConfig, ...] = Field(
        default=(), description="Sources to load; their names are unique."
    )
    catalog_config: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="pyiceberg catalog properties, which override those of the environment: type, "
        "uri, warehouse, s3_endpoint, s3_access_key_id, …",
    )
    retry_config: RetryConfig = Field(
        default_factory=RetryConfig, description="How failed loads are retried."
    )
    branch_tables: BranchTables = Field(
        default="clone",
        description="What a branch deployment starts with: clone for production's tables and "
        "cursors, without copying their data, where the catalog supports it; empty for no tables.",
    )
    rewrite_executor: RewriteExecutor = Field(
        default="threads",
        description="Where the work on the data files of merges and compactions runs: threads of "
        "the process, ray for the Ray cluster that RAY_ADDRESS names (extra ray), or dask for the "
        "Dask cluster that DASK_SCHEDULER_ADDRESS names (extra dask).",
    )

    @model_validator(mode="after")
    def _sources_fit_together(self) -> Self:
        config_rules.check_sources(self.sources)
        return self
