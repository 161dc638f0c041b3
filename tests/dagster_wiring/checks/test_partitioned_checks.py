import sqlite3
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest

Load = Callable[..., dg.ExecuteInProcessResult]

VISITS = dg.AssetKey("ingestion__shop__visits")
CHECKS: dict[str, Any] = {
    "unique_key": {"columns": "id"},
    "not_null": {"columns": "id"},
    "row_count_change": {"max_decrease": 0.4},
    "expression": {"positive": "id >= 0"},
}
RANGE = {
    "dagster/asset_partition_range_start": "2026-01-02",
    "dagster/asset_partition_range_end": "2026-01-04",
}


def results_of(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str | None], bool]:
    """Return which checks passed, by name and partition."""
    return {
        (each.check_name, each.partition): each.passed
        for each in result.get_asset_check_evaluations()
    }


def recorded(instance: dg.DagsterInstance, check: str) -> list[tuple[str | None, str]]:
    """Return partition and status of the evaluations that Dagster stored, newest first."""
    key = dg.AssetCheckKey(VISITS, check)
    history = instance.event_log_storage.get_asset_check_execution_history(key, limit=20)
    return [(record.partition, record.status.value) for record in history]


@pytest.fixture
def checked(visits: dict[str, Any]) -> dict[str, Any]:
    """The shop's visits by the day, with a check of each kind."""
    visits["orchestration"]["checks"] = dict(CHECKS)
    return visits


def test_checks_of_rows_are_evaluated_per_partition(
    load: Load, checked: dict[str, Any], instance: dg.DagsterInstance
) -> None:
    """Those of the whole table are not: a partition has no schema and no age of its own."""
    found = results_of(load(partition_key="2026-01-03"))

    assert found == {
        ("schema_contract", None): True,
        ("freshness", None): True,
        ("table_health", None): True,
        ("unique_key", "2026-01-03"): True,
        ("not_null", "2026-01-03"): True,
        ("row_count_change", "2026-01-03"): True,
        ("positive", "2026-01-03"): True,
    }
    assert recorded(instance, "not_null") == [("2026-01-03", "SUCCEEDED")]


def test_a_partition_with_wrong_rows_is_red_and_the_others_are_not(
    load: Load,
    checked: dict[str, Any],
    database: sqlite3.Connection,
    instance: dg.DagsterInstance,
) -> None:
    """Also in a run of several partitions, which is one load."""
    database.execute("update visits set id = null where id = 4")
    database.execute("update visits set id = 7 where id = 6")
    database.commit()

    found = results_of(load(tags=RANGE))

    days = ("2026-01-02", "2026-01-03", "2026-01-04")
    assert [found["not_null", day] for day in days] == [True, False, True]
    assert [found["unique_key", day] for day in days] == [True, True, False]
    assert found["schema_contract", None]
    assert dict(recorded(instance, "not_null"))["2026-01-03"] == "FAILED"
    assert ("2026-01-02", "SUCCEEDED") in recorded(instance, "not_null")


def test_rows_that_a_partition_loses_are_counted_from_its_previous_load(
    load: Load, checked: dict[str, Any], database: sqlite3.Connection
) -> None:
    """A load of another partition in between does not matter."""
    load(partition_key="2026-01-03")
    load(partition_key="2026-01-04")
    database.execute("delete from visits where id = 4")
    database.commit()

    found = results_of(load(partition_key="2026-01-03"))

    assert found["row_count_change", "2026-01-03"] is False


def test_rows_that_a_partition_loses_are_found_after_loads_of_several_partitions(
    load: Load, checked: dict[str, Any], database: sqlite3.Connection
) -> None:
    """A backfill of a range is one load: each partition is compared with itself before."""
    load(tags=RANGE)
    database.execute("delete from visits where id = 4")
    database.commit()

    found = results_of(load(tags=RANGE))

    days = ("2026-01-02", "2026-01-03", "2026-01-04")
    assert [found["row_count_change", day] for day in days] == [True, False, True]


def test_a_partition_loaded_alone_after_a_range_is_compared_with_the_range(
    load: Load, checked: dict[str, Any], database: sqlite3.Connection
) -> None:
    """The rows are counted in the snapshot of that load."""
    load(tags=RANGE)
    database.execute("delete from visits where id = 4")
    database.commit()

    assert results_of(load(partition_key="2026-01-03"))["row_count_change", "2026-01-03"] is False


def test_a_run_without_a_partition_evaluates_the_rows_of_the_load(
    load: Load, checked: dict[str, Any], database: sqlite3.Connection
) -> None:
    """As for a source without partitions."""
    database.execute("update visits set id = null where id = 4")
    database.commit()

    found = results_of(load())

    assert found["not_null", None] is False
    assert found["unique_key", None] is True


def test_a_blocking_check_fails_for_the_partition_that_was_not_published(
    load: Load,
    checked: dict[str, Any],
    database: sqlite3.Connection,
    instance: dg.DagsterInstance,
) -> None:
    """The load ends before its rows are visible, and no check remains planned."""
    checked["orchestration"]["checks"]["not_null"] = {"columns": "id", "blocking": True}
    database.execute("update visits set id = null where id = 4")
    database.commit()

    result = load(partition_key="2026-01-03", raise_on_error=False)

    assert not result.success
    assert recorded(instance, "not_null") == [("2026-01-03", "FAILED")]
    assert recorded(instance, "unique_key") == [("2026-01-03", "SUCCEEDED")]
