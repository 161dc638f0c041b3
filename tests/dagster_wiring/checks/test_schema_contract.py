from collections.abc import Callable

import pyarrow as pa
import pytest
from pyiceberg.table import Table
from pyiceberg.types import StringType

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.checks.schema_contract import check_schema_contract
from floe_ingestion_defs.dlt_plugin import ColumnConfig, ResourceSpec

MakeTable = Callable[..., Table]
ROWS = pa.table({"id": pa.array([1, 2], pa.int64()), "price": pa.array([1.5, 2.5], pa.float64())})


def resource(contract: str = "evolve", **columns: str) -> ResourceSpec:
    declared = {name: ColumnConfig(data_type=kind) for name, kind in columns.items()}
    return ResourceSpec("events", "bronze.events", schema_contract=contract, columns=declared)


def differences(result: CheckResult) -> list[tuple[object, ...]]:
    """What the table in the UI shows: column, change, type as declared, type in the table."""
    return [tuple(record.data.values()) for record in result.metadata["differences"].records]


def test_a_table_with_the_declared_columns_passes(make_table: MakeTable) -> None:
    """What was declared is there, in its type, and no empty list of differences is shown."""
    result = check_schema_contract(make_table(ROWS), resource(id="bigint", price="double"))

    assert result.passed
    assert result.metadata == {
        "contract": "evolve",
        "columns": 2,
        "added": 0,
        "missing": 0,
        "changed": 0,
    }


@pytest.mark.parametrize("contract", ["evolve", "freeze", "discard_row", "discard_value"])
def test_a_declared_column_that_is_missing_fails_under_every_contract(
    make_table: MakeTable, contract: str
) -> None:
    """A query of the column would fail."""
    result = check_schema_contract(make_table(ROWS), resource(contract, currency="text"))

    assert not result.passed
    assert result.metadata["missing"] == 1
    assert differences(result) == [("currency", "missing", "text", "")]
    assert "column `currency` (text) is missing" in result.summary


@pytest.mark.parametrize("contract", ["evolve", "freeze"])
def test_a_column_of_another_type_fails_and_names_both_types(
    make_table: MakeTable, contract: str
) -> None:
    """With both types, a user can decide which side to correct."""
    result = check_schema_contract(make_table(ROWS), resource(contract, price="decimal"))

    assert not result.passed
    assert result.metadata["changed"] == 1
    assert differences(result) == [("price", "changed", "decimal(38, 9)", "double")]
    assert "column `price` is double, but declared as decimal(38, 9)" in result.summary


@pytest.mark.parametrize(
    ("contract", "passed"), [("evolve", True), ("freeze", False), ("discard_value", False)]
)
def test_a_column_that_was_added_later_fails_unless_the_contract_evolves(
    make_table: MakeTable, contract: str, *, passed: bool
) -> None:
    """It is listed either way, with its type."""
    table = make_table(ROWS)
    with table.update_schema() as update:
        update.add_column("note", StringType())

    result = check_schema_contract(table, resource(contract, id="bigint"))

    assert result.passed is passed
    assert result.metadata["added"] == 1
    assert differences(result) == [("note", "added", "", "string")]
    assert "column `note` (string) was added" in result.summary


def test_the_contract_covers_the_columns_of_a_created_table(
    make_table: MakeTable,
) -> None:
    """A contract may declare some columns only; the first load settles the others."""
    assert check_schema_contract(make_table(ROWS), resource("freeze", id="bigint")).passed


def test_an_unspecified_property_of_a_declared_column_matches_any_value(
    make_table: MakeTable,
) -> None:
    """A bigint without a precision may be an int, a timestamp without a time zone may have one."""
    rows = pa.table(
        {
            "n": pa.array([1], pa.int32()),
            "at": pa.array([0], pa.timestamp("us", "UTC")),
            "amount": pa.array([None], pa.decimal128(12, 2)),
        }
    )

    result = check_schema_contract(
        make_table(rows), resource("freeze", n="bigint", at="timestamp", amount="decimal")
    )

    assert result.passed


def test_a_table_that_does_not_exist_yet_violates_nothing() -> None:
    """Before the first load."""
    assert check_schema_contract(None, resource("freeze", id="bigint")).passed
