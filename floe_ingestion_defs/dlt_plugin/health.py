"""The health check: the plugin is started, its variables are set, catalog and storage respond."""

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

    from pyiceberg.catalog import Catalog

    from floe_ingestion_defs.dlt_plugin.config.models import DltIngestionConfig

_STORAGE_CREDENTIALS = ("s3.access-key", "s3.secret", "gcs.oauth2", "adls.")


def check_health(config: DltIngestionConfig, started: bool, timeout: float) -> HealthStatus:
    """Check all that a load requires, within a limited time.

    DEGRADED means that some sources can be loaded and others cannot, because environment variables
    that they refer to are not set.

    Args:
        config: The plugin's configuration.
        started: Whether `startup` was called.
        timeout: Seconds within which catalog and storage must respond.
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
    # The first import takes one to two seconds, which must not count as a slow catalog.
    import pyiceberg.catalog.sql
    import pyiceberg.io.pyarrow  # noqa: F401


def _verdict(config: DltIngestionConfig, started: bool, timeout: float) -> tuple[HealthState, str]:
    if not started:
        return HealthState.UNHEALTHY, "the plugin is not started; call startup()"
    trouble = _destination_trouble(config.catalog_config, timeout)
    if trouble:
        return HealthState.UNHEALTHY, trouble
    unready = {
        source.name: missing_names([source.source_config, source.credentials, source.initial_value])
        for source in config.sources
    }
    lacking = {name: missing for name, missing in unready.items() if missing}
    if not lacking:
        return (
            HealthState.HEALTHY,
            "catalog and storage respond, and all environment variables are set",
        )
    text = "; ".join(
        f"{', '.join(missing)} (referenced by source {name!r})" for name, missing in lacking.items()
    )
    all_lack = len(lacking) == len(config.sources)
    state = HealthState.UNHEALTHY if all_lack else HealthState.DEGRADED
    return state, f"environment variables are not set: {text}"


def _destination_trouble(catalog_config: Mapping[str, Any], timeout: float) -> str | None:
    redactor = redactor_for(dict(catalog_config), environment_of(catalog_config))
    ends = time.monotonic() + timeout
    opened: list[Catalog] = []

    def ask_catalog() -> None:
        opened.append(open_configured_catalog(destination_config(catalog_config)))
        opened[0].list_namespaces()

    def ask_storage() -> None:
        _read_storage(opened[0])

    for subject, ask in (("the catalog", ask_catalog), ("the storage", ask_storage)):
        try:
            call_within(round(max(ends - time.monotonic(), 0.0), 2), ask, subject=subject)
        except (NoAnswer, PipelineConfigurationError) as error:
            return redactor.clean(str(error))
        except Exception as error:  # a health check reports every failure
            reason = f"{type(error).__name__}: {redactor.clean(str(error))}"
            return f"{subject} does not respond: {reason}"
    return None


def _read_storage(catalog: Catalog) -> None:
    """Search the warehouse for a file, which requires the right to read it, whether it exists.

    A REST catalog may hand out credentials per table; its storage is read only if the configuration
    contains credentials.
    """
    from pyiceberg.catalog.rest import RestCatalog
    from pyiceberg.io import load_file_io

    properties = catalog.properties
    warehouse = str(properties.get("warehouse", ""))
    has_credentials = any(name.startswith(_STORAGE_CREDENTIALS) for name in properties)
    if "://" in warehouse and (has_credentials or not isinstance(catalog, RestCatalog)):
        io = load_file_io(dict(properties), warehouse)
        io.new_input(f"{warehouse.rstrip('/')}/floe-health-check").exists()
