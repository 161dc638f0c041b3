"""Whether the plugin can load: it was started, its variables are set, its catalog answers."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.contracts import HealthState, HealthStatus
from floe_ingestion_defs.dlt_plugin.config.destination import (
    destination_config,
    environment_of,
    open_configured_catalog,
)
from floe_ingestion_defs.dlt_plugin.config.placeholders import missing_names
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.errors.redaction import redactor_for
from floe_ingestion_defs.dlt_plugin.time_limit import NoAnswer, call_within

if TYPE_CHECKING:
    from collections.abc import Mapping

    from floe_ingestion_defs.dlt_plugin.config.models import DltIngestionConfig


def check_health(config: DltIngestionConfig, started: bool, timeout: float) -> HealthStatus:
    """Look at everything that a load would need, within a bounded time.

    DEGRADED means that some sources can be loaded and others cannot, because variables that
    they refer to are not set.

    Args:
        config: The plugin's configuration.
        started: Whether `startup` was called.
        timeout: Seconds that the catalog has to answer.
    """
    began = time.perf_counter()
    if started:
        _import_catalog()
    state, message = _verdict(config, started, timeout)
    return HealthStatus(
        state=state,
        message=message,
        response_time_ms=(time.perf_counter() - began) * 1000,
        checked_at=datetime.now(UTC),
    )


def _import_catalog() -> None:
    # A second or two, the first time: that is no sign of a slow catalog.
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401


def _verdict(config: DltIngestionConfig, started: bool, timeout: float) -> tuple[HealthState, str]:
    if not started:
        return HealthState.UNHEALTHY, "the plugin was not started; call startup()"
    trouble = _catalog_trouble(config.catalog_config, timeout)
    if trouble:
        return HealthState.UNHEALTHY, trouble
    unready = {
        source.name: missing_names([source.source_config, source.credentials, source.initial_value])
        for source in config.sources
    }
    lacking = {name: missing for name, missing in unready.items() if missing}
    if not lacking:
        return HealthState.HEALTHY, "the catalog answers, and every variable is set"
    text = "; ".join(
        f"source {name!r} refers to {', '.join(missing)}" for name, missing in lacking.items()
    )
    all_lack = len(lacking) == len(config.sources)
    state = HealthState.UNHEALTHY if all_lack else HealthState.DEGRADED
    return state, f"{text}, which the environment does not set"


def _catalog_trouble(catalog_config: Mapping[str, Any], timeout: float) -> str | None:
    redactor = redactor_for(dict(catalog_config), environment_of(catalog_config))

    def ask() -> None:
        open_configured_catalog(destination_config(catalog_config)).list_namespaces()

    try:
        call_within(timeout, ask, subject="the catalog")
    except (NoAnswer, PipelineConfigurationError) as error:
        return redactor.clean(str(error))
    except Exception as error:  # a health check reports whatever keeps the catalog away
        return f"the catalog does not answer: {type(error).__name__}: {redactor.clean(str(error))}"
    return None
