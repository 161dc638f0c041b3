"""The asset factory: every source becomes one multi-asset, every resource one asset."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dlt.translator import DltResourceTranslatorData

from floe_ingestion_defs.dagster_wiring.code_links import reference_factory
from floe_ingestion_defs.dagster_wiring.configured_source import CodeReference, ConfiguredSource
from floe_ingestion_defs.dagster_wiring.deployment import confine_to_branch
from floe_ingestion_defs.dagster_wiring.resources import FloeDltResource
from floe_ingestion_defs.dagster_wiring.runs.options import LoadOptions
from floe_ingestion_defs.dagster_wiring.translator import FloeDltTranslator
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin


def create_ingestion_assets(
    plugin: DltIngestionPlugin,
    *,
    translator_class: type[FloeDltTranslator] = FloeDltTranslator,
    code_references: Mapping[str, Sequence[CodeReference]] | None = None,
) -> list[dg.AssetsDefinition]:
    """Create the assets of all sources of a plugin's configuration.

    Only the configuration is read: no network, database, catalog or folder is accessed.

    Args:
        plugin: The plugin that loads them.
        translator_class: Class that describes the assets; a subclass of `FloeDltTranslator`.
        code_references: Where each source is configured, by source name.

    Raises:
        PipelineConfigurationError: A source's Dagster settings are not valid.
    """
    confine_to_branch()
    references = code_references or {}
    return [
        _create_source_assets(
            translator_class(
                ConfiguredSource.read(
                    plugin, source, (*references.get(source.name, ()), *reference_factory(source))
                )
            )
        )
        for source in plugin.config.sources
    ]


def _create_source_assets(translator: FloeDltTranslator) -> dg.AssetsDefinition:
    configured = translator.configured
    source, settings = configured.source, configured.settings
    partitions = settings.partitions

    declared = configured.plugin.declare_source(source).selected_resources.values()

    # Not `@dlt_assets`, which stores dlt's objects in the metadata that the UI shows.
    @dg.multi_asset(
        name=configured.load_op_name,
        # The plugin creates a pipeline per run; one created here would leave folders behind, and
        # creating a hundred takes longer than everything else in the location.
        specs=[
            translator.get_asset_spec(DltResourceTranslatorData(resource=resource, pipeline=None))
            for resource in declared
        ],
        can_subset=True,
        partitions_def=partitions.definition() if partitions else None,
        backfill_policy=partitions.backfill_policy() if partitions else None,
        op_tags=settings.op_tags,
        pool=settings.pool or f"ingestion__{source.name}",
    )
    def load(
        context: dg.AssetExecutionContext,
        # Defines the config schema of the Launchpad; the resource reads it from the context.
        config: LoadOptions,
        dlt: FloeDltResource,
    ) -> Iterator[Any]:
        for event in dlt.run(context=context):
            yield _record_once(context, event)

    return load


def _record_once(context: dg.AssetExecutionContext, event: Any) -> Any:
    """Return an event whose metadata is recorded with the materialization alone.

    Dagster records the metadata of a `MaterializeResult` twice, also with the step's output.
    """
    if not isinstance(event, dg.MaterializeResult):
        return event
    context.add_asset_metadata(event.metadata or {}, asset_key=event.asset_key)
    return event._replace(metadata=None)
