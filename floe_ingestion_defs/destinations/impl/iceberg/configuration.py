"""The destination's configuration."""

from __future__ import annotations

import dataclasses
from contextlib import nullcontext
from copy import copy
from typing import TYPE_CHECKING, Annotated, Any

from dlt.common.configuration import NotResolved, configspec
from dlt.common.destination.client import DestinationClientDwhConfiguration
from dlt.common.typing import TSecretStrValue

from floe_ingestion_defs.branch import BranchTables, current_branch
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import DEFAULT_CATALOG_NAME
from floe_ingestion_defs.destinations.impl.iceberg.changes.merge_mode import MergeMode
from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import RewriteExecutor

if TYPE_CHECKING:
    from dlt.common.schema import Schema


@configspec
class IcebergClientConfiguration(DestinationClientDwhConfiguration):
    """The catalog to load into, and the conditions for publishing a load.

    Omitted options come from pyiceberg's own configuration of the catalog `catalog_name`.
    """

    destination_type: Annotated[str, NotResolved()] = dataclasses.field(
        default="iceberg", init=False, repr=False, compare=False
    )
    catalog_name: str = DEFAULT_CATALOG_NAME
    """The catalog's name in `PYICEBERG_CATALOG__{NAME}__…` or in `.pyiceberg.yaml`."""
    catalog_type: str | None = None
    """`sql`, `rest`, `glue`, `hive` or another type that pyiceberg loads."""
    catalog_uri: TSecretStrValue | None = dataclasses.field(default=None, repr=False)
    """The catalog's URI, which may hold a password."""
    warehouse: str | None = None
    """Where the catalog puts new tables."""
    catalog_properties: Annotated[dict[str, Any] | None, NotResolved()] = dataclasses.field(
        default=None, repr=False
    )
    """Further pyiceberg catalog properties, such as `s3.endpoint`; they may hold secrets."""
    namespace_properties: Annotated[dict[str, str] | None, NotResolved()] = None
    """Properties of the namespace, such as `location`, where a load creates it."""
    replace_min_share: float | None = None
    """Reject the replacement of a table with fewer than this share of its current rows, 0 to 1."""
    merge_mode: MergeMode | None = None
    """The merge mode of tables without such a hint; None keeps the one that a table has."""
    rewrite_executor: RewriteExecutor = "threads"
    """Where the work on the data files of merges runs: `threads`, or `ray` for a Ray cluster."""
    branch_tables: BranchTables = "clone"
    """The initial tables of a branch: production's where the catalog can clone, or none."""
    audits: Annotated[Any, NotResolved()] = dataclasses.field(default=(), repr=False, compare=False)
    """Callables that read staged tables and yield findings; one finding fails the load."""
    around_phase: Annotated[Any, NotResolved()] = dataclasses.field(
        default=nullcontext, repr=False, compare=False
    )
    """Returns the context manager that a phase runs in: `stage`, `audit`, `commit`, `publish`."""

    def normalize_dataset_name(self, schema: Schema) -> str:
        """Return the namespace, with a branch's two underscores, which dlt would make one."""
        branch = current_branch()
        if branch is None or not branch.owns(self.dataset_name or ""):
            return super().normalize_dataset_name(schema)
        suffix = f"__{branch.name}"
        production = copy(self)
        production.dataset_name = self.dataset_name.removesuffix(suffix)
        named = DestinationClientDwhConfiguration.normalize_dataset_name(production, schema)
        return named + suffix

    def data_location(self) -> str | None:
        """Return the catalog as lineage names it, without secrets."""
        return f"iceberg://{self.catalog_name}"

    def __str__(self) -> str:
        return f"iceberg catalog {self.catalog_name}"
