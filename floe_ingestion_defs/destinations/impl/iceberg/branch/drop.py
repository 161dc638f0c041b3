"""The end of a branch: its namespaces are dropped, with the files that only it uses."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from floe_ingestion_defs.branch import BRANCH_VARIABLE, Branch, current_branch
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone import BRANCH_PROPERTY
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone_tables import (
    PROBE_PREFIX,
    own_locations,
)
from floe_ingestion_defs.destinations.impl.iceberg.catalog.namespaces import list_all_namespaces
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import list_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

logger = logging.getLogger(__name__)


def drop_branch(catalog: Catalog) -> list[str]:
    """Drop every namespace of the branch that this process is confined to.

    Args:
        catalog: The catalog, opened by `open_catalog`, and so confined.

    Returns:
        The names of the namespaces; empty where the branch has loaded nothing, or was dropped.

    Raises:
        DatasetRefused: This process is not in a branch deployment, or a namespace was not created
            by this branch. Nothing was dropped.
    """
    branch = current_branch()
    if branch is None:
        msg = (
            f"Only a branch's tables can be dropped, and {BRANCH_VARIABLE} is not set: this is "
            "production or a local deployment."
        )
        raise DatasetRefused(msg)
    names = (".".join(levels) for levels in list_all_namespaces(catalog))
    datasets = [Dataset(catalog, name) for name in names if branch.owns(name)]
    for dataset in datasets:
        _require_own_making(dataset, branch)
    for dataset in datasets:
        _drop(dataset)
    return [dataset.name for dataset in datasets]


def _require_own_making(dataset: Dataset, branch: Branch) -> None:
    tables = dataset.tables()
    log = tables.get(dataset.log.identifier[-1])
    # A branch that died before it had a log has tables of the probe, and no others.
    if log is None and all(name.startswith(PROBE_PREFIX) for name in tables):
        return
    owner = log.properties.get(BRANCH_PROPERTY) if log else None
    if owner != str(branch):
        msg = (
            f"`{dataset.name}` is named like a namespace of branch `{branch}`, but was not created "
            f"by it (its owner is {owner or 'unknown'}). Nothing was dropped; if it is not needed, "
            "drop it by hand."
        )
        raise DatasetRefused(msg)


def _drop(dataset: Dataset) -> None:
    """Drop the tables, the log last, so that an interrupted drop can be resumed."""
    tables = dataset.tables()
    places = [(place, t) for t in tables.values() for place in _own_folders(dataset, t)]
    log = dataset.log.identifier[-1]
    for name in sorted(tables, key=lambda name: name == log):
        dataset.catalog.drop_table(dataset.identifier(name))
    dataset.catalog.drop_namespace(dataset.namespace)
    for place, table in places:
        for file in list(list_files(table.io, place)):
            table.io.delete(file.path)
    logger.info("Dropped %s with %s tables", dataset.name, len(tables))


def _own_folders(dataset: Dataset, table: Table) -> Iterator[str]:
    """Return the folders of a table within the namespace's own: only there are files deleted."""
    for place in own_locations(table):
        if any(part.startswith(dataset.namespace[-1]) for part in place.split("/")):
            yield place
