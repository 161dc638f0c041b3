# ruff: noqa: S101  (these are tests, shipped for others to run)
"""Tests that every floe plugin must pass, as base classes for the plugin's own tests.

List this module in the `pytest_plugins` of your top-level `conftest.py`, so that pytest shows the
values behind a failed assertion. It does not import pytest, on which a plugin need not depend.

Example:
    A test module of the distribution that offers plugin `acme`:

        class TestDiscovery(BasePluginDiscoveryTests):
            plugin_name = "acme"
            plugin_module = "acme_ingestion.plugin"


        class TestHealthCheck(BaseHealthCheckTests):
            @pytest.fixture
            def stopped_plugin(self, tmp_path):
                return AcmePlugin({"directory": str(tmp_path)})
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import metadata
from typing import ClassVar

from floe_ingestion_defs.contracts.metadata import (
    MAX_HEALTH_TIMEOUT_SECONDS,
    MIN_HEALTH_TIMEOUT_SECONDS,
    HealthState,
    HealthStatus,
    PluginMetadata,
    PluginType,
)
from floe_ingestion_defs.contracts.registry import BASE_CLASSES

_REQUIRED = ("name", "version", "floe_api_version")
_LIFECYCLE = ("startup", "shutdown", "health_check", "get_config_schema", "configure")


class BasePluginDiscoveryTests:
    """Verify that an installed plugin is found under its name and implements the contract.

    Attributes:
        plugin_type: The type of the plugin, whose value is its entry point group.
        plugin_name: The name of its entry point; define it.
        plugin_module: The module that the entry point names, or a package above it; define it.
    """

    plugin_type: ClassVar[PluginType] = PluginType.INGESTION
    plugin_name: ClassVar[str]
    plugin_module: ClassVar[str]

    def create_plugin(self, plugin_class: type[PluginMetadata]) -> PluginMetadata:
        """Create an instance; override this for a plugin that requires arguments."""
        return plugin_class()

    def test_entry_point_is_registered(self) -> None:
        """The plugin's name is in the entry point group of its type."""
        assert self._entry_point().name == self.plugin_name

    def test_exactly_one_entry_point_has_the_name(self) -> None:
        """No other installed distribution claims the name."""
        targets = [entry_point.value for entry_point in self._entry_points()]
        assert len(targets) == 1, f"{self.plugin_name!r} means {targets}"

    def test_entry_point_names_the_expected_module(self) -> None:
        """The entry point names the plugin's own module, not another one of the same name."""
        module = self._entry_point().module
        assert f"{module}.".startswith(f"{self.plugin_module}.")

    def test_entry_point_loads(self) -> None:
        """What the entry point names can be imported and is a class."""
        assert isinstance(self._load(), type)

    def test_plugin_instantiates(self) -> None:
        """The class can be instantiated: no method is abstract, no external service needed."""
        assert self._create() is not None

    def test_plugin_has_the_name_of_its_entry_point(self) -> None:
        """The plugin's `name` is the one by which it is found."""
        assert self._create().name == self.plugin_name

    def test_required_metadata_are_present(self) -> None:
        """The plugin has a name, a version and a contract version."""
        plugin = self._create()
        assert [name for name in _REQUIRED if not hasattr(plugin, name)] == []

    def test_required_metadata_are_not_empty(self) -> None:
        """Each of them is a string that is not blank."""
        plugin = self._create()
        values = {name: getattr(plugin, name) for name in _REQUIRED}
        assert all(isinstance(value, str) and value.strip() for value in values.values()), values

    def test_class_inherits_the_abstract_class_of_its_type(self) -> None:
        """The class is declared to be a plugin of its type."""
        assert issubclass(self._load(), BASE_CLASSES[self.plugin_type])

    def test_plugin_is_an_instance_of_the_abstract_class(self) -> None:
        """An instance of the class is a plugin of its type."""
        assert isinstance(self._create(), BASE_CLASSES[self.plugin_type])

    def test_plugin_has_the_lifecycle_methods(self) -> None:
        """The plugin can be configured, started, checked for its health, and shut down."""
        plugin = self._create()
        assert [name for name in _LIFECYCLE if not callable(getattr(plugin, name, None))] == []

    def _entry_points(self) -> list[metadata.EntryPoint]:
        group = metadata.entry_points(group=self.plugin_type.value)
        return [entry_point for entry_point in group if entry_point.name == self.plugin_name]

    def _entry_point(self) -> metadata.EntryPoint:
        found = self._entry_points()
        assert found, (
            f"no entry point {self.plugin_name!r} in group {self.plugin_type.value!r}; installed?"
        )
        return found[0]

    def _load(self) -> type[PluginMetadata]:
        loaded: type[PluginMetadata] = self._entry_point().load()
        return loaded

    def _create(self) -> PluginMetadata:
        return self.create_plugin(self._load())


class BaseHealthCheckTests:
    """Verify that a plugin's health check is correct, fast, and safe to call at any time.

    Define a pytest fixture `stopped_plugin`: a new plugin, configured so that it can work, and not
    started yet. These tests start it and shut it down.
    """

    def test_health_check_exists(self, stopped_plugin: PluginMetadata) -> None:
        """The plugin has a health check."""
        assert callable(getattr(stopped_plugin, "health_check", None))

    def test_health_check_returns_a_health_status(self, stopped_plugin: PluginMetadata) -> None:
        """The result is the contract's own record, with one of its three states."""
        with _started(stopped_plugin) as plugin:
            status = plugin.health_check()
        assert isinstance(status, HealthStatus)
        assert isinstance(status.state, HealthState)

    def test_started_plugin_is_healthy(self, stopped_plugin: PluginMetadata) -> None:
        """A started plugin whose dependencies are available is healthy."""
        with _started(stopped_plugin) as plugin:
            status = plugin.health_check()
        assert status.state is HealthState.HEALTHY, status.message

    def test_plugin_is_unhealthy_before_startup(self, stopped_plugin: PluginMetadata) -> None:
        """A plugin that was not started does not report that it can work."""
        assert stopped_plugin.health_check().state is HealthState.UNHEALTHY

    def test_health_check_measures_its_response_time(self, stopped_plugin: PluginMetadata) -> None:
        """The response time is in milliseconds and not longer than the call took."""
        with _started(stopped_plugin) as plugin:
            status, seconds = _timed(plugin.health_check)
        assert 0 <= status.response_time_ms <= seconds * 1000

    def test_health_check_answers_within_one_second(self, stopped_plugin: PluginMetadata) -> None:
        """A healthy plugin reports so within a second, so that probes can be frequent."""
        with _started(stopped_plugin) as plugin:
            _, seconds = _timed(plugin.health_check)
        assert seconds < 1.0

    def test_health_check_reports_when_it_was_made(self, stopped_plugin: PluginMetadata) -> None:
        """The timestamp has a time zone and is between the start and the end of the call."""
        # Some systems' clocks move in steps of up to 16 ms.
        step = timedelta(milliseconds=20)
        with _started(stopped_plugin) as plugin:
            before = datetime.now(UTC)
            status = plugin.health_check()
            after = datetime.now(UTC)
        assert status.checked_at.tzinfo is not None
        assert before - step <= status.checked_at <= after + step

    def test_health_check_accepts_a_timeout(self, stopped_plugin: PluginMetadata) -> None:
        """The shortest and the longest permitted timeout are accepted."""
        with _started(stopped_plugin) as plugin:
            for timeout in (MIN_HEALTH_TIMEOUT_SECONDS, MAX_HEALTH_TIMEOUT_SECONDS):
                assert isinstance(plugin.health_check(timeout=timeout), HealthStatus)

    def test_health_check_rejects_a_timeout_out_of_range(
        self, stopped_plugin: PluginMetadata
    ) -> None:
        """A timeout that is too low or too high raises a ValueError that names the timeout."""
        with _started(stopped_plugin) as plugin:
            for timeout in (MIN_HEALTH_TIMEOUT_SECONDS / 2, MAX_HEALTH_TIMEOUT_SECONDS * 1.5):
                assert "timeout" in _rejection(plugin, timeout)

    def test_health_check_does_not_raise(self, stopped_plugin: PluginMetadata) -> None:
        """Before startup and after shutdown, too, a status is returned and no exception raised."""
        assert isinstance(stopped_plugin.health_check(), HealthStatus)
        with _started(stopped_plugin) as plugin:
            plugin.health_check()
        assert stopped_plugin.health_check().state is HealthState.UNHEALTHY

    def test_health_check_carries_a_message(self, stopped_plugin: PluginMetadata) -> None:
        """Every state comes with a sentence that a person can read."""
        before = stopped_plugin.health_check()
        with _started(stopped_plugin) as plugin:
            running = plugin.health_check()
        assert before.message.strip()
        assert running.message.strip()


@contextmanager
def _started(plugin: PluginMetadata) -> Iterator[PluginMetadata]:
    plugin.startup()
    try:
        yield plugin
    finally:
        plugin.shutdown()


def _timed(check: Callable[[], HealthStatus]) -> tuple[HealthStatus, float]:
    began = time.perf_counter()
    status = check()
    return status, time.perf_counter() - began


def _rejection(plugin: PluginMetadata, timeout: float) -> str:
    """Return the message with which the timeout is rejected."""
    try:
        plugin.health_check(timeout=timeout)
    except ValueError as error:
        return str(error)
    msg = f"a timeout of {timeout} seconds was accepted"
    raise AssertionError(msg)
