"""A dataset: one namespace of a catalog, with its log."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import (
    admits_leading_underscores,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import load_table
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOADS_TABLE
from floe_ingestion_defs.destinations.impl.iceberg.log.load_log import LoadLog

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.typedef import Identifier

    from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
    from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import RewriteExecutor


@dataclass(frozen=True)
class Dataset:
    """The tables that pipelines load into under one dataset name.

    Attributes:
        catalog: The catalog that holds them.
        name: dlt's dataset name; dots separate the levels of a nested namespace.
        namespace_properties: The properties that the namespace is created with.
        rewrite_executor: Where the work on the data files of merges and compactions runs.
    """

    catalog: Catalog
    name: str
    namespace_properties: Mapping[str, str] = field(default_factory=dict, compare=False)
    rewrite_executor: RewriteExecutor = field(default="threads", compare=False)

    @property
    def namespace(self) -> tuple[str, ...]:
        """The Iceberg namespace."""
        return tuple(self.name.split("."))

    @cached_property
    def log(self) -> LoadLog:
        """The dataset's write-ahead log, `_dlt_loads`, or `dlt_loads`: see `identifier`."""
        names = (LOADS_TABLE, LOADS_TABLE.lstrip("_"))
        looked_up: dict[Identifier, Table | None] = {}
        if not admits_leading_underscores(self.catalog, self.namespace, looked_up):
            names = names[::-1]
        return LoadLog(
            self.catalog,
            *((*self.namespace, name) for name in names),
            namespace_properties=self.namespace_properties,
            looked_up=looked_up,
        )

    def identifier(self, table: str) -> tuple[str, ...]:
        """Return the Iceberg identifier of a table.

        Amazon S3 Tables and some others require a letter or a digit first: there `_dlt_loads` is
        `dlt_loads`. A dataset keeps the names that its log began with.
        """
        if table.startswith("_") and not self.log.locate()[-1].startswith("_"):
            table = table.lstrip("_")
        return (*self.namespace, table)

    def qualified(self, table: str) -> str:
        """Return the table's name as users write it: `namespace.table`."""
        return f"{self.name}.{table}"

    def tables(self) -> dict[str, Table]:
        """Return every table of the namespace by its name, the log included."""
        names = [name for *_, name in self.catalog.list_tables(self.namespace)]
        loaded = ((name, load_table(self.catalog, (*self.namespace, name))) for name in names)
        return {name: table for name, table in loaded if table is not None}

    def absent(self, tables: Collection[str]) -> list[str]:
        """Return the tables that do not exist; one request to the catalog where all exist."""
        from pyiceberg.exceptions import ForbiddenError, NoSuchNamespaceError

        listed: set[str] = set()
        if len(tables) > 1:
            # Without the right to list tables, each is loaded.
            with suppress(ForbiddenError, NoSuchNamespaceError):
                listed = {name for *_, name in self.catalog.list_tables(self.namespace)}
        # A catalog may list names in another case than it accepts.
        return [
            table
            for table in tables
            if self.identifier(table)[-1] not in listed and self.load_table(table) is None
        ]

    def load_table(self, table: str, since: Since | None = None) -> Table | None:
        """Return the table as it is now, None where there is none; see `commits/commit.py`."""
        return load_table(self.catalog, self.identifier(table), since)
