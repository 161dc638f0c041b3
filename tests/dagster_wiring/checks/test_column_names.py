"""Checks find columns that the configuration spells as the source does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import dagster as dg
    import pyarrow as pa


def test_keys_and_cursors_in_mixed_case_are_checked(
    shop: dict[str, Any],
    load: Callable[..., dg.ExecuteInProcessResult],
    database: sqlite3.Connection,
) -> None:
    """Also before the rows become visible, where a check blocks."""
    database.execute('create table people ("Id" integer, "changedAt" timestamp)')
    database.execute("insert into people values (1, '2026-01-01 00:00:00.000000')")
    database.commit()
    shop["source_config"] = {"table_names": ["people"]}
    shop["primary_key"], shop["cursor_field"] = "Id", "changedAt"
    shop["orchestration"] = {
        "checks": {
            "unique_key": {"blocking": True},
            "not_null": {"columns": ["Id", "changedAt"], "blocking": True},
            "freshness": {"clock": "cursor", "fail_after": "52w"},
        }
    }
    result = load()
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    for name in ("unique_key", "not_null", "freshness"):
        assert checks[name].passed, checks[name].description
    assert "`id`" in str(checks["unique_key"].description)


def test_checks_of_values_accept_the_source_s_spelling(
    shop: dict[str, Any],
    load: Callable[..., dg.ExecuteInProcessResult],
    database: sqlite3.Connection,
) -> None:
    """In expressions, a name such as `Order ID` is in double quotes, as in SQL."""
    database.execute('create table people ("Id" integer, "Order ID" integer, "Größe" text)')
    database.execute("insert into people values (1, -3, 'XL')")
    database.commit()
    shop["source_config"] = {"table_names": ["people"]}
    shop["primary_key"], shop["cursor_field"] = "Id", None
    shop["orchestration"] = {
        "checks": {
            "accepted_values": {"columns": {"Größe": ["S", "XL"]}},
            "accepted_range": {"columns": {"Order ID": {"min": 0}}},
            "expression": {
                "positive": '"Order ID" > 0 and Id > 0',
                "known": "order_id < 0 and Größe = 'XL'",
            },
            "function": {"read": {"function": f"{__name__}:has_one_column", "columns": "Order ID"}},
        }
    }
    result = load()
    checks = {each.check_name: each for each in result.get_asset_check_evaluations()}
    passed = {name: checks[name].passed for name in ("accepted_values", "known", "read")}
    assert passed == {"accepted_values": True, "known": True, "read": True}
    for name in ("accepted_range", "positive"):
        assert not checks[name].passed
        assert "in 1 of 1 rows" in str(checks[name].description)


def has_one_column(rows: pa.RecordBatchReader) -> bool:
    return list(rows.schema.names) == ["order_id"]


@pytest.mark.parametrize("blocking", [False, True])
def test_keys_of_the_database_are_checked_without_being_configured(
    shop: dict[str, Any],
    load: Callable[..., dg.ExecuteInProcessResult],
    database: sqlite3.Connection,
    blocking: bool,
) -> None:
    """The key is that of the last load: an append table, loaded again, has each row twice."""
    database.execute('create table people ("Id" integer primary key, note text)')
    database.execute("insert into people values (1, 'a'), (2, 'b')")
    database.commit()
    shop["source_config"] = {"table_names": ["people"]}
    shop["primary_key"], shop["cursor_field"], shop["write_mode"] = None, None, "append"
    checks = {"unique_key": {"blocking": blocking}, "not_null": {"blocking": blocking}}
    shop["orchestration"] = {"checks": checks}
    first = {each.check_name: each for each in load().get_asset_check_evaluations()}
    assert first["unique_key"].passed, first["unique_key"].description
    assert first["not_null"].passed, first["not_null"].description
    assert "`id`" in str(first["unique_key"].description)
    again = load(raise_on_error=False)
    assert again.success != blocking
    found = {each.check_name: each for each in again.get_asset_check_evaluations()}
    assert not found["unique_key"].passed
    assert "2 existed before it" in str(found["unique_key"].description)


def test_a_table_without_a_key_fails_the_check_of_it(
    shop: dict[str, Any],
    load: Callable[..., dg.ExecuteInProcessResult],
) -> None:
    shop["source_config"] = {"table_names": ["orders"]}
    shop["primary_key"], shop["write_mode"] = None, "append"
    shop["orchestration"] = {"checks": {"unique_key": True, "not_null": True}}
    found = {each.check_name: each for each in load().get_asset_check_evaluations()}
    for name in ("unique_key", "not_null"):
        assert not found[name].passed
        assert f"no primary key: {name} requires columns" in str(found[name].description)
