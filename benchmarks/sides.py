"""The two sides that are compared: this project, and stock dlt with its own Iceberg support.

Both use the same type of catalog, pyiceberg's SQL catalog in a SQLite file, and the local file
system.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from pathlib import Path

    import dlt
    from pyiceberg.catalog import Catalog

Side = Literal["floe", "stock"]
SIDES: tuple[Side, ...] = ("floe", "stock")
DATASET = "bench"


def catalog_properties(home: Path) -> dict[str, str]:
    """Return the properties of the pyiceberg catalog under `home`."""
    return {
        "type": "sql",
        "uri": f"sqlite:///{home / 'catalog.db'}",
        "warehouse": (home / "warehouse").as_uri(),
    }


def open_catalog(home: Path) -> Catalog:
    """Open the catalog that a side wrote to."""
    from pyiceberg.catalog import load_catalog

    return load_catalog("bench", **catalog_properties(home))


def make_pipeline(side: Side, home: Path, name: str, dataset: str = DATASET) -> dlt.Pipeline:
    """Return a pipeline that loads into the catalog under `home`, in its own working directory."""
    import dlt

    _import_all(side)
    (home / "warehouse").mkdir(parents=True, exist_ok=True)
    return dlt.pipeline(
        name,
        destination=_floe(home) if side == "floe" else _stock(home),
        dataset_name=dataset,
        pipelines_dir=str(home / f"dlt-{os.getpid()}"),
    )


def _import_all(side: Side) -> None:
    """Import what a side imports during a load, so that measurements do not include it."""
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401

    if side == "floe":
        import floe_ingestion_defs.destinations.impl.iceberg.client
        import floe_ingestion_defs.destinations.impl.iceberg.dataset  # noqa: F401
    else:
        import dlt.common.libs.pyiceberg
        import dlt.destinations.impl.filesystem.filesystem  # noqa: F401


def _floe(home: Path) -> Any:
    from floe_ingestion_defs.destinations import iceberg

    properties = catalog_properties(home)
    return iceberg(
        catalog_name="bench",
        catalog_type=properties["type"],
        catalog_uri=properties["uri"],
        warehouse=properties["warehouse"],
    )


def _stock(home: Path) -> Any:
    from dlt.destinations import filesystem

    # Stock dlt reads the catalog from its configuration and has no argument for it.
    os.environ["ICEBERG_CATALOG__ICEBERG_CATALOG_NAME"] = "bench"
    os.environ["ICEBERG_CATALOG__ICEBERG_CATALOG_CONFIG"] = json.dumps(catalog_properties(home))
    return filesystem(bucket_url=(home / "warehouse").as_uri())


def hints(side: Side) -> dict[str, Any]:
    """Return the hints with which a resource of a side becomes an Iceberg table."""
    return {} if side == "floe" else {"table_format": "iceberg"}


def snapshots(home: Path, table: str) -> int:
    """Return the number of snapshots in the history of `main` of a table."""
    loaded = open_catalog(home).load_table((DATASET, table))
    by_id = {s.snapshot_id: s for s in loaded.metadata.snapshots}
    head = loaded.current_snapshot()
    count = 0
    while head is not None:
        count += 1
        head = by_id.get(head.parent_snapshot_id) if head.parent_snapshot_id else None
    return count


def row_count(home: Path, table: str) -> int:
    """Return the number of rows of a table, by the summary of its newest snapshot."""
    snapshot = open_catalog(home).load_table((DATASET, table)).current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return 0
    deleted = int(snapshot.summary["total-position-deletes"] or 0)
    return int(snapshot.summary["total-records"] or 0) - deleted
