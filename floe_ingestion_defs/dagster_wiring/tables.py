"""Opens the tables that a plugin loads, through the catalog that it loads them into."""

from collections.abc import Iterable
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


def blocked_reasons(plugin: DltIngestionPlugin, names: Iterable[str]) -> dict[str, str]:
    """Return why committed loads cannot be published to tables, with the remedy, by name.

    Args:
        plugin: The plugin, whose configuration defines the catalog.
        names: `namespace.table` of each.
    """
    from floe_ingestion_defs.destinations import Dataset, blocked_tables

    catalog = open_configured_catalog(plugin.get_destination_config(plugin.config.catalog_config))
    wanted = set(names)
    return {
        name: reason
        for namespace in sorted({name.rpartition(".")[0] for name in wanted})
        for table, reason in blocked_tables(Dataset(catalog, namespace)).items()
        if (name := f"{namespace}.{table}") in wanted
    }
