"""What every floe plugin provides, regardless of its type: identity, life cycle, health.

Plugins inherit `PluginMetadata` through the abstract class of their type (`IngestionPlugin`);
the registry reads it to reject plugins written for another version of the contract.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

from floe_ingestion_defs.contracts.errors import PluginConfigurationError

MIN_HEALTH_TIMEOUT_SECONDS = 0.1
MAX_HEALTH_TIMEOUT_SECONDS = 10.0
DEFAULT_HEALTH_TIMEOUT_SECONDS = 1.0


class PluginType(StrEnum):
    """The types of plugins; each value is the entry point group in which its plugins are found."""

    INGESTION = "floe.ingestion"


class HealthState(StrEnum):
    """How well a plugin can work right now."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


@dataclass(frozen=True)
class HealthStatus:
    """What a health check found.

    Attributes:
        state: The result.
        message: The result in a sentence; never empty in a conforming plugin.
        response_time_ms: How long the check took, in milliseconds.
        checked_at: When the check was made, with time zone.
        details: Further findings. The two measurements are repeated here, so that it can be logged
            or displayed as a whole.
    """

    state: HealthState
    message: str = ""
    response_time_ms: float = 0.0
    checked_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        measured = {"response_time_ms": self.response_time_ms, "checked_at": self.checked_at}
        object.__setattr__(self, "details", {**self.details, **measured})


def checked_health_timeout(timeout: float | None) -> float:
    """Return the seconds that a health check may take.

    Args:
        timeout: Seconds, or None for the default of one second.

    Raises:
        ValueError: The timeout is outside of 0.1 to 10 seconds: with a shorter one every server is
            found dead, and a longer one makes the check useless as a probe.
    """
    if timeout is None:
        return DEFAULT_HEALTH_TIMEOUT_SECONDS
    # Written so that NaN, which compares false with everything, is rejected as well.
    if not MIN_HEALTH_TIMEOUT_SECONDS <= timeout <= MAX_HEALTH_TIMEOUT_SECONDS:
        msg = (
            f"timeout of a health check must be between {MIN_HEALTH_TIMEOUT_SECONDS} and "
            f"{MAX_HEALTH_TIMEOUT_SECONDS} seconds, not {timeout!r}"
        )
        raise ValueError(msg)
    return timeout


class PluginMetadata(ABC):
    """Identity, life cycle and health of a plugin.

    A plugin is created without side effects, configured, started, used, and shut down.
    """

    _started = False

    @property
    @abstractmethod
    def name(self) -> str:
        """The name under which the plugin is registered in its entry point group."""

    @property
    @abstractmethod
    def version(self) -> str:
        """The version of the distribution that holds the plugin."""

    @property
    @abstractmethod
    def floe_api_version(self) -> str:
        """The contract version that the plugin was written for, as `MAJOR.MINOR`."""

    @property
    def description(self) -> str:
        """What the plugin does, in a sentence that a person can read."""
        return ""

    @property
    def dependencies(self) -> list[str]:
        """Names of the plugins that must be started before this one."""
        return []

    def startup(self) -> None:
        """Prepare the plugin for use; a second call changes nothing.

        A plugin that overrides this and keeps the health check of this class must call it, since
        that health check reports whether the plugin was started.
        """
        self._started = True

    def shutdown(self) -> None:
        """Release what `startup` acquired; harmless without it and a second time."""
        self._started = False

    def health_check(self, timeout: float | None = None) -> HealthStatus:
        """Return whether the plugin can work.

        This implementation knows only whether the plugin was started. A plugin that depends on
        anything outside of its process overrides it, and reports an unreachable part instead of
        raising.

        Args:
            timeout: Seconds that the check may take; see `checked_health_timeout`.

        Raises:
            ValueError: The timeout is outside of 0.1 to 10 seconds.
        """
        began = time.perf_counter()
        checked_health_timeout(timeout)
        state = HealthState.HEALTHY if self._started else HealthState.UNHEALTHY
        return HealthStatus(
            state=state,
            message=f"plugin {self.name!r} is {'started' if self._started else 'not started'}",
            response_time_ms=(time.perf_counter() - began) * 1000,
        )

    def get_config_schema(self) -> type[BaseModel] | None:
        """Return the model of the plugin's configuration, or None if it takes none."""
        return None

    def configure(self, config: Any) -> None:
        """Set the configuration, before `startup`.

        Args:
            config: An instance of what `get_config_schema` returns; None or empty for a plugin that
                takes no configuration.

        Raises:
            PluginConfigurationError: The plugin takes no configuration and was given one.
        """
        if config:
            msg = (
                f"plugin {self.name!r} takes no configuration; remove it from the plugin's `config`"
            )
            raise PluginConfigurationError(msg)
