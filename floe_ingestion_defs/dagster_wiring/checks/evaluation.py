"""Dispatches a configured check to the module that evaluates it."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.checks.freshness import check_freshness
from floe_ingestion_defs.dagster_wiring.checks.not_null import (
    audit_not_null,
    check_not_null,
    check_not_null_in,
)
from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
from floe_ingestion_defs.dagster_wiring.checks.row_counts import (
    audit_row_count_change,
    check_row_count_change,
    check_row_count_change_in,
)
from floe_ingestion_defs.dagster_wiring.checks.schema_contract import (
    audit_schema_contract,
    check_schema_contract,
)
from floe_ingestion_defs.dagster_wiring.checks.table_health import check_table_health
from floe_ingestion_defs.dagster_wiring.checks.unique_key import (
    audit_unique_key,
    check_unique_key,
    check_unique_key_in,
)
from floe_ingestion_defs.dagster_wiring.checks.values import (
    audit_values,
    check_values,
    check_values_in,
)
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dagster_wiring.settings.checks import (
    FreshnessCheck,
    NotNullCheck,
    RowCountChangeCheck,
    TableHealthCheck,
    UniqueKeyCheck,
)
from floe_ingestion_defs.dagster_wiring.settings.row_checks import RowsCheck
from floe_ingestion_defs.destinations import Outcome
from floe_ingestion_defs.dlt_plugin import ResourceSpec

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations import StagedTable


def evaluate(
    check: Check,
    table: "Table | None",
    resource: ResourceSpec,
    last_load: datetime | None,
    now: datetime,
    missing: Sequence[str] = (),
) -> CheckResult:
    """Evaluate a check against a published table.

    Args:
        check: The check.
        table: The table; None if it does not exist yet.
        resource: The resource that is loaded into it.
        last_load: When it was last loaded, even with nothing new; None for never.
        now: The current time.
        missing: The ids of the loads that a rollback or a restored backup removed from the table.
    """
    match check:
        case FreshnessCheck():
            return check_freshness(table, resource, check, last_load, now)
        case TableHealthCheck():
            return check_table_health(table, check, missing)
        case UniqueKeyCheck() | NotNullCheck() if table is None:
            return CheckResult(True, "The table does not exist yet.")
        case UniqueKeyCheck() | NotNullCheck() if absent := _without_key(check, resource):
            return absent
        case UniqueKeyCheck():
            appended = resource.write_mode == "append"
            return check_unique_key(table, check.key_of(resource), appended=appended)
        case NotNullCheck():
            return check_not_null(table, check.required_in(resource))
        case RowCountChangeCheck():
            return check_row_count_change(table, check)
        case RowsCheck():
            return check_values(table, check, resource)
        case _:
            return check_schema_contract(table, resource)


def evaluate_partition(
    check: Check, rows: PartitionRows, resource: ResourceSpec, before: int | None
) -> CheckResult:
    """Evaluate a check against the rows of a partition.

    Args:
        check: The check, which is evaluated per partition.
        rows: The rows.
        resource: The resource that is loaded.
        before: Number of rows that the previous load of the partition left; None if not known.
    """
    match check:
        case UniqueKeyCheck() | NotNullCheck() if absent := _without_key(check, resource):
            return absent
        case UniqueKeyCheck():
            return check_unique_key_in(rows, check.key_of(resource))
        case NotNullCheck():
            return check_not_null_in(rows, check.required_in(resource))
        case RowCountChangeCheck():
            return check_row_count_change_in(rows, before, check)
        case RowsCheck():
            return check_values_in(rows, check, resource)
    msg = f"{type(check).__name__} is not evaluated per partition"
    raise TypeError(msg)


def evaluate_staged(check: Check, staged: "StagedTable", resource: ResourceSpec) -> CheckResult:
    """Evaluate a check against a table as a load would leave it, before the load is published.

    Args:
        check: The check, which is of the rows of a load.
        staged: The table with the load's rows.
        resource: The resource that is loaded.
    """
    outcome = Outcome(staged)
    if resource.key_of_source:
        resource = replace(resource, primary_key=staged.primary_key)
    match check:
        case UniqueKeyCheck() | NotNullCheck() if absent := _without_key(check, resource):
            return absent
        case UniqueKeyCheck():
            return audit_unique_key(outcome, check.key_of(resource))
        case NotNullCheck():
            return audit_not_null(outcome, check.required_in(resource))
        case RowCountChangeCheck():
            return audit_row_count_change(outcome, check)
        case RowsCheck():
            return audit_values(outcome, check, resource)
        case _:
            return audit_schema_contract(outcome, resource)


def _without_key(
    check: UniqueKeyCheck | NotNullCheck, resource: ResourceSpec
) -> CheckResult | None:
    """Return the failed result of a check whose columns the database was to define; else None."""
    try:
        if isinstance(check, UniqueKeyCheck):
            check.key_of(resource)
        else:
            check.required_in(resource)
    except ValueError as error:
        return CheckResult(False, f"The database's table has no primary key: {error}.")
    return None
