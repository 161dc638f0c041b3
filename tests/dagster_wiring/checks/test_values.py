import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pyiceberg.table import Table

from floe_ingestion_defs.dagster_wiring.checks.check_result import CheckResult
from floe_ingestion_defs.dagster_wiring.checks.values import check_values
from floe_ingestion_defs.dagster_wiring.settings.check import Check
from floe_ingestion_defs.dagster_wiring.settings.checks import CheckSettings
from floe_ingestion_defs.dagster_wiring.settings.row_checks import RowsCheck
from floe_ingestion_defs.destinations import open_catalog
from floe_ingestion_defs.dlt_plugin import ResourceSpec
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

MakeTable = Callable[..., Table]
Load = Callable[..., dg.ExecuteInProcessResult]

BY_DEFAULT = ("freshness", "schema_contract", "table_health")
ORDERS = dg.AssetKey("ingestion__shop__orders")
EVENTS = ResourceSpec("events", "bronze.events")

FIRST = pa.table(
    {
        "id": [1, 2, 3],
        "status": ["open", "closed", None],
        "total": [1.5, 20.0, None],
        "at": [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)],
        "shipped": [True, False, None],
    }
)
SECOND = FIRST.set_column(1, "status", pa.array(["open", "It's", None])).set_column(
    2, "total", pa.array([-1.0, 2.0, 3.0])
)


def no_negative_total(rows: pa.RecordBatchReader) -> bool:
    """No order has a negative total."""
    return all(not pc.any(pc.less(batch["total"], 0)).as_py() for batch in rows)


def few_rows(rows: pa.RecordBatchReader) -> dg.AssetCheckResult:
    number = rows.read_all().num_rows
    return dg.AssetCheckResult(passed=number < 5, metadata={"rows": number})


def broken(rows: pa.RecordBatchReader) -> bool:
    msg = "secret@example.org"
    raise ValueError(msg)


def path_of(function: Callable[..., Any]) -> str:
    return f"{__name__}:{function.__name__}"


def configured(**checks: Any) -> list[tuple[str, Check]]:
    """Return the configured checks, without those that are enabled by default."""
    disabled = {"schema_contract": None, "table_health": None}
    return list(CheckSettings(**disabled, **checks).configured())


def evaluate(table: Table | None, resource: ResourceSpec = EVENTS, **checks: Any) -> CheckResult:
    """Return the result of the only configured check."""
    ((_, check),) = configured(**checks)
    assert isinstance(check, RowsCheck)
    return check_values(table, check, resource)


ACCEPTED: list[dict[str, Any]] = [
    {"accepted_values": {"columns": {"status": ["open", "closed"]}}},
    {"accepted_values": {"columns": {"id": [1, 2, "3"], "shipped": [True, False]}}},
    {"accepted_range": {"columns": {"total": {"min": 0, "max": 20}, "at": {"max": "2026-01-03"}}}},
    {"expression": {"positive": "total > 0 or status is null"}},
    {"expression": {"rows": "count(*) = 3 and max(\"at\") < '2027-01-01'"}},
    {"function": {"positive": path_of(few_rows)}},
]
REJECTED: list[tuple[dict[str, Any], str]] = [
    ({"accepted_values": {"columns": {"status": ["open"]}}}, "`status` in 1 of 3 rows"),
    ({"accepted_range": {"columns": {"total": {"min": 0}}}}, "`total` in 1 of 3 rows"),
    ({"expression": {"e": "total >= 0"}}, "`total >= 0` in 1 of 3 rows"),
    ({"expression": {"e": "count(*) > 3"}}, "`count(*) > 3` for all 3 rows together"),
    ({"function": {"f": path_of(no_negative_total)}}, "no_negative_total` rejects the rows"),
]


@pytest.mark.parametrize("checks", ACCEPTED)
def test_accepted_rows_pass(make_table: MakeTable, checks: dict[str, Any]) -> None:
    """Values are compared in the type of their column; a missing value is accepted."""
    result = evaluate(make_table(FIRST), **checks)

    assert result.passed, result.summary


@pytest.mark.parametrize(("checks", "said"), REJECTED)
def test_rows_that_are_not_accepted_fail_with_their_number(
    make_table: MakeTable, checks: dict[str, Any], said: str
) -> None:
    """The number and the condition are reported, and no value of a row."""
    result = evaluate(make_table(FIRST, SECOND), **checks)

    assert not result.passed
    assert said in result.summary
    assert "It's" not in f"{result}"


def test_the_scope_is_the_last_load_or_the_table(make_table: MakeTable) -> None:
    """By default, rows that were accepted once are not read again."""
    table = make_table(SECOND, FIRST)
    positive = {"sql": "total >= 0"}

    assert evaluate(table, expression={"positive": positive}).metadata["rows_checked"] == 3
    whole = evaluate(table, expression={"positive": {**positive, "scope": "table"}})
    assert (whole.passed, whole.metadata["rows_checked"]) == (False, 6)
    assert evaluate(None, expression={"positive": positive}).passed


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"accepted_values": {"columns": {"state": ["open"]}}}, "no column `state`"),
        ({"expression": {"e": "amount > 0"}}, 'Referenced column "amount" not found'),
        ({"expression": {"e": "cast(status as integer) > 0"}}, "(ConversionException)"),
        ({"expression": {"e": "count(*) > (total::int)"}}, "total"),
        ({"function": {"f": path_of(broken)}}, "broken` raised ValueError."),
        ({"function": {"f": {"function": path_of(few_rows), "columns": "x"}}}, "no column `x`"),
    ],
)
def test_a_condition_that_cannot_be_evaluated_fails(
    make_table: MakeTable, checks: dict[str, Any], said: str
) -> None:
    """A check that is not evaluated has not passed; values of rows are not in its result."""
    result = evaluate(make_table(FIRST), **checks)

    assert not result.passed
    assert said in result.summary
    assert "open" not in result.summary
    assert "secret" not in result.summary


def test_an_expression_cannot_read_files(make_table: MakeTable) -> None:
    """It is evaluated over the rows alone."""
    result = evaluate(make_table(FIRST), expression={"e": "length(read_text('/etc/hosts')) > 0"})

    assert not result.passed


def test_errors_of_a_function_are_shown_where_values_may_be(make_table: MakeTable) -> None:
    """`show_values` allows it for the source."""
    resource = ResourceSpec("events", "bronze.events", show_values=True)

    result = evaluate(make_table(FIRST), resource, function={"f": path_of(broken)})

    assert "secret@example.org" in result.summary


BLOCKING: list[dict[str, Any]] = [
    {"accepted_values": {"columns": {"id": [1, 2, 3]}, "blocking": "before_publish"}},
    {"expression": {"sum": {"sql": "sum(total) > 30", "scope": "table", "blocking": True}}},
    {"function": {"positive": {"function": path_of(no_negative_total), "blocking": True}}},
]


@pytest.mark.parametrize("checks", BLOCKING)
def test_rows_that_break_a_blocking_check_of_values_are_not_published(
    load: Load, shop: dict[str, Any], database: sqlite3.Connection, checks: dict[str, Any]
) -> None:
    """Every check of values is also an audit of the rows as the load would leave them."""
    shop["orchestration"] = {"resources": {"orders": {"checks": checks}}}
    assert load().success
    database.execute("insert into orders values (4, -8.0, '2026-01-04')")
    database.commit()

    result = load(raise_on_error=False)

    failed = [each for each in result.get_asset_check_evaluations() if not each.passed]
    assert not result.success
    ((_, settings),) = configured(**checks)
    assert settings.blocking
    assert [each.asset_key for each in failed] == [ORDERS]
    assert failed[0].metadata["published"].value is False
    rows = open_catalog().load_table("bronze.shop_orders").scan().to_arrow()
    assert sorted(rows["id"].to_pylist()) == [1, 2, 3]


def test_a_resource_adds_and_disables_named_checks(load: Load, shop: dict[str, Any]) -> None:
    """A resource's checks are merged with those of its source by name; each is shown by itself."""
    shop["orchestration"] = {
        "checks": {"expression": {"has_id": "id > 0", "recent": "updated_at > '2025'"}},
        "resources": {
            "orders": {
                "checks": {
                    "expression": {"has_id": False},
                    "function": {"positive": path_of(no_negative_total)},
                }
            }
        },
    }

    shown = {
        (each.asset_key.to_user_string().rpartition("__")[2], each.check_name)
        for each in load().get_asset_check_evaluations()
        if each.passed and each.check_name not in BY_DEFAULT
    }

    assert shown == {
        ("orders", "recent"),
        ("orders", "positive"),
        ("customers", "recent"),
        ("customers", "has_id"),
    }


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ({"expression": {"e": "total >"}}, "is not a valid SQL expression"),
        ({"expression": {"e": "select 1"}}, "must be one SQL expression"),
        ({"expression": {"e": "id in (select 1)"}}, "without SELECT"),
        ({"expression": {"e": "id > 0; drop table x"}}, "must be one SQL expression"),
        ({"expression": {"not null": "id > 0"}}, "'not null' is not a valid check name"),
        ({"expression": {"not_null": "id > 0"}}, "'not_null' is the name of a built-in check"),
        ({"function": {"f": "nowhere"}}, "use 'module:function'"),
        ({"function": {"f": "nowhere.checks:f"}}, "module nowhere.checks not found"),
        ({"function": {"f": f"{__name__}:missing"}}, "has no function 'missing'"),
        ({"accepted_range": {"columns": {"total": {}}}}, "set min, max or both"),
        ({"accepted_values": True}, "accepted_values"),
        (
            {"freshness": {"fail_after": "1d", "blocking": "before_publish"}},
            "checks.freshness: blocking 'before_publish' does not apply",
        ),
    ],
)
def test_an_invalid_check_of_values_is_reported_when_the_location_loads(
    load: Load, shop: dict[str, Any], checks: dict[str, Any], said: str
) -> None:
    """A typo is an error of the configuration, and not of the first load."""
    shop["orchestration"] = {"checks": checks}

    with pytest.raises(PipelineConfigurationError, match="source 'shop'") as raised:
        load()

    assert said in str(raised.value)
