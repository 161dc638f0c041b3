from datetime import UTC, datetime
from typing import Any

import pytest

from floe_ingestion_defs.contracts import (
    HealthState,
    HealthStatus,
    PluginConfigurationError,
    PluginMetadata,
    PluginType,
)
from floe_ingestion_defs.contracts.metadata import checked_health_timeout


class Plain(PluginMetadata):
    """A plugin that defines what it must and nothing else."""

    name = "plain"
    version = "0.1.0"
    floe_api_version = "1.0"


def test_the_plugin_type_is_its_entry_point_group() -> None:
    """The type can be used in place of the group's name."""
    assert str(PluginType.INGESTION) == "floe.ingestion"


@pytest.mark.parametrize("missing", ["name", "version", "floe_api_version"])
def test_a_plugin_without_required_metadata_cannot_be_made(missing: str) -> None:
    """Name, version and contract version are required of every plugin."""
    given = {key: "1.0" for key in ("name", "version", "floe_api_version") if key != missing}
    incomplete = type("Incomplete", (PluginMetadata,), given)
    with pytest.raises(TypeError, match=missing):
        incomplete()


def test_what_a_plugin_does_not_define_has_a_default() -> None:
    """Three attributes are required; everything else has a default."""
    plugin = Plain()
    plugin.startup()
    plugin.configure(None)
    plugin.shutdown()
    assert (plugin.description, plugin.dependencies) == ("", [])
    assert plugin.get_config_schema() is None


def test_a_plugin_that_takes_no_configuration_rejects_one() -> None:
    """A configuration that would be ignored is an error."""
    plugin = Plain()
    plugin.configure({})
    with pytest.raises(
        PluginConfigurationError, match="'plain' takes no configuration"
    ) as rejected:
        plugin.configure({"password": "hunter2"})
    assert "hunter2" not in str(rejected.value)


def test_startup_and_shutdown_can_be_repeated() -> None:
    """A second startup or shutdown, or one without the other, changes nothing."""
    plugin = Plain()
    plugin.shutdown()
    plugin.startup()
    plugin.startup()
    assert plugin.health_check().state is HealthState.HEALTHY
    plugin.shutdown()
    plugin.shutdown()
    assert plugin.health_check().state is HealthState.UNHEALTHY


@pytest.mark.parametrize("timeout", [0.1, 1, 10.0])
def test_a_health_timeout_in_range_is_accepted(timeout: Any) -> None:
    """From a tenth of a second to ten seconds, both included."""
    assert checked_health_timeout(timeout) == timeout


def test_the_health_timeout_defaults_to_one_second() -> None:
    """Without a timeout, a health check has the second within which it should answer."""
    assert checked_health_timeout(None) == 1.0


@pytest.mark.parametrize("timeout", [0.09, 0, -1, 10.01, float("inf"), float("nan")])
def test_a_health_timeout_out_of_range_is_rejected(timeout: Any) -> None:
    """The error gives the value and the range."""
    with pytest.raises(ValueError, match=rf"timeout.*0\.1 and 10\.0 seconds, not {timeout!r}"):
        Plain().health_check(timeout=timeout)


def test_a_health_status_shows_its_measurements_among_its_details() -> None:
    """The details have the time and the duration, beside what the plugin found."""
    checked_at = datetime(2026, 1, 2, tzinfo=UTC)
    given = {"catalog": "floe"}
    status = HealthStatus(HealthState.DEGRADED, "slow", 12.5, checked_at, given)
    assert status.details == {
        "catalog": "floe",
        "response_time_ms": 12.5,
        "checked_at": checked_at,
    }
    assert given == {"catalog": "floe"}
