"""Compacting the tables that gain one row per load: the log, and dlt's table of pipeline states.

Each appended row is a data file, a manifest and a snapshot, and pyiceberg rewrites the list of all
snapshots with every commit: without compaction, the thousandth load into a log took 0.7 s to
commit, and the log's metadata grew with the square of the loads.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa

from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import (
    CommitOutcomeUnknown,
    add_snapshot,
    head_of,
    load_table,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitConflict
from floe_ingestion_defs.destinations.impl.iceberg.files.data_files import (
    arrow_schema,
    data_file_from_footer,
    data_path,
    write_data_file,
)
from floe_ingestion_defs.destinations.impl.iceberg.reading.inspection import summary_count

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

COMPACT_AFTER_FILES = 12
KEPT_STATES = 10

# Readers find a snapshot by its id for this long, unless loads are so frequent that the list of
# snapshots would grow past the limit.
_KEEP_SNAPSHOTS_FOR = timedelta(minutes=5)
_MOST_SNAPSHOTS = 200


def is_due(table: Table) -> bool:
    """Return whether enough appends followed the last compaction for another one to pay off."""
    files = summary_count(table.current_snapshot(), "total-data-files") or 0
    return files >= COMPACT_AFTER_FILES


def rewrite(table: Table, rows: pa.Table, properties: dict[str, str] | None = None) -> bool:
    """Replace the table's files by one file with `rows`, and drop its old snapshots.

    It is one commit, asserted against the table as it was read, and yields to any other writer.

    Args:
        table: The table that `rows` were read from.
        rows: The rows to keep.
        properties: Properties to set in the same commit.

    Returns:
        Whether the table was rewritten.
    """
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    path = data_path(table.metadata, "compacted")
    write_data_file(table.io, table.metadata, path, rows.to_batches())
    snapshots = table.metadata.snapshots
    try:
        with table.transaction() as transaction:
            if properties:
                transaction.set_properties(properties)
            gone = [task.file for task in table.scan().plan_files()]
            add_snapshot(transaction, [data_file_from_footer(table.metadata, table.io, path)], gone)
            expire = ExpireSnapshots(transaction)
            if len(snapshots) < _MOST_SNAPSHOTS:
                expire.older_than(datetime.now(UTC) - _KEEP_SNAPSHOTS_FOR)
            else:
                expire.by_ids([s.snapshot_id for s in snapshots if s.snapshot_id != head_of(table)])
            expire.commit()
    except (CommitConflict, CommitOutcomeUnknown):
        return False
    return True


def compact_states(catalog: Catalog, identifier: tuple[str, ...]) -> bool:
    """Keep only the newest states of each pipeline in dlt's `_dlt_pipeline_state`, when it is due.

    The log is authoritative; the table exists for readers that know dlt's tables.

    Returns:
        Whether the table was rewritten.
    """
    table = load_table(catalog, identifier)
    if table is None or not is_due(table):
        return False
    schema = arrow_schema(table.metadata)
    rows = table.scan().to_arrow().select(schema.names).cast(schema)
    rows = rows.sort_by([("created_at", "descending")])
    seen: Counter[str] = Counter()
    kept = []
    for pipeline in rows["pipeline_name"].to_pylist():
        seen[pipeline] += 1
        kept.append(seen[pipeline] <= KEPT_STATES)
    return rewrite(table, rows.filter(pa.array(kept, pa.bool_())))
