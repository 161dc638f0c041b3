from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from pyiceberg.table import Table

from floe_ingestion_defs.dagster_wiring.checks.freshness import check_freshness, last_tick
from floe_ingestion_defs.dagster_wiring.settings.checks import FreshnessCheck
from floe_ingestion_defs.dlt_plugin import ResourceSpec

MakeTable = Callable[..., Table]
NOW = datetime.now(UTC)
SPEC = ResourceSpec("events", "bronze.events", cursor_field="at")


def events(*times: datetime) -> pa.Table:
    return pa.table({"at": pa.array(times, pa.timestamp("us", "UTC"))})


def freshness(**settings: Any) -> FreshnessCheck:
    return FreshnessCheck.model_validate(settings)


@pytest.mark.parametrize(
    ("age", "passed", "severity"),
    [
        (timedelta(hours=1), True, None),
        (timedelta(hours=30), False, "warn"),
        (timedelta(hours=60), False, None),
    ],
)
def test_an_old_load_warns_first_and_fails_then(
    make_table: MakeTable, age: timedelta, *, passed: bool, severity: str | None
) -> None:
    """An operator can react before the check fails."""
    check = freshness(clock="snapshot", warn_after="26h", fail_after="50h")

    result = check_freshness(make_table(events(NOW)), SPEC, check, None, NOW + age)

    assert (result.passed, result.severity) == (passed, severity)


def test_a_load_with_nothing_new_counts_as_a_load(make_table: MakeTable) -> None:
    """The source had nothing new, so the table is up to date."""
    later = NOW + timedelta(days=3)
    table = make_table(events(NOW))

    by_load = check_freshness(table, SPEC, freshness(fail_after="1d"), later, later)
    by_snapshot = check_freshness(
        table, SPEC, freshness(fail_after="1d", clock="snapshot"), later, later
    )

    assert by_load.passed
    assert not by_snapshot.passed


def test_a_load_outside_of_dagster_counts_as_a_load(make_table: MakeTable) -> None:
    """A table that a script loads is as fresh as one that Dagster loads."""
    result = check_freshness(make_table(events(NOW)), SPEC, freshness(fail_after="1d"), None, NOW)

    assert result.passed


def test_the_cursor_clock_reads_the_data(make_table: MakeTable) -> None:
    """A load of this minute that brings rows of last week is not fresh by this clock."""
    week = timedelta(days=7)
    table = make_table(events(NOW - 2 * week, NOW - week), events(NOW - 3 * week))

    result = check_freshness(table, SPEC, freshness(clock="cursor", fail_after="2d"), NOW, NOW)

    assert not result.passed
    assert result.metadata["age_hours"] == pytest.approx(week.total_seconds() / 3600)


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us")])
def test_a_cursor_may_be_a_date_or_a_timestamp_without_a_time_zone(
    make_table: MakeTable, kind: pa.DataType
) -> None:
    """Such a time is UTC, and a date begins at its midnight."""
    midnight = datetime(2026, 3, 1)
    table = make_table(pa.table({"at": pa.array([midnight]).cast(kind)}))
    noon = datetime(2026, 3, 1, 12, tzinfo=UTC)

    result = check_freshness(table, SPEC, freshness(clock="cursor", fail_after="1d"), None, noon)

    assert result.metadata["age_hours"] == 12


def test_a_table_that_was_never_loaded_is_not_fresh() -> None:
    """Otherwise a source that never ran would not be detected."""
    assert not check_freshness(None, SPEC, freshness(fail_after="1d"), None, NOW).passed


@pytest.mark.parametrize(
    ("loaded_at", "now", "passed"),
    [
        ("2026-03-02T05:00", "2026-03-02T09:00", True),
        ("2026-03-01T05:00", "2026-03-02T07:59", True),
        ("2026-03-01T05:00", "2026-03-02T08:01", False),
    ],
)
def test_a_deadline_requires_a_load_shortly_before_it(
    loaded_at: str, now: str, *, passed: bool
) -> None:
    """Until the next deadline comes, yesterday's load is enough."""
    check = freshness(deadline="0 8 * * *", before_deadline="6h")

    result = check_freshness(None, SPEC, check, _utc(loaded_at), _utc(now))

    assert result.passed is passed


def test_a_deadline_is_read_in_its_time_zone() -> None:
    """Eight in Berlin is seven in UTC, in winter."""
    assert last_tick("0 8 * * *", "Europe/Berlin", _utc("2026-01-15T12:00")) == _utc(
        "2026-01-15T07:00"
    )


def _utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "fail_after"),
        ({"fail_after": "1d", "deadline": "0 8 * * *"}, "either"),
        ({"fail_after": "1d", "warn_after": "2d"}, "warn_after must be shorter"),
        ({"fail_after": "soon"}, "'soon' is not a valid duration"),
        ({"deadline": "0 * * * *"}, "before_deadline '1d' is longer"),
    ],
)
def test_invalid_freshness_windows_are_rejected(settings: dict[str, str], said: str) -> None:
    """A check that could never fail, or never pass, is of no use."""
    with pytest.raises(ValueError, match=said):
        freshness(**settings)
