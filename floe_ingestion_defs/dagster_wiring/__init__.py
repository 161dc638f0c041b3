"""Dagster definitions for the ingestion plugin: assets, resource, jobs, schedules and sensors."""

from floe_ingestion_defs.dagster_wiring.assets import create_ingestion_assets
from floe_ingestion_defs.dagster_wiring.automation.schedules import create_ingestion_job
from floe_ingestion_defs.dagster_wiring.code_links import link_code_to_git
from floe_ingestion_defs.dagster_wiring.deployment import Deployment, read_deployment
from floe_ingestion_defs.dagster_wiring.location import (
    build_ingestion_definitions,
    create_definitions,
    create_shared_definitions,
    load_location,
    require_distinct_sources,
)
from floe_ingestion_defs.dagster_wiring.observed_tables import (
    ObservedTable,
    create_observed_definitions,
)
from floe_ingestion_defs.dagster_wiring.resources import (
    FloeDltResource,
    create_ingestion_resources,
    try_create_ingestion_resources,
)
from floe_ingestion_defs.dagster_wiring.settings.orchestration import (
    AssetSettings,
    OrchestrationSettings,
)
from floe_ingestion_defs.dagster_wiring.translator import FloeDltTranslator, asset_key

__all__ = [
    "AssetSettings",
    "Deployment",
    "FloeDltResource",
    "FloeDltTranslator",
    "ObservedTable",
    "OrchestrationSettings",
    "asset_key",
    "build_ingestion_definitions",
    "create_definitions",
    "create_ingestion_assets",
    "create_ingestion_job",
    "create_ingestion_resources",
    "create_observed_definitions",
    "create_shared_definitions",
    "link_code_to_git",
    "load_location",
    "read_deployment",
    "require_distinct_sources",
    "try_create_ingestion_resources",
]
