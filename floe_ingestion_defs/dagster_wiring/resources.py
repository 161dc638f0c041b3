"""The Dagster resource `dlt`, through which every load of an asset takes the plugin's path."""

from collections.abc import Iterator
from typing import Any, Optional

import dagster as dg
from dagster_dlt import DagsterDltResource, DagsterDltTranslator
from dagster_dlt.dlt_event_iterator import DltEventIterator, DltEventType
from dlt import Pipeline
from dlt.extract.source import DltSource

from floe_ingestion_defs.contracts import (
    PluginIncompatibleError,
    PluginRef,
    PluginRegistry,
    PluginType,
    ResolvedPlugins,
)
from floe_ingestion_defs.dagster_wiring.deployment import confine_to_branch
from floe_ingestion_defs.dagster_wiring.runs.loads import SourceRun
from floe_ingestion_defs.dagster_wiring.translator import FloeDltTranslator, configured_source_of
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

RESOURCE_KEY = "dlt"


class FloeEventIterator(DltEventIterator[DltEventType]):
    """The events of a load; `fetch_row_count()` is known from dagster-dlt and already done."""

    def __init__(self, events: Iterator[DltEventType], context: dg.AssetExecutionContext) -> None:
        # The base class asks its pipeline for row counts only, which these events bring along.
        super().__init__(events, context, dlt_pipeline=None)  # type: ignore[arg-type]

    def fetch_row_count(self) -> "FloeEventIterator":
        """Return the events as they are: each one has its table's row count, from Iceberg."""
        return self


class FloeDltResource(DagsterDltResource):
    """Loads the selected assets of a source through the ingestion plugin.

    It has no state: the configured source comes with the assets, so one resource serves every
    source of a code location.

        def assets(context: dg.AssetExecutionContext, dlt: FloeDltResource):
            yield from dlt.run(context=context)
    """

    def run(
        self,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        # Optional, because dlt's metaclasses do not know the operator |.
        dlt_source: Optional[DltSource] = None,  # noqa: UP045
        dlt_pipeline: Optional[Pipeline] = None,  # noqa: UP045
        dagster_dlt_translator: DagsterDltTranslator | None = None,
        **kwargs: Any,
    ) -> DltEventIterator[DltEventType]:
        """Load what is selected, with a fresh source and a working directory of its own.

        Assets that are not translated by `FloeDltTranslator` are run as dagster-dlt runs them.

        Args:
            context: The execution context of the assets.
            dlt_source: Only for dagster-dlt's own assets.
            dlt_pipeline: Only for dagster-dlt's own assets.
            dagster_dlt_translator: Overrides the translator that the assets were made with.
            **kwargs: Fields of the plugin's `LoadRequest`.

        Returns:
            One `MaterializeResult` per selected asset, after the load has been published.

        Raises:
            dagster.Failure: The load failed; says its category, its table and what to do.
        """
        configured = None
        if isinstance(dagster_dlt_translator, FloeDltTranslator):
            configured = dagster_dlt_translator.configured
        elif dagster_dlt_translator is None and isinstance(context, dg.AssetExecutionContext):
            configured = configured_source_of(context.assets_def)
        if configured is None:
            return super().run(context, dlt_source, dlt_pipeline, dagster_dlt_translator, **kwargs)
        if dlt_source is not None or dlt_pipeline is not None:
            msg = (
                f"The plugin makes source and pipeline of {configured.name!r} for every run; "
                "call run(context=context) without dlt_source and dlt_pipeline."
            )
            raise dg.DagsterInvariantViolationError(msg)
        if not isinstance(context, dg.AssetExecutionContext):
            msg = f"Source {configured.name!r} is loaded as assets, not in an op."
            raise dg.DagsterInvariantViolationError(msg)
        return FloeEventIterator(SourceRun(context, configured, kwargs).events(), context)


# Definitions.merge takes one resource under one key only if it is one object, and everything in
# this package needs no more than one.
DLT_RESOURCE = FloeDltResource()


def start_plugin(ref: PluginRef) -> DltIngestionPlugin:
    """Load the ingestion plugin that a platform file names, configure it and start it.

    Args:
        ref: Type, version and configuration of the plugin.

    Raises:
        PluginError: There is no such plugin, there are two, or it refuses the configuration.
        ImportError: The plugin lacks an extra; says which to install.
    """
    confine_to_branch()
    plugin = PluginRegistry().create(PluginType.INGESTION, ref)
    if not isinstance(plugin, DltIngestionPlugin):
        msg = (
            f"ingestion plugin {ref.type!r} does not load with dlt, while this wiring makes "
            "assets of dlt's resources; use a code location that was written for it"
        )
        raise PluginIncompatibleError(msg)
    plugin.startup()
    return plugin


def create_ingestion_resources(ref: PluginRef) -> dict[str, Any]:
    """Make the resources that the assets of an ingestion plugin need.

    Args:
        ref: Type, version and configuration of the plugin.

    Returns:
        The resource `dlt`.
    """
    start_plugin(ref)
    return {RESOURCE_KEY: DLT_RESOURCE}


def try_create_ingestion_resources(plugins: ResolvedPlugins | None) -> dict[str, Any]:
    """Make the same resources where an ingestion plugin is configured, else none.

    Only the absence of a configured plugin is passed over; whatever else fails is raised.

    Args:
        plugins: The plugins that a platform file resolved to.
    """
    if plugins is None or plugins.ingestion is None:
        return {}
    return create_ingestion_resources(plugins.ingestion)
