"""The check `not_null`: required columns have a value in every row."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dagster_wiring.checks.check_result import (
    CheckResult,
    find_columns,
    table_of,
)
from floe_ingestion_defs.destinations import live_files, read_columns

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.table import Table

    from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
    from floe_ingestion_defs.destinations import Outcome


def check_not_null(table: "Table | None", columns: Sequence[str]) -> CheckResult:
    """Count the nulls of columns from the files' statistics; only files without them are read.

    Args:
        table: The table; None if it does not exist yet.
        columns: Columns that must have a value.
    """
    if table is None:
        return CheckResult(True, "The table does not exist yet.")
    names, absent = find_columns(table.schema(), columns)
    if absent is not None:
        return absent
    missing = dict.fromkeys(names, 0)
    tasks = live_files(table)
    for name in names:
        field_id = table.schema().find_field(name).field_id
        unknown = []
        for task in tasks:
            counted = (task.file.null_value_counts or {}).get(field_id)
            if counted is None or task.delete_files:
                unknown.append(task)
            else:
                missing[name] += counted
        for batch in read_columns(table, unknown, (name,)):
            missing[name] += batch.column(0).null_count
    return _judge(missing)


def audit_not_null(outcome: "Outcome", columns: Sequence[str]) -> CheckResult:
    """Count the nulls in the rows that a load would add.

    Args:
        outcome: What the load does to the table.
        columns: Columns that must have a value.
    """
    names, absent = find_columns(outcome.state.metadata.schema(), columns)
    if absent is not None:
        return absent
    return _count(outcome.added_rows(list(names)), names)


def check_not_null_in(rows: "PartitionRows", columns: Sequence[str]) -> CheckResult:
    """Count the nulls in the rows of a partition.

    Args:
        rows: The rows.
        columns: Columns that must have a value.
    """
    names, absent = find_columns(rows.table.schema(), columns)
    if absent is not None:
        return absent
    return _count(rows.read(list(names)), names)


def _count(batches: "Iterable[pa.RecordBatch]", columns: Sequence[str]) -> CheckResult:
    missing = dict.fromkeys(columns, 0)
    for batch in batches:
        for name in missing:
            missing[name] += batch.column(name).null_count
    return _judge(missing)


def _judge(missing: Mapping[str, int]) -> CheckResult:
    metadata: dict[str, Any] = {"missing_values": sum(missing.values())}
    if wrong := {name: count for name, count in missing.items() if count}:
        counts = [{"column": name, "missing": str(count)} for name, count in wrong.items()]
        metadata["columns"] = table_of(counts, ("column", "missing"))
        found = ", ".join(f"`{name}` in {count:,} rows" for name, count in wrong.items())
        return CheckResult(False, f"Missing values: {found}.", metadata)
    return CheckResult(True, f"Every row has a value in `{', '.join(missing)}`.", metadata)
