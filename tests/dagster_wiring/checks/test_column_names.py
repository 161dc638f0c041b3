"""Checks find columns that the configuration spells as the source does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    import dagster as dg


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
