"""Loads that depend on rows of the dataset: they are committed only if these have not changed.

A replay of quarantined rows loads what it has read from a table, so the same rows must not be
loaded by another run, nor replaced meanwhile. The tables that were read are stored in the load
package's own state, as windows are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import dlt

from floe_ingestion_defs.destinations.impl.iceberg.errors import StateConflict
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

_READ_TABLES_KEY = "read_tables"


def read_for_load(dataset: Dataset, names: Iterable[str]) -> dict[str, Table]:
    """Return tables by name; the load package that is being extracted depends on their content.

    Args:
        dataset: The dataset.
        names: Names of the tables; those that do not exist are left out.
    """
    # The log first: a load that is committed between the two reads is then a conflict.
    view = dataset.log.read()
    if view is None:
        return {}
    pending = view.pending()
    through = dlt.current.destination_state().setdefault(_READ_TABLES_KEY, {})
    found = {}
    for name in names:
        table = dataset.load_table(name)
        watermark = watermark_of(table, view.uuid)
        is_behind = any(
            intent.table == name and load.seq > watermark
            for load in pending
            for intent in load.intent.tables
        )
        through[name] = watermark if is_behind else view.last_seq
        if table is not None:
            found[name] = table
    return found


def declared_reads(destination_state: Mapping[str, Any]) -> dict[str, int]:
    """Return the tables that a load package depends on, each with the seq that it was read at."""
    return dict(destination_state.get(_READ_TABLES_KEY) or {})


def require_unchanged(dataset: Dataset, view: LogView, read: Mapping[str, int]) -> None:
    """Verify that no load has changed the tables that this one has read.

    Args:
        dataset: The dataset.
        view: The log that this load is to be appended to.
        read: The tables, each with the seq that it was read at.

    Raises:
        StateConflict: A later load has changed one, or may have.
    """
    for load in view.after(min(read.values())) if read else ():
        # A settled load's intent is removed when the log is compacted.
        touched = {intent.table for intent in load.intent.tables} or read.keys()
        for name in sorted(touched & read.keys()):
            if load.seq > read[name]:
                msg = (
                    f"Load {load.load_id} has changed `{dataset.qualified(name)}`, whose rows this "
                    "load has read. Nothing of this load was published. Run it again."
                )
                raise StateConflict(msg)
