"""The locations of the other tables of a catalog, as far as the catalog reports them.

A table that was renamed or registered under another namespace keeps its location, so any table of
the catalog may have its files in a dataset's folders.
"""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.branch.clone_tables import (
    SHARED_PROPERTY,
    own_locations,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.namespaces import list_all_namespaces
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import folder_key, parent_folders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.typedef import Identifier

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

# Most of the time is spent waiting for the catalog.
TABLES_AT_ONCE = 16

_LOCATION_PROPERTIES = (
    "write.data.path",
    "write.metadata.path",
    # A property of older versions of Iceberg.
    "write.object-storage.path",
    "write.folder-storage.path",
)


@dataclass
class OtherTables:
    """The folders that the tables of other namespaces use.

    Attributes:
        folders: Which table uses a folder, by the folder's key.
        unknown: Tables and namespaces that could not be read, and so may use any folder.
    """

    folders: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)

    def doubt_about(self, key: str) -> str | None:
        """Return why a file with that key may belong to another table, None if it cannot."""
        if self.unknown:
            return f"{self.unknown[0]} cannot be read and may use any folder"
        user = next((self.folders[f] for f in parent_folders(key) if f in self.folders), None)
        return f"`{user}` uses its folder" if user else None


def shared_tables(dataset: Dataset) -> dict[str, str]:
    """Return which tables of a dataset share their folders with one of another namespace.

    Such as a clone, which refers to their files. `remove_expired_files` and `remove_orphans` keep
    all files in these folders. The tables of all other namespaces are loaded to find out.

    Args:
        dataset: The dataset.

    Returns:
        For each of these tables, by its name, which other table uses its folder.
    """
    others = find_other_tables(dataset.catalog, dataset.namespace)
    found: dict[str, str] = {}
    for name, table in sorted(dataset.tables().items()):
        doubts = map(others.doubt_about, map(folder_key, sorted(own_locations(table))))
        if doubt := next(filter(None, doubts), None):
            found[name] = doubt
    return found


def find_other_tables(catalog: Catalog, namespace: Identifier) -> OtherTables:
    """Find the folders of the tables of every namespace but one, nested ones included."""
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    others = OtherTables()

    def folders_of(identifier: Identifier) -> dict[str, str]:
        try:
            table = catalog.load_table(identifier)
        except NoSuchTableError:
            return {}  # It was dropped, or it is not an Iceberg table.
        except Exception as error:
            # A boundary: catalogs and stores raise any exception of their drivers.
            others.unknown.append(_named("table", identifier, error))
            return {}
        return dict.fromkeys(map(folder_key, _locations(table)), ".".join(identifier))

    def not_listed(above: Identifier, error: Exception) -> None:
        others.unknown.append(_named("namespace", above or ("",), error))

    def identifiers() -> Iterator[Identifier]:
        for other in list_all_namespaces(catalog, on_error=not_listed):
            if other == namespace:
                continue
            try:
                yield from catalog.list_tables(other)
            except NoSuchNamespaceError:
                continue
            except Exception as error:
                # The same boundary.
                others.unknown.append(_named("namespace", other, error))

    with ThreadPoolExecutor(TABLES_AT_ONCE) as threads:
        for folders in threads.map(folders_of, identifiers()):
            others.folders.update(folders)
    return others


def _named(kind: str, identifier: Identifier, error: Exception) -> str:
    return f"{kind} `{'.'.join(identifier)}` ({type(error).__name__})"


def _locations(table: Table) -> Iterator[str]:
    yield table.location()
    yield table.metadata_location.rpartition("/")[0]
    yield from json.loads(table.properties.get(SHARED_PROPERTY, "[]"))
    for name in _LOCATION_PROPERTIES:
        if location := table.properties.get(name):
            yield location
