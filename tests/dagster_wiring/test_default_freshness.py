from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from floe_ingestion_defs.dagster_wiring import build_ingestion_definitions
from floe_ingestion_defs.dagster_wiring.checks.freshness import check_freshness
from floe_ingestion_defs.dagster_wiring.settings.checks import FreshnessCheck
from floe_ingestion_defs.dagster_wiring.settings.default_freshness import longest_interval
from floe_ingestion_defs.dagster_wiring.settings.orchestration import OrchestrationSettings
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin, ResourceSpec

MakePlugin = Callable[..., DltIngestionPlugin]
Load = Callable[..., dg.ExecuteInProcessResult]
SPEC = ResourceSpec("orders", "bronze.orders")
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)


def freshness_of(**orchestration: Any) -> FreshnessCheck:
    settings = OrchestrationSettings.model_validate(orchestration).for_resource("orders")
    assert settings.checks.freshness is not None
    return settings.checks.freshness


@pytest.mark.parametrize(
    ("cron", "hours"),
    [("0 * * * *", 1), ("0 5 * * *", 24), ("0 6 * * 1-5", 72), ("0 0 1 * *", 31 * 24)],
)
def test_the_longest_interval_of_a_cron_contains_its_gaps(cron: str, hours: int) -> None:
    """A source that is not loaded on weekends is not late on Sunday."""
    assert longest_interval(cron, "UTC") == timedelta(hours=hours)


@pytest.mark.parametrize(
    ("orchestration", "hours", "said"),
    [
        ({"cron": "0 5 * * *"}, 36, "derived from the cron '0 5 * * *' (UTC)"),
        (
            {"partitions": {"kind": "daily", "start": "2026-01-01"}},
            36,
            "derived from the daily partitions",
        ),
    ],
)
def test_a_source_that_is_loaded_regularly_is_late_half_an_interval_after_the_next_load(
    orchestration: dict[str, Any], hours: int, said: str
) -> None:
    """The description of the check shows the limit, and where it comes from."""
    check = freshness_of(**orchestration)

    ages = (timedelta(hours=hours - 1), timedelta(hours=hours + 1))
    fresh, late = (check_freshness(None, SPEC, check, NOW - age, NOW) for age in ages)
    assert (fresh.passed, late.passed) == (True, False)
    assert check.severity == "warn"
    assert said in check.describe(SPEC)


@pytest.mark.parametrize(
    "orchestration",
    [
        {},
        {"new_files_every": "1m"},
        {"partitions": {"kind": "daily", "start": "2025-01-01", "end": "2025-02-01"}},
    ],
)
def test_a_source_without_cadence_reports_its_age_and_passes(
    orchestration: dict[str, Any],
) -> None:
    """No age is too old: files arrive at any time, and a year that has ended is complete."""
    check = freshness_of(**orchestration)

    result = check_freshness(None, SPEC, check, NOW - timedelta(days=400), NOW)
    assert result.passed
    assert result.metadata["age"] == "400 days"
    assert check.policy() is None
    assert "Reports the age" in check.describe(SPEC)


def test_freshness_false_disables_the_check(make_plugin: MakePlugin) -> None:
    plugin = make_plugin(
        cron="0 5 * * *", resources={"customers": {"checks": {"freshness": False}}}
    )

    definitions = build_ingestion_definitions(plugin)
    fresh = {
        key.asset_key.to_user_string()
        for checks in definitions.asset_checks or ()
        for key in checks.check_keys
        if key.name == "freshness"
    }
    assert fresh == {"ingestion__shop__orders"}


def test_a_load_reports_the_age_without_any_configuration(load: Load) -> None:
    evaluations = {
        (event.asset_key.to_user_string(), event.check_name): event
        for event in load().get_asset_check_evaluations()
    }

    freshness = evaluations["ingestion__shop__orders", "freshness"]
    assert freshness.passed
    assert "age_hours" in freshness.metadata
