"""What a dataset holds, in a form in which two runs of the same loads are equal."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from dlt.common.versioned_state import decompress_state

from faults.loads import PIPELINE, run_again
from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import decode_document
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans
from floe_ingestion_defs.destinations.impl.iceberg.recover import settled_through

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

Row = dict[str, Any]


@dataclass
class Contents:
    """What a dataset holds.

    Attributes:
        tables: The rows of each table but dlt's own, without dlt's random ids and load ids.
        cursors: The last value of each incremental resource.
        load_uids: Of the loads that the log names, in order.
        settled: Whether every committed load is published to every one of its tables.
        schema_versions: The hashes in `_dlt_version`.
        live: Every data file that a snapshot refers to.
        committed: Every file that the log's loads staged.
        orphans: The data files that the orphan sweep lists.
        locations: Where the tables are.
    """

    tables: dict[str, list[Row]]
    cursors: dict[str, Any]
    load_uids: list[str]
    settled: bool
    schema_versions: list[str]
    live: set[str] = field(default_factory=set)
    committed: set[str] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    locations: set[str] = field(default_factory=set)


def run_again_and_read(kind: str, namespace: str, work: Path) -> Contents:
    """Run the pipeline as the next run does, and read what the dataset then holds."""
    run_again(kind, namespace, work)
    return read_contents(namespace)


def read_contents(namespace: str) -> Contents:
    """Reads a dataset without opening it as a pipeline would, so nothing is recovered."""
    dataset = Dataset(open_catalog(), namespace)
    view = dataset.log.read()
    assert view is not None
    # Otherwise the sweep keeps the files of a commit that was lost within the last day, since its
    # snapshot cannot be distinguished from one that has expired.
    vars(orphans)["DELETE_AFTER_SECONDS"] = 0
    names = [identifier[-1] for identifier in dataset.catalog.list_tables(dataset.namespace)]
    tables = {name: table for name in names if (table := dataset.load_table(name))}
    raw = {name: table.scan().to_arrow().to_pylist() for name, table in tables.items()}
    loads = view.after(0)
    assert [load.seq for load in loads] == list(range(1, len(loads) + 1))
    versions = raw.get(dataset.identifier("_dlt_version")[-1], [])
    return Contents(
        tables={name: _plain(name, raw) for name in sorted(raw) if "dlt_" not in name},
        cursors=_cursors(view),
        load_uids=[load.load_uid for load in loads],
        settled=not view.blocked
        and settled_through(dataset, view, view.unsettled(), ()) == view.last_seq,
        schema_versions=sorted(row["version_hash"] for row in versions),
        live={path for table in tables.values() for path in _live_files(table)},
        committed={f.path for load in loads for i in load.intent.tables for f in i.files},
        orphans={
            file.path
            for file in orphans.remove_orphans(dataset, timedelta(0))
            if file.path.endswith(".parquet")
        },
        locations={table.location() for table in tables.values()},
    )


def _live_files(table: Table) -> set[str]:
    return {
        entry.data_file.file_path
        for snapshot in table.metadata.snapshots
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    }


def _plain(name: str, raw: dict[str, list[Row]]) -> list[Row]:
    """The rows of a table; a nested row names its parent's key in place of dlt's row key."""
    rows = raw[name]
    parent = name.rpartition("__")[0]
    is_nested = parent in raw and not name.endswith(("__blocked", "__rejected"))
    keys = {row["_dlt_id"]: row["id"] for row in raw[parent]} if is_nested else {}
    instants = sorted({row["_dlt_valid_from"] for row in rows if "_dlt_valid_from" in row})
    plain = []
    for row in rows:
        kept = {column: value for column, value in row.items() if not column.startswith("_dlt_")}
        if is_nested:
            kept["parent"] = keys.get(row["_dlt_parent_id"], "an orphan")
        if instants:
            kept["from"] = instants.index(row["_dlt_valid_from"])
            kept["to"] = (
                instants.index(row["_dlt_valid_to"]) if row["_dlt_valid_to"] in instants else None
            )
            assert row["_dlt_valid_to"] is None or row["_dlt_valid_to"] in instants
        plain.append(kept)
    return sorted(plain, key=lambda row: json.dumps(row, sort_keys=True, default=str))


def _cursors(view: LogView) -> dict[str, Any]:
    newest = view.newest_state(PIPELINE)
    if newest is None or newest.state is None:
        return {}
    state = decompress_state(decode_document(newest.state)["state"])
    return {
        f"{resource}.{column}": incremental["last_value"]
        for source in state.get("sources", {}).values()
        for resource, cell in source.get("resources", {}).items()
        for column, incremental in cell.get("incremental", {}).items()
    }
