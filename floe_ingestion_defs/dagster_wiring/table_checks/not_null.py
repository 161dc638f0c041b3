"""Whether columns that must have a value have one in every row."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from floe_ingestion_defs.dagster_wiring.table_checks.data_files import live_files, read_columns
from floe_ingestion_defs.dagster_wiring.table_checks.finding import Finding

if TYPE_CHECKING:
    from pyiceberg.table import Table


def check_not_null(table: "Table | None", columns: Sequence[str]) -> Finding:
    """Count the missing values of columns: from statistics, reading only files without them.

    Args:
        table: The table; None where there is none yet.
        columns: Columns that must have a value.
    """
    if table is None:
        return Finding(True, "The table does not exist yet.")
    present = {field.name: field for field in table.schema().fields}
    absent = [name for name in columns if name not in present]
    missing = dict.fromkeys(columns, 0)
    for name in columns:
        if name in absent:
            continue
        field_id = present[name].field_id
        unknown = []
        for task in live_files(table):
            counted = (task.file.null_value_counts or {}).get(field_id)
            if counted is None or task.delete_files:
                unknown.append(task)
            else:
                missing[name] += counted
        for batch in read_columns(table, unknown, (name,)):
            missing[name] += batch.column(0).null_count
    wrong = {name: count for name, count in missing.items() if count}
    metadata = {"missing_values": missing, "columns_absent": absent}
    if absent:
        return Finding(False, f"The table has no column {', '.join(absent)}.", metadata)
    if wrong:
        said = ", ".join(f"{name} in {count} rows" for name, count in wrong.items())
        return Finding(False, f"There is no value of {said}.", metadata)
    return Finding(True, f"Every row has {', '.join(columns) or 'what it must have'}.", metadata)
