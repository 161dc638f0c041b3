"""The Dagster resource `dlt`, which loads assets through the ingestion plugin."""

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
    """The events of a load; they already have what dagster-dlt's `fetch_row_count()` adds."""

    def __init__(self, events: Iterator[DltEventType], context: dg.AssetExecutionContext) -> None:
        # The base class uses its pipeline only for row counts, which these events already have.
        super().__init__(events, context, dlt_pipeline=None)  # type: ignore[arg-type]

    def fetch_row_count(self) -> "FloeEventIterator":
        """Return the events unchanged: each already has its table's row count, from Iceberg."""
        return self


class FloeDltResource(DagsterDltResource):
    """Loads the selected assets of a source through the ingestion plugin.

    It has no state: the assets carry their configured source, so one resource serves all sources
    of a code location.

        def assets(context: dg.AssetExecutionContext, dlt: FloeDltResource):
            yield from dlt.run(context=context)
    """

    def run(
        self,
        context: dg.OpExecutionContext | dg.AssetExecutionContext,
        # Optional, because dlt's metaclasses do not support the operator |.
        dlt_source: Optional[DltSource] = None,  # noqa: UP045
        dlt_pipeline: Optional[Pipeline] = None,  # noqa: UP045
        dagster_dlt_translator: DagsterDltTranslator | None = None,
        **kwargs: Any,
    ) -> DltEventIterator[DltEventType]:
        """Load the selected assets, with a new source and a separate working directory.

        Assets that are not translated by `FloeDltTranslator` are run by dagster-dlt.

        Args:
            context: The execution context of the assets.
            dlt_source: Only for dagster-dlt's own assets.
            dlt_pipeline: Only for dagster-dlt's own assets.
            dagster_dlt_translator: Overrides the translator of the assets.
            **kwargs: Fields of the plugin's `LoadRequest`.

        Returns:
            One `MaterializeResult` per selected asset, after the load has been published.

        Raises:
            dagster.Failure: The load failed; has its category, its table and what to do.
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
                f"The plugin creates the dlt source and pipeline of {configured.name!r} for every "
                "run; call run(context=context) without dlt_source and dlt_pipeline."
            )
            raise dg.DagsterInvariantViolationError(msg)
        if not isinstance(context, dg.AssetExecutionContext):
            msg = f"Source {configured.name!r} can only be loaded as assets, not in an op."
            raise dg.DagsterInvariantViolationError(msg)
        return FloeEventIterator(SourceRun(context, configured, kwargs).events(), context)


# Definitions.merge accepts a resource key that occurs twice only if both are the same object, and
# this package needs only one.
DLT_RESOURCE = FloeDltResource()


def start_plugin(ref: PluginRef) -> DltIngestionPlugin:
    """Load, configure and start the ingestion plugin that a platform file names.

    Args:
        ref: Type, version and configuration of the plugin.

    Raises:
        PluginError: There is no such plugin, there are two, or it rejects the configuration.
        ImportError: A package that the plugin requires is missing; says how to install it.
    """
    confine_to_branch()
    plugin = PluginRegistry().create(PluginType.INGESTION, ref)
    if not isinstance(plugin, DltIngestionPlugin):
        msg = (
            f"ingestion plugin {ref.type!r} does not use dlt, but these definitions create assets "
            "from dlt resources; use a code location that supports the plugin"
        )
        raise PluginIncompatibleError(msg)
    plugin.startup()
    return plugin


def create_ingestion_resources(ref: PluginRef) -> dict[str, Any]:
    """Create the resources that the assets of an ingestion plugin require.

    Args:
        ref: Type, version and configuration of the plugin.

    Returns:
        The resource `dlt`.
    """
    start_plugin(ref)
    return {RESOURCE_KEY: DLT_RESOURCE}


def try_create_ingestion_resources(plugins: ResolvedPlugins | None) -> dict[str, Any]:
    """Create the same resources if an ingestion plugin is configured, else none.

    Only a missing plugin configuration is ignored; every other failure is raised.

    Args:
        plugins: The plugins that a platform file resolved to.
    """
    if plugins is None or plugins.ingestion is None:
        return {}
    return create_ingestion_resources(plugins.ingestion)
