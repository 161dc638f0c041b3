"""The check `unique_key`: no two rows have the same key, verified for the rows of one load."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult, find_columns
from floe_ingestion_defs.destinations import KeySet, files_added_last, live_files, read_columns

if TYPE_CHECKING:
    from pyiceberg.table import FileScanTask, Table
    from pyiceberg.table.metadata import TableMetadata

    from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
    from floe_ingestion_defs.destinations import Outcome

# Keys held in memory at a time; more are checked in several passes, each over a range of the keys.
KEYS_A_PASS = 4_000_000
_SAMPLE = 100_000


@dataclass(frozen=True)
class _IncomingKeys:
    """The key columns of the rows that a load adds, which are read once per pass."""

    rows: int
    read: Callable[[], Iterable[pa.RecordBatch]]


@dataclass(frozen=True)
class _ExistingFiles:
    """The data files from before the load; only those that may contain a key are read."""

    tasks: "Sequence[FileScanTask]"
    metadata: "TableMetadata"
    read: "Callable[[list[FileScanTask]], Iterable[pa.RecordBatch]]"


def check_unique_key(
    table: "Table | None",
    columns: Sequence[str],
    appended: bool,
    keys_a_pass: int = KEYS_A_PASS,
) -> CheckResult:
    """Look for keys that the last load added twice, or that existed before it.

    Args:
        table: The table; None if it does not exist yet.
        columns: Columns of the key.
        appended: Whether loads append, so that a key may also be in an earlier file; files whose
            statistics exclude all keys are not read.
        keys_a_pass: Number of keys held in memory.
    """
    if table is None:
        return CheckResult(True, "The table does not exist yet.")
    names, absent = find_columns(table.schema(), columns)
    if absent is not None:
        return absent
    new = files_added_last(table)
    paths = {task.file.file_path for task in new}
    old = [task for task in live_files(table) if task.file.file_path not in paths]
    incoming = _IncomingKeys(
        sum(task.file.record_count for task in new), lambda: read_columns(table, new, names)
    )
    existing = _ExistingFiles(
        old if appended else [], table.metadata, lambda tasks: read_columns(table, tasks, names)
    )
    return _look_for_repeats(incoming, existing, names, keys_a_pass)


def audit_unique_key(
    outcome: "Outcome", columns: Sequence[str], keys_a_pass: int = KEYS_A_PASS
) -> CheckResult:
    """Look for keys that a load would add twice, or that existing rows would still have.

    Args:
        outcome: What the load does to the table.
        columns: Columns of the key.
        keys_a_pass: Number of keys held in memory.
    """
    names, absent = find_columns(outcome.state.metadata.schema(), columns)
    if absent is not None:
        return absent
    intent = outcome.staged.intent
    primary_key = set(intent.keys.primary_key)
    if primary_key and primary_key <= set(names) and intent.validity is None:
        return CheckResult(True, f"The merge keeps one row per key `{', '.join(names)}`.")
    incoming = _IncomingKeys(outcome.staged.rows, lambda: outcome.added_rows(names))
    existing = _ExistingFiles(
        outcome.state.tasks,
        outcome.state.metadata,
        lambda tasks: outcome.remaining_rows(names, tasks),
    )
    return _look_for_repeats(incoming, existing, names, keys_a_pass)


def check_unique_key_in(
    rows: "PartitionRows", columns: Sequence[str], keys_a_pass: int = KEYS_A_PASS
) -> CheckResult:
    """Look for keys that occur twice in the rows of a partition.

    Args:
        rows: The rows.
        columns: Columns of the key.
        keys_a_pass: Number of keys held in memory.
    """
    names, absent = find_columns(rows.table.schema(), columns)
    if absent is not None:
        return absent
    incoming = _IncomingKeys(rows.count(), lambda: rows.read(names))
    existing = _ExistingFiles([], rows.table.metadata, lambda _: ())
    return _look_for_repeats(incoming, existing, names, keys_a_pass)


def _look_for_repeats(
    incoming: _IncomingKeys, existing: _ExistingFiles, names: tuple[str, ...], keys_a_pass: int
) -> CheckResult:
    repeated = known = read = 0
    for keys in _passes(incoming, names, keys_a_pass):
        counted = keys.group_by(list(names)).aggregate([([], "count_all")])
        repeated += pc.sum(pc.greater(counted["count_all"], 1)).as_py() or 0
        if existing.tasks:
            key_set = KeySet(keys)
            candidates = [
                task for task in existing.tasks if key_set.may_be_in(task.file, existing.metadata)
            ]
            read += len(candidates)
            for batch in existing.read(candidates):
                known += pc.sum(key_set.contains(batch)).as_py() or 0
    metadata = {
        "rows_checked": incoming.rows,
        "keys_duplicated": repeated,
        "keys_existing_before": known,
        "earlier_files_read": read,
    }
    key = ", ".join(names)
    if repeated or known:
        summary = (
            f"Duplicate values in key `{key}`: {repeated:,} keys are in the load more than once, "
            f"and {known:,} existed before it."
        )
        return CheckResult(False, summary, metadata)
    return CheckResult(True, f"No duplicate values in key `{key}`.", metadata)


def _passes(incoming: _IncomingKeys, columns: tuple[str, ...], at_once: int) -> Iterator[pa.Table]:
    """Yield the keys of the incoming rows, all at once or one range after another."""
    schema = None
    for predicate in _ranges(incoming, columns, at_once):
        batches = []
        for batch in incoming.read():
            schema = schema or batch.schema
            batches.append(batch if predicate is None else batch.filter(predicate))
        if schema is not None:
            keys = pa.Table.from_batches([batch.cast(schema) for batch in batches], schema)
            # As in SQL, null is not a key; the check `not_null` finds nulls.
            yield keys.drop_null()


def _ranges(incoming: _IncomingKeys, columns: tuple[str, ...], at_once: int) -> list[Any]:
    """Return ranges that split the keys about evenly, by the column with the most values."""
    if incoming.rows <= at_once:
        return [None]
    step = max(incoming.rows // _SAMPLE, 1)
    sampled = pa.Table.from_batches(
        batch.take(pa.array(range(0, batch.num_rows, step))) for batch in incoming.read()
    )
    widest = max(columns, key=lambda name: pc.count_distinct(sampled[name]).as_py())
    ordered = sampled[widest].drop_null().take(pc.sort_indices(sampled[widest].drop_null()))
    passes = -(-incoming.rows // at_once)
    if not len(ordered):
        return [None]
    cuts = sorted({ordered[len(ordered) * n // passes].as_py() for n in range(1, passes)})
    column = pc.field(widest)
    first, last = column < cuts[0], column >= cuts[-1]
    between = [(column >= low) & (column < high) for low, high in pairwise(cuts)]
    return [first | column.is_null(), *between, last]
