"""The resources of a source, with all settings of how each is loaded.

They are derived from configuration alone, so that a code location can list them at definition time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from floe_ingestion_defs.branch import branch_namespace
from floe_ingestion_defs.dlt_plugin.config.names import as_identifier
from floe_ingestion_defs.dlt_plugin.config.source_options import (
    rest_resources,
    source_resource_names,
)

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.config.columns import ColumnConfig
    from floe_ingestion_defs.dlt_plugin.config.models import IngestionSourceConfig


# So many tables of a source are named in an error that is about all of them.
_NAMED_TABLES = 3


@dataclass(frozen=True)
class ResourceSpec:
    """One resource: its name, its table, and how it is loaded.

    Attributes:
        name: Name of the dlt resource.
        table: Full name of its table, `namespace.table`; in a branch deployment, the branch's.
        write_mode: `append`, `replace` or `merge`.
        merge_strategy: How a merge handles rows with the same key; None for other write modes.
        merge_mode: How rows of data files are deleted; None for the table's own property.
        primary_key: Columns that uniquely identify a row.
        merge_key: Columns that identify a group of rows, which a merge replaces as a whole.
        cursor_field: Monotonically increasing column.
        initial_value: Value of the cursor at which the first load starts.
        lag: How far before the last loaded value the next load reads again.
        on_cursor_value_missing: How rows without a value of the cursor are handled.
        schema_contract: How new columns and type changes are handled.
        partition_by: Columns, or transforms such as `month(time_hour)`.
        columns: Declared columns by name.
        out_of_range_dates: How dates outside of the years 1 to 9999 are handled.
        type_conflict: How values of a type that Iceberg cannot widen a column to are handled; None
            for the default of the kind of rows.
        nested: How nested values are stored: `dlt`, or `native` for structs, lists and maps.
        quarantine: Whether rows that the contract rejects are stored in a separate table.
        add_load_id: Whether Arrow tables get the column `_dlt_load_id`.
        show_values: Whether errors and previews may contain values of the data.
        description: Description of the table.
        key_of_source: Whether the source may define the primary key where none is configured, as
            the tables of a database do; it is not known before a run.
        given: Names of the settings in the configuration; the others are defaults, which do not
            override the settings that a source defines itself.
        origin: The resource as its source describes it, such as a reflected table; None before a
            run has resolved it.
    """

    name: str
    table: str
    write_mode: str = "append"
    merge_strategy: str | None = None
    merge_mode: str | None = None
    primary_key: tuple[str, ...] = ()
    merge_key: tuple[str, ...] = ()
    cursor_field: str | None = None
    initial_value: Any = None
    lag: float | None = None
    on_cursor_value_missing: Literal["raise", "include", "exclude"] | None = None
    schema_contract: str = "evolve"
    partition_by: tuple[str, ...] = ()
    columns: Mapping[str, ColumnConfig] = field(default_factory=dict)
    out_of_range_dates: str = "fail"
    type_conflict: Literal["fail", "variant", "text"] | None = None
    nested: Literal["dlt", "native"] = "dlt"
    quarantine: bool = False
    add_load_id: bool = True
    show_values: bool = False
    description: str | None = None
    key_of_source: bool = False
    given: frozenset[str] = frozenset()
    origin: Any = field(default=None, compare=False, repr=False)

    @property
    def namespace(self) -> str:
        """Namespace part of `table`, which is dlt's dataset."""
        return self.table.partition(".")[0]

    @property
    def moves_conflicts(self) -> bool:
        """Whether values that do not fit their column are loaded into another one."""
        return self.type_conflict in ("variant", "text")

    @property
    def keeps_nested(self) -> bool:
        """Whether nested values stay structs, lists and maps."""
        return self.nested == "native"

    @property
    def table_name(self) -> str:
        """Table part of `table`."""
        return self.table.partition(".")[2]

    @property
    def quarantines(self) -> bool:
        """Whether rejected rows are stored in a separate table."""
        return self.quarantine or self.out_of_range_dates == "quarantine"


def derive_specs(source: IngestionSourceConfig) -> tuple[ResourceSpec, ...]:
    """Return a source's resources, with production's tables, from its configuration alone."""
    table = source.destination_table.partition(".")[2]
    names = source_resource_names(source.source_type, source.source_config, table)
    return tuple(_spec(source, name) for name in names)


def _spec(source: IngestionSourceConfig, name: str) -> ResourceSpec:
    settings: dict[str, Any] = {
        "write_mode": source.write_mode,
        "schema_contract": source.schema_contract,
        **_own_settings(source, name),
    }
    given: dict[str, Any] = {}
    for config in (source, source.resources.get(name)):
        names = _SETTINGS & config.model_fields_set if config is not None else frozenset()
        given |= {key: getattr(config, key) for key in names if getattr(config, key) is not None}
    settings |= given
    table = settings.pop("destination_table", source.destination_table)
    if settings["write_mode"] == "merge":
        settings.setdefault("merge_strategy", _default_strategy(settings))
    return ResourceSpec(
        name=name,
        table=table.replace("{resource}", as_identifier(name)),
        key_of_source=source.source_type == "sql_database" and not settings.get("primary_key"),
        given=frozenset(given),
        **settings,
    )


def tables_of(source: IngestionSourceConfig) -> str:
    """Return the tables of a source as an error names them: none contains `{resource}`."""
    tables = [spec.table for spec in source.specs]
    shown = ", ".join(tables[:_NAMED_TABLES])
    more = len(tables) - _NAMED_TABLES
    return f"{shown} and {more} more" if more > 0 else shown


def confined(spec: ResourceSpec) -> ResourceSpec:
    """Return a resource with the table to load: in a branch deployment, the branch's own."""
    return replace(spec, table=f"{branch_namespace(spec.namespace)}.{spec.table_name}")


_SETTINGS = frozenset(
    {
        "destination_table",
        "write_mode",
        "merge_strategy",
        "merge_mode",
        "primary_key",
        "merge_key",
        "cursor_field",
        "initial_value",
        "lag",
        "on_cursor_value_missing",
        "schema_contract",
        "partition_by",
        "columns",
        "out_of_range_dates",
        "type_conflict",
        "nested",
        "quarantine",
        "add_load_id",
        "show_values",
        "description",
    }
)


def _default_strategy(settings: Mapping[str, Any]) -> str:
    """Return the merge strategy for the configured keys: a merge key replaces groups of rows."""
    return "delete-insert" if settings.get("merge_key") else "upsert"


def _own_settings(source: IngestionSourceConfig, name: str) -> dict[str, Any]:
    """Return the settings that a declarative REST resource defines in dlt's own terms."""
    if source.source_type != "rest_api":
        return {}
    own = rest_resources(source.source_config)[name]
    settings: dict[str, Any] = {}
    for key in ("primary_key", "merge_key"):
        if value := own.get(key):
            settings[key] = (value,) if isinstance(value, str) else tuple(value)
    disposition = own.get("write_disposition")
    if isinstance(disposition, str):
        settings["write_mode"] = disposition
    elif isinstance(disposition, Mapping):
        settings["write_mode"] = disposition.get("disposition", "append")
        if disposition.get("strategy"):
            settings["merge_strategy"] = disposition["strategy"]
    return settings
