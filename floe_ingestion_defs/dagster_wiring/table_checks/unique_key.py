"""Whether every key is in a table once, found out from the rows that the last load brought."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dagster_wiring.table_checks.data_files import (
    files_added_last,
    live_files,
    read_columns,
)
from floe_ingestion_defs.dagster_wiring.table_checks.finding import Finding
from floe_ingestion_defs.destinations.iceberg.merge import KeySet

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, Table

# Keys held at a time; more are looked at in several passes, each over one range of the keys.
KEYS_A_PASS = 4_000_000
_SAMPLE = 100_000


def check_unique_key(
    table: "Table | None",
    columns: Sequence[str],
    appended: bool,
    keys_a_pass: int = KEYS_A_PASS,
) -> Finding:
    """Look for keys that the last load brought twice, or that were there before it.

    Args:
        table: The table; None where there is none yet.
        columns: Columns of the key.
        appended: Whether loads append, so that a key may also be in an earlier file; only files
            whose statistics leave room for one are read.
        keys_a_pass: How many keys are held in memory.
    """
    if table is None:
        return Finding(True, "The table does not exist yet.")
    new = files_added_last(table)
    paths = {task.file.file_path for task in new}
    old = [task for task in live_files(table) if task.file.file_path not in paths]
    names = tuple(columns)
    rows = sum(task.file.record_count for task in new)
    repeated = known = read = 0
    for keys in _passes(table, new, names, rows, keys_a_pass):
        counted = keys.group_by(list(names)).aggregate([([], "count_all")])
        repeated += pc.sum(pc.greater(counted["count_all"], 1)).as_py() or 0
        if appended:
            key_set = KeySet(keys)
            candidates = [task for task in old if key_set.may_be_in(task.file, table.metadata)]
            read += len(candidates)
            for batch in read_columns(table, candidates, names):
                known += pc.sum(key_set.contains(batch)).as_py() or 0
    metadata = {
        "rows_looked_at": rows,
        "keys_repeated": repeated,
        "keys_already_there": known,
        "earlier_files_read": read,
    }
    key = ", ".join(names)
    if repeated or known:
        said = f"Of {key}, {repeated} keys came more than once and {known} were there already."
        return Finding(False, said, metadata)
    return Finding(True, f"Every key of {key} is there once.", metadata)


def _passes(
    table: "Table", tasks: "list[FileScanTask]", columns: tuple[str, ...], rows: int, at_once: int
) -> Iterator[pa.Table]:
    """Yield the key columns of some files, all of them or one range of the keys after another."""
    schema = None
    for predicate in _ranges(table, tasks, columns, rows, at_once):
        batches = []
        for batch in read_columns(table, tasks, columns):
            schema = schema or batch.schema
            batches.append(batch if predicate is None else batch.filter(predicate))
        if schema is not None:
            keys = pa.Table.from_batches([batch.cast(schema) for batch in batches], schema)
            # As in SQL, nothing is no key; `not_null` is the check that finds it.
            yield keys.drop_null()


def _ranges(
    table: "Table", tasks: "list[FileScanTask]", columns: tuple[str, ...], rows: int, at_once: int
) -> list[Any]:
    """Cut the keys into ranges of about equal size, by the column that has the most values."""
    if rows <= at_once:
        return [None]
    step = max(rows // _SAMPLE, 1)
    sampled = pa.Table.from_batches(
        batch.take(pa.array(range(0, batch.num_rows, step)))
        for batch in read_columns(table, tasks, columns)
    )
    widest = max(columns, key=lambda name: pc.count_distinct(sampled[name]).as_py())
    ordered = sampled[widest].drop_null().take(pc.sort_indices(sampled[widest].drop_null()))
    passes = -(-rows // at_once)
    if not len(ordered):
        return [None]
    cuts = sorted({ordered[len(ordered) * n // passes].as_py() for n in range(1, passes)})
    column = pc.field(widest)
    first, last = column < cuts[0], column >= cuts[-1]
    between = [(column >= low) & (column < high) for low, high in pairwise(cuts)]
    return [first | column.is_null(), *between, last]
