"""Opens the tables that a plugin loads, through the catalog that it loads them into."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.config.destination import open_configured_catalog

if TYPE_CHECKING:
    from pyiceberg.table import Table


def load_tables(plugin: DltIngestionPlugin, names: Iterable[str]) -> "dict[str, Table | None]":
    """Return the current state of tables, by name; None for a table that does not exist.

    Args:
        plugin: The plugin, whose configuration defines the catalog.
        names: `namespace.table` of each.
    """
    from pyiceberg.exceptions import NoSuchTableError

    catalog = open_configured_catalog(plugin.get_destination_config(plugin.config.catalog_config))
    tables: dict[str, Table | None] = {}
    for name in set(names):
        try:
            tables[name] = catalog.load_table(name)
        except NoSuchTableError:
            tables[name] = None
    return tables


@dataclass(frozen=True)
class CheckedTables:
    """Tables as their checks see them.

    Attributes:
        tables: The tables, by `namespace.table`; None for one that does not exist.
        blocked: Why committed loads cannot be published to other tables, with the remedy.
        unpublished: Which committed loads are not published although they should be, with the
            remedy.
        missing: The ids of the loads that a rollback or a restored backup removed.
    """

    tables: "Mapping[str, Table | None]"
    blocked: Mapping[str, str]
    unpublished: Mapping[str, str]
    missing: Mapping[str, Sequence[str]]


def read_checked_tables(plugin: DltIngestionPlugin, names: Iterable[str]) -> CheckedTables:
    """Read tables, and what the log of their dataset says about them.

    Args:
        plugin: The plugin, whose configuration defines the catalog.
        names: `namespace.table` of each.
    """
    from floe_ingestion_defs.destinations import (
        Dataset,
        blocked_tables,
        missing_loads,
        unpublished_loads,
    )

    catalog = open_configured_catalog(plugin.get_destination_config(plugin.config.catalog_config))
    tables: dict[str, Table | None] = {}
    blocked: dict[str, str] = {}
    unpublished: dict[str, str] = {}
    missing: dict[str, list[str]] = {}
    wanted = set(names)
    for namespace in sorted({name.rpartition(".")[0] for name in wanted}):
        dataset = Dataset(catalog, namespace)
        view = dataset.log.read()
        found = {} if view is None else blocked_tables(dataset, view)
        own = {name for name in wanted if name.rpartition(".")[0] == namespace}
        reasons = {f"{namespace}.{table}": reason for table, reason in found.items()}
        blocked |= {name: reason for name, reason in reasons.items() if name in own}
        # A table that cannot be loaded may be blocked for that reason.
        loaded = load_tables(plugin, own - blocked.keys())
        tables |= loaded
        if view is not None:
            unpublished |= unpublished_loads(dataset, view, loaded)
        missing |= {name: missing_loads(table, view) for name, table in loaded.items() if table}
    return CheckedTables(tables, blocked, unpublished, missing)
