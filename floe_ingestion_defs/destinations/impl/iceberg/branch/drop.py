"""The end of a branch: its namespaces are dropped, with the files that are its alone."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from floe_ingestion_defs.branch import BRANCH_VARIABLE, Branch, current_branch
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone import BRANCH_PROPERTY
from floe_ingestion_defs.destinations.impl.iceberg.branch.clone_tables import (
    PROBE_PREFIX,
    own_locations,
)
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import list_files

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

logger = logging.getLogger(__name__)


def drop_branch(catalog: Catalog) -> list[str]:
    """Drops every namespace of the branch that this process is confined to.

    Args:
        catalog: The catalog, opened by `open_catalog`, and so confined.

    Returns:
        The names of the namespaces; none where the branch has loaded nothing, or is dropped.

    Raises:
        DatasetRefused: This process serves no branch, or a namespace is not of this branch's
            making. Nothing was dropped.
    """
    branch = current_branch()
    if branch is None:
        msg = (
            f"Only a branch's tables are dropped, and {BRANCH_VARIABLE} names none: this is "
            "production, or somebody's own machine."
        )
        raise DatasetRefused(msg)
    names = (".".join(levels) for levels in catalog.list_namespaces())
    datasets = [Dataset(catalog, name) for name in names if branch.owns(name)]
    for dataset in datasets:
        _require_own_making(dataset, branch)
    for dataset in datasets:
        _drop(dataset)
    return [dataset.name for dataset in datasets]


def _require_own_making(dataset: Dataset, branch: Branch) -> None:
    tables = dataset.tables()
    log = tables.get(dataset.log.identifier[-1])
    # A branch that died before it had a log has tables for a trial, and no others.
    if log is None and all(name.startswith(PROBE_PREFIX) for name in tables):
        return
    owner = log.properties.get(BRANCH_PROPERTY) if log else None
    if owner != str(branch):
        msg = (
            f"`{dataset.name}` is named like a namespace of branch `{branch}`, and was not made by "
            f"it (but by {owner or 'nobody'}). Nothing was dropped; drop it by hand if nobody "
            "needs it."
        )
        raise DatasetRefused(msg)


def _drop(dataset: Dataset) -> None:
    """Drops the tables, the log last: what is left of a drop that died is still the branch's."""
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
    """The folders of a table that are in the namespace's own: of no other are files deleted."""
    for place in own_locations(table):
        if any(part.startswith(dataset.namespace[-1]) for part in place.split("/")):
            yield place
