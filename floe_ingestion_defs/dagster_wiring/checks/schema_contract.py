"""The check `schema_contract`: a table's columns and types match the schema contract.

The plugin verifies a load against its contract before it is published; this check looks at the
table as it is, no matter which process wrote it.
"""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from dlt.common.normalizers.naming.snake_case import NamingConvention

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult, table_of
from floe_ingestion_defs.dlt_plugin import ColumnConfig, ResourceSpec

if TYPE_CHECKING:
    from pyiceberg.table import Table
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.types import IcebergType

    from floe_ingestion_defs.destinations import Outcome

_CHANGES = ("added", "missing", "changed")
_DIFFERENCES = ("column", "change", "declared", "table")


def check_schema_contract(table: "Table | None", spec: ResourceSpec) -> CheckResult:
    """Compare a table's columns with the declared ones.

    A declared column that is missing from the table, or has another type, fails under every
    contract. Any other column fails unless the contract is `evolve`, except those that the table
    was created with: the first load defines the schema.

    Args:
        table: The table; None if it does not exist yet, which is not a violation.
        spec: The resource, with its declared columns and its contract.
    """
    if table is None:
        summary = f"Table `{spec.table}` does not exist yet."
        return CheckResult(True, summary, {"contract": spec.schema_contract})
    return _judge(table.metadata, spec)


def audit_schema_contract(outcome: "Outcome", spec: ResourceSpec) -> CheckResult:
    """Compare the columns that a table would have after a load with the declared ones.

    Args:
        outcome: What the load does to the table.
        spec: The resource, with its declared columns and its contract.
    """
    return _judge(outcome.state.metadata, spec)


def _judge(table: "TableMetadata", spec: ResourceSpec) -> CheckResult:
    contract = spec.schema_contract
    differences = list(_differences(table, spec))
    number = Counter(item["change"] for item in differences)
    passed = set(number) <= {"added"} if contract == "evolve" else not differences
    return CheckResult(
        passed,
        _summarize(spec, differences, passed),
        {
            "contract": contract,
            "columns": len(table.schema().fields),
            **{change: number[change] for change in _CHANGES},
            **({"differences": table_of(differences, _DIFFERENCES)} if differences else {}),
        },
    )


def _summarize(spec: ResourceSpec, differences: list[dict[str, str]], passed: bool) -> str:
    if not differences:
        return f"The columns and types of `{spec.table}` match the schema contract."
    found = [
        {
            "added": "column `{column}` ({table}) was added",
            "missing": "column `{column}` ({declared}) is missing",
            "changed": "column `{column}` is {table}, but declared as {declared}",
        }[item["change"]].format(**item)
        for item in differences
    ]
    verdict = "allowed by" if passed else "violates"
    contract = spec.schema_contract
    return f"{spec.table}: {'; '.join(found)}; {verdict} the schema contract `{contract}`."


def _differences(table: "TableMetadata", spec: ResourceSpec) -> Iterator[dict[str, str]]:
    present = {field.name: field.field_type for field in table.schema().fields}
    normalize = NamingConvention().normalize_path
    declared = {normalize(name): column for name, column in spec.columns.items()}
    for name, column in declared.items():
        if name not in present:
            yield _difference(name, "missing", column.data_type or "any", "")
        elif not _is_of_type(present[name], column):
            yield _difference(name, "changed", _declared_type(column), str(present[name]))
    first = min(table.schemas, key=lambda schema: schema.schema_id)
    agreed = {*declared, *(field.name for field in first.fields)}
    for name, found in present.items():
        if name not in agreed and not name.startswith("_dlt_"):
            yield _difference(name, "added", "", str(found))


def _difference(column: str, change: str, declared: str, table: str) -> dict[str, str]:
    return dict(zip(_DIFFERENCES, (column, change, declared, table), strict=True))


def _declared_type(column: ColumnConfig) -> str:
    from floe_ingestion_defs.destinations import iceberg_type_of_column

    return str(iceberg_type_of_column(column.hints("")))  # type: ignore[arg-type]


def _is_of_type(found: "IcebergType", column: ColumnConfig) -> bool:
    """Return whether a column has the declared type; what is not declared matches any type."""
    from pyiceberg.types import (
        DecimalType,
        DoubleType,
        FixedType,
        FloatType,
        IntegerType,
        LongType,
        TimestampType,
        TimestamptzType,
    )

    from floe_ingestion_defs.destinations import iceberg_type_of_column

    if column.data_type is None:
        return True
    alike: tuple[type, ...] = {
        "double": (FloatType, DoubleType),
        "binary": (FixedType,),
        "bigint": (IntegerType, LongType) if column.precision is None else (),
        "timestamp": (TimestampType, TimestamptzType) if column.timezone is None else (),
        "decimal": (DecimalType,) if column.precision is None else (),
    }.get(column.data_type, ())
    return isinstance(found, alike) or found == iceberg_type_of_column(column.hints(""))  # type: ignore[arg-type]
