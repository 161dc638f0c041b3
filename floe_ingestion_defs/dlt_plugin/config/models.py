"""The plugin's configuration: sources, catalog, retries.

It is validated as a whole before anything runs and without anything that it names: no network,
no file, no driver. Errors name the source, the field, the value and what would be right.
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
SchemaContract = Literal["evolve", "freeze", "discard_row", "discard_value"]
KeyColumns = tuple[str, ...]

# Inputs stay out of error texts: a misplaced password must not reach a log.
_STRICT = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class RetryConfig(BaseModel):
    """How a load that failed for a passing reason is tried again."""

    model_config = _STRICT

    max_retries: int = Field(
        default=3, ge=0, le=20, description="Further tries after the first; 0 for none."
    )
    initial_delay_seconds: float = Field(
        default=1.0, gt=0, le=300, description="Seconds before the second try; doubles each time."
    )


class ResourceConfig(BaseModel):
    """How one resource is loaded; what is left out is taken from its source."""

    model_config = _STRICT

    destination_table: str | None = Field(
        default=None, description="Table to load, namespace.table; may contain {resource}."
    )
    write_mode: WriteMode | None = Field(
        default=None, description="append adds rows, replace swaps all of them, merge goes by key."
    )
    merge_strategy: MergeStrategy | None = Field(
        default=None, description="How merge treats rows of one key; upsert by default."
    )
    schema_contract: SchemaContract | None = Field(
        default=None,
        description="What happens to new columns and types: evolve takes them over, freeze fails, "
        "discard_row and discard_value drop the row or the value.",
    )
    primary_key: KeyColumns | None = Field(
        default=None, description="Column or columns that identify a row."
    )
    merge_key: KeyColumns | None = Field(
        default=None, description="Column or columns whose values merge replaces as a group."
    )
    cursor_field: str | None = Field(
        default=None, description="Column that grows with time; only rows past its maximum load."
    )
    initial_value: Any = Field(
        default=None, description="Value of cursor_field that the first load starts from."
    )
    lag: float | None = Field(
        default=None,
        ge=0,
        description="How far before the stored maximum to read again for late rows: seconds for "
        "timestamps, days for dates, else in the cursor's own unit.",
    )
    partition_by: tuple[str, ...] | None = Field(
        default=None,
        description="Partitions of the table: columns or transforms such as month(time_hour), "
        "bucket(16, id).",
    )
    columns: dict[str, ColumnConfig] | None = Field(
        default=None, description="Declared columns by name; a type's name alone will do."
    )
    quarantine: bool | None = Field(
        default=None,
        description="Whether rows that discard_row refuses are kept, with the reason, in the table "
        "{table}__rejected.",
    )
    show_values: bool | None = Field(
        default=None,
        description="Whether values of the data may be shown, in errors and in previews; they may "
        "be personal, and logs and Dagster's database keep them. They are not by default.",
    )
    description: str | None = Field(default=None, description="What the table holds, for people.")

    @field_validator("primary_key", "merge_key", "partition_by", mode="before")
    @classmethod
    def _one_name_is_a_list_of_one(cls, value: Any) -> Any:
        return (value,) if isinstance(value, str) else value

    @field_validator("primary_key", "merge_key")
    @classmethod
    def _key_names_columns(cls, value: KeyColumns | None) -> KeyColumns | None:
        return config_rules.check_key(value)

    @field_validator("destination_table")
    @classmethod
    def _table_has_a_namespace(cls, value: str | None) -> str | None:
        return None if value is None else config_rules.check_destination_table(value)

    @field_validator("partition_by")
    @classmethod
    def _partitions_are_transforms(cls, value: tuple[str, ...] | None) -> tuple[str, ...] | None:
        return None if value is None else config_rules.check_partitions(value)


class IngestionSourceConfig(ResourceConfig):
    """One source: where it is, and where and how its resources are loaded."""

    name: str = Field(
        description="Name of the source: lower-case words joined by single underscores. It is "
        "also dlt's pipeline name, under which the state is kept."
    )
    source_type: SourceTypeName = Field(description="Kind of source.")
    source_config: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="What the source type needs, under dlt's own argument names.",
    )
    destination_table: str = Field(
        description="Table to load, namespace.table; a source of several resources has {resource} "
        "in it, such as bronze.shop_{resource}."
    )
    write_mode: WriteMode = Field(
        default="append",
        description="append adds rows, replace swaps all of them, merge goes by key.",
    )
    schema_contract: SchemaContract = Field(
        default="evolve",
        description="What happens to new columns and types: evolve takes them over, freeze fails, "
        "discard_row and discard_value drop the row or the value.",
    )
    credentials: SecretStr | dict[str, SecretStr] | None = Field(
        default=None,
        description="Credentials of the source, best given as ${NAME}; left out, dlt's own "
        "providers are asked.",
    )
    isolation: Literal["source", "resource"] = Field(
        default="source",
        description="What is one load: the whole source, all of it or none; or each resource, so "
        "that one that fails does not keep the others back.",
    )
    resources: dict[str, ResourceConfig] = Field(
        default_factory=dict, description="What differs for single resources, by their names."
    )
    orchestration: dict[str, Any] = Field(
        default_factory=dict,
        description="Settings for the orchestrator that runs this source; passed on unread.",
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
        """The source's resources, from its configuration alone."""
        # Whether this process is confined to a branch may be decided after the configuration is
        # read, so only what does not depend on it is kept.
        return tuple(map(confined, self._derived_specs))

    @cached_property
    def _derived_specs(self) -> tuple[ResourceSpec, ...]:
        return derive_specs(self)

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy, with fields changed; see pydantic's method of this name."""
        copied = super().model_copy(update=update, deep=deep)
        # pydantic copies what a cached property keeps along with the fields.
        copied.__dict__.pop("_derived_specs", None)
        return copied

    @field_validator("name")
    @classmethod
    def _name_is_valid(cls, value: str) -> str:
        return config_rules.check_source_name(value)


class DltIngestionConfig(BaseModel):
    """Everything that `DltIngestionPlugin` is configured with."""

    model_config = _STRICT

    sources: tuple[IngestionSourceConfig, ...] = Field(
        default=(), description="The sources, each with a name of its own."
    )
    catalog_config: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="pyiceberg catalog properties over those of the environment: type, uri, "
        "warehouse, s3_endpoint, s3_access_key_id, …",
    )
    retry_config: RetryConfig = Field(
        default_factory=RetryConfig, description="How failed loads are tried again."
    )
    branch_tables: BranchTables = Field(
        default="clone",
        description="What a branch deployment begins with: clone, production's tables and cursors "
        "without a copy of their data, where the catalog can; or empty, none.",
    )

    @model_validator(mode="after")
    def _sources_fit_together(self) -> Self:
        config_rules.check_sources(self.sources)
        return self
