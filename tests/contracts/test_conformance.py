from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from floe_ingestion_defs.contracts import HealthState, HealthStatus, PluginRegistry, PluginType
from floe_ingestion_defs.contracts.conformance import (
    BaseHealthCheckTests,
    BasePluginDiscoveryTests,
)

if TYPE_CHECKING:
    from contracts.conftest import Install


def rules(kit: Any) -> Any:
    """Return the names of a kit's tests."""
    return [name for name in vars(kit) if name.startswith("test_")]


@pytest.fixture
def sample(install: Install) -> Any:
    """A fresh instance of the sample plugin, installed."""
    install("acme-ingestion")
    return PluginRegistry().get(PluginType.INGESTION, "sample")


@pytest.mark.usefixtures("sample")
class TestDiscoveryOfAConformingPlugin(BasePluginDiscoveryTests):
    plugin_name = "sample"
    plugin_module = "acme_ingestion"


class TestHealthCheckOfAConformingPlugin(BaseHealthCheckTests):
    @pytest.fixture
    def stopped_plugin(self, sample: Any) -> Any:
        return sample


@pytest.mark.parametrize("kit", [BasePluginDiscoveryTests, BaseHealthCheckTests])
def test_each_conformance_kit_has_eleven_tests(kit: Any) -> None:
    """Plugin authors rely on it: a kit that lost a test would accept more than documented."""
    assert len(rules(kit)) == 11


def failures_of_discovery() -> Any:
    """Return the tests of the discovery kit that plugin `sample` fails."""
    failed = set()
    for rule in rules(BasePluginDiscoveryTests):
        try:
            getattr(TestDiscoveryOfAConformingPlugin(), rule)()
        except (AssertionError, TypeError, ImportError):
            failed.add(rule)
    return failed


@pytest.mark.parametrize(
    ("more_code", "failed"),
    [
        ("SamplePlugin.name = 'other'", {"test_plugin_has_the_name_of_its_entry_point"}),
        ("SamplePlugin.version = ''", {"test_required_metadata_are_not_empty"}),
        ("SamplePlugin.version = None", {"test_required_metadata_are_not_empty"}),
        ("SamplePlugin.startup = None", {"test_plugin_has_the_lifecycle_methods"}),
        (
            "SamplePlugin = type('SamplePlugin', (), dict(vars(SamplePlugin)))\n"
            "SamplePlugin.__init__ = lambda self: None\n"
            "SamplePlugin.startup = SamplePlugin.shutdown = SamplePlugin.health_check = print",
            {
                "test_class_inherits_the_abstract_class_of_its_type",
                "test_plugin_is_an_instance_of_the_abstract_class",
            },
        ),
    ],
)
def test_the_discovery_kit_fails_a_plugin_that_breaks_a_rule(
    install: Install, more_code: str, failed: Any
) -> None:
    """Each rule is held by its own test: breaking one fails that one and no other."""
    install("acme-ingestion", more_code)
    assert failures_of_discovery() == failed


def test_the_discovery_kit_fails_a_plugin_that_cannot_be_made(install: Install) -> None:
    """Tests that need an instance fail as well; those of the entry point still pass."""
    install("acme-ingestion", "class SamplePlugin(IngestionPlugin): pass")
    assert "test_plugin_instantiates" in failures_of_discovery()
    assert "test_entry_point_loads" not in failures_of_discovery()


def test_the_discovery_kit_fails_a_target_that_cannot_be_imported(install: Install) -> None:
    """The entry point exists, but its target cannot be imported."""
    install("acme-ingestion", "import a_module_that_is_absent")
    assert "test_entry_point_loads" in failures_of_discovery()
    assert "test_entry_point_is_registered" not in failures_of_discovery()


def test_the_discovery_kit_fails_a_plugin_that_is_not_installed() -> None:
    """Without an entry point every test fails."""
    assert failures_of_discovery() == set(rules(BasePluginDiscoveryTests))


def test_the_discovery_kit_fails_a_name_claimed_twice(install: Install) -> None:
    """The kit bypasses the registry, which would reject both."""
    install("acme-ingestion")
    install("zenith-ingestion")
    assert "test_exactly_one_entry_point_has_the_name" in failures_of_discovery()


def test_the_discovery_kit_fails_a_plugin_of_the_same_name_in_another_module(
    install: Install,
) -> None:
    """A module whose name only begins in the same way is not the expected one."""
    install("acme-ingestion2")
    assert failures_of_discovery() == {"test_entry_point_names_the_expected_module"}


LONG_AGO = datetime(2013, 1, 1, tzinfo=UTC)


def unreachable(timeout: Any = None) -> Any:
    msg = "catalog unreachable"
    raise ConnectionError(msg)


def slow(timeout: Any = None) -> Any:
    time.sleep(1.0)
    return HealthStatus(HealthState.HEALTHY, "up")


@pytest.mark.parametrize(
    ("health_check", "failed"),
    [
        (lambda timeout=None: "fine", "test_health_check_returns_a_health_status"),
        (
            lambda timeout=None: HealthStatus(HealthState.UNHEALTHY, "down"),
            "test_started_plugin_is_healthy",
        ),
        (
            lambda timeout=None: HealthStatus(HealthState.HEALTHY, "up"),
            "test_plugin_is_unhealthy_before_startup",
        ),
        (
            lambda timeout=None: HealthStatus(HealthState.HEALTHY, "up", response_time_ms=1e9),
            "test_health_check_measures_its_response_time",
        ),
        (
            lambda timeout=None: HealthStatus(HealthState.HEALTHY, "up", checked_at=LONG_AGO),
            "test_health_check_reports_when_it_was_made",
        ),
        (
            lambda timeout=None: HealthStatus(HealthState.HEALTHY, "up", checked_at=datetime.now()),
            "test_health_check_reports_when_it_was_made",
        ),
        (
            lambda timeout=None: HealthStatus(HealthState.HEALTHY, "up"),
            "test_health_check_rejects_a_timeout_out_of_range",
        ),
        (lambda: HealthStatus(HealthState.HEALTHY, "up"), "test_health_check_accepts_a_timeout"),
        (slow, "test_health_check_answers_within_one_second"),
        (unreachable, "test_health_check_does_not_raise"),
        (
            lambda timeout=None: HealthStatus(HealthState.HEALTHY),
            "test_health_check_carries_a_message",
        ),
        (None, "test_health_check_exists"),
    ],
)
def test_the_health_kit_fails_a_plugin_that_breaks_a_rule(
    sample: Any, health_check: Any, failed: Any
) -> None:
    """Each rule is held by its own test."""
    sample.health_check = health_check
    with pytest.raises((AssertionError, TypeError, ConnectionError)):
        getattr(BaseHealthCheckTests(), failed)(sample)
