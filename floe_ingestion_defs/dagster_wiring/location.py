"""Builds a code location from a plugin's configuration, whether in YAML, artifacts or Python."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from floe_ingestion_defs.contracts import CompiledArtifacts
from floe_ingestion_defs.dagster_wiring.assets import create_ingestion_assets
from floe_ingestion_defs.dagster_wiring.automation.branch_job import create_drop_job
from floe_ingestion_defs.dagster_wiring.automation.maintenance import create_maintenance_definitions
from floe_ingestion_defs.dagster_wiring.automation.new_files import create_new_files_sensor
from floe_ingestion_defs.dagster_wiring.automation.schedules import (
    create_freshness_schedule,
    create_ingestion_job,
    create_source_job,
    create_source_schedule,
)
from floe_ingestion_defs.dagster_wiring.automation.sensors import create_failure_sensor
from floe_ingestion_defs.dagster_wiring.beta_warnings import expect_converted_checks
from floe_ingestion_defs.dagster_wiring.checks.asset_checks import FRESHNESS, create_source_checks
from floe_ingestion_defs.dagster_wiring.code_links import link_code_to_git
from floe_ingestion_defs.dagster_wiring.configured_source import CodeReference, ConfiguredSource
from floe_ingestion_defs.dagster_wiring.defs_folder import load_defs
from floe_ingestion_defs.dagster_wiring.deployment import confine_to_branch
from floe_ingestion_defs.dagster_wiring.openlineage.sensor import create_openlineage_sensor
from floe_ingestion_defs.dagster_wiring.resources import DLT_RESOURCE, RESOURCE_KEY, start_plugin
from floe_ingestion_defs.dagster_wiring.runs.executor import sequence_or_multiprocess_executor
from floe_ingestion_defs.dagster_wiring.translator import (
    FloeDltTranslator,
    configured_source_of,
    require_configured_source,
    resources_by_key,
)
from floe_ingestion_defs.dagster_wiring.upstream import create_upstream_specs
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin
from floe_ingestion_defs.dlt_plugin.config.rules import check_sources
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

logger = logging.getLogger(__name__)


def build_ingestion_definitions(
    plugin: DltIngestionPlugin,
    *,
    translator_class: type[FloeDltTranslator] = FloeDltTranslator,
    code_references: Mapping[str, Sequence[CodeReference]] | None = None,
) -> dg.Definitions:
    """Build the definitions of the sources of one plugin.

    Args:
        plugin: The configured plugin.
        translator_class: Class that describes the assets; a subclass of `FloeDltTranslator`.
        code_references: Where each source is configured, by source name.

    Returns:
        The assets and their checks, a job per source, the configured schedules and sensors, and the
        resource.
    """
    assets = create_ingestion_assets(
        plugin, translator_class=translator_class, code_references=code_references
    )
    checks, jobs, schedules, sensors = [], [], [], []
    upstream: list[dg.AssetsDefinition] = []
    keys: set[dg.AssetKey] = set()
    for assets_def in assets:
        configured = require_configured_source(assets_def)
        source_checks = create_source_checks(configured, resources_by_key(assets_def))
        checks.extend([source_checks] if source_checks else [])
        specs = create_upstream_specs(configured, assets_def.specs)
        if specs := [spec for spec in specs if spec.key not in keys]:
            # Dagster puts specs by themselves into one definition, and adds all of its assets to
            # the graph of each job that one of them is upstream of.
            upstream.append(dg.AssetsDefinition(specs=specs))
            keys |= upstream[-1].keys
        job = create_source_job(configured, sorted(assets_def.keys))
        jobs.append(job)
        if configured.settings.has_schedule:
            schedules.append(create_source_schedule(configured, job))
        if configured.settings.new_files_every is not None:
            sensors.append(create_new_files_sensor(configured, job))
    return dg.Definitions(
        assets=[*assets, *upstream],
        asset_checks=checks,
        jobs=jobs,
        schedules=schedules,
        sensors=sensors,
        resources={RESOURCE_KEY: DLT_RESOURCE},
    )


def create_definitions(artifacts: CompiledArtifacts) -> dg.Definitions:
    """Build the code location that a compiled platform file describes.

    Args:
        artifacts: The platform file.

    Returns:
        The location; an empty one, with a warning in the log, if no ingestion plugin is
        configured. Every other failure is raised.
    """
    ref = artifacts.plugins.ingestion if artifacts.plugins else None
    if ref is None:
        logger.warning("no ingestion plugin is configured; the code location is empty")
        return dg.Definitions()
    definitions = build_ingestion_definitions(start_plugin(ref))
    require_distinct_sources(definitions)
    return dg.Definitions.merge(definitions, create_shared_definitions(definitions))


def load_location(package: Path) -> dg.Definitions:
    """Build the code location of a project: its `defs/`, and what all sources share.

    Args:
        package: Folder of the project's package, which contains `defs/`; its parent folder is that
            of the project, with its `pyproject.toml` and its git repository.

    Returns:
        The location, with its code linked to git if the deployment knows the repository.

    Raises:
        PipelineConfigurationError: Two sources conflict with each other, or several files are not
            valid; reports each file.
    """
    confine_to_branch()
    expect_converted_checks()
    loaded = load_defs(package)
    require_distinct_sources(loaded)
    location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))
    if location.executor is None:
        executor = dg.Definitions(executor=sequence_or_multiprocess_executor)
        location = dg.Definitions.merge(location, executor)
    return link_code_to_git(location, root=package.parent)


def require_distinct_sources(definitions: dg.Definitions) -> None:
    """Verify that no two sources conflict, even if they are declared in different files.

    Raises:
        PipelineConfigurationError: Two sources have the same name, or write to the same table in
            incompatible ways; names both, and where each is declared.
    """
    sources = _configured_sources(definitions)
    try:
        check_sources([configured.source for configured in sources])
    except ValueError as error:
        declared = [
            f"{configured.name} in {reference.source}"
            for configured in sources
            for reference in configured.code_references
            if repr(configured.name) in str(error)
        ]
        where = f" (declared: {', '.join(declared)})" if declared else ""
        msg = f"{error}{where}"
        raise PipelineConfigurationError(msg) from error


def create_shared_definitions(loaded: dg.Definitions) -> dg.Definitions:
    """Build the definitions that all sources of a code location share.

    Args:
        loaded: The definitions of the sources.

    Returns:
        The resource, the job `ingestion` of all sources, the job that drops a branch's tables, the
        sensor that reports failed runs, the schedule of the freshness checks if there are any, the
        sensor that sends lineage if a server is configured, and the maintenance of datasets that a
        source configures it for.
    """
    sources = _configured_sources(loaded)
    fresh = [
        spec.key
        for checks in loaded.asset_checks or ()
        for spec in checks.check_specs
        if spec.name == FRESHNESS
    ]
    maintenance = create_maintenance_definitions(sources)
    lineage = create_openlineage_sensor(
        each for each in loaded.assets or () if isinstance(each, dg.AssetsDefinition)
    )
    by_themselves = any(each.settings.default_status == "running" for each in sources)
    shared = dg.Definitions(
        jobs=[create_ingestion_job(), create_drop_job(each.plugin for each in sources)],
        schedules=[create_freshness_schedule(fresh, running=by_themselves)] if fresh else [],
        sensors=[create_failure_sensor(sources), *([lineage] if lineage else [])],
        resources={RESOURCE_KEY: DLT_RESOURCE},
    )
    return dg.Definitions.merge(shared, maintenance)


def _configured_sources(definitions: dg.Definitions) -> list[ConfiguredSource]:
    return [
        configured
        for assets_def in definitions.assets or ()
        if isinstance(assets_def, dg.AssetsDefinition)
        and (configured := configured_source_of(assets_def)) is not None
    ]
