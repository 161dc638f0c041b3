"""One run of a source: from what is selected to what is shown of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring.checks.after_failure import describe_unaffected
from floe_ingestion_defs.dagster_wiring.checks.asset_checks import describe_violation
from floe_ingestion_defs.dagster_wiring.checks.audits import BlockingChecks
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.runs.failures import (
    FailedLoad,
    describe_failure,
    raise_for_retry,
)
from floe_ingestion_defs.dagster_wiring.runs.metadata import LoadedTable
from floe_ingestion_defs.dagster_wiring.runs.options import read_options
from floe_ingestion_defs.dagster_wiring.tables import load_tables
from floe_ingestion_defs.dagster_wiring.translator import resources_by_key
from floe_ingestion_defs.dlt_plugin import IngestionError, ResourceSpec, SchemaContractViolation
from floe_ingestion_defs.dlt_plugin.errors.ingestion_error import PipelineConfigurationError

Resources = dict[dg.AssetKey, ResourceSpec]


@dataclass(frozen=True)
class SourceRun:
    """One run of the selected assets of a source.

    Attributes:
        context: The context of the step.
        configured: The source, with its plugin and its settings.
        arguments: Arguments of the plugin's `load`, over those of the Launchpad.
    """

    context: dg.AssetExecutionContext
    configured: ConfiguredSource
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def events(self) -> Iterator[Any]:
        """Load, and yield a materialization for every asset whose load is published.

        Raises:
            dagster.Failure: A load failed; what others loaded was yielded before.
            dagster.RetryRequested: The step is to be run again.
        """
        failed: list[FailedLoad] = []
        told: set[dg.AssetCheckKey] = set()
        loads = list(self._loads())
        for resources in loads:
            blocking = BlockingChecks(self.configured, resources)
            try:
                yield from self._load(resources, blocking)
            except IngestionError as error:
                for broken in self._describe_broken(resources, blocking, error):
                    told.add(broken.asset_check_key)
                    yield broken
                tables = tuple(spec.table for spec in resources.values())
                failed.append(FailedLoad(error, tables))
        if failed:
            errors = [load.error for load in failed]
            raise_for_retry(self.context, self.configured.settings.retries, errors)
            yield from describe_unaffected(self.context, self.configured, told)
            raise describe_failure(failed, partial=len(failed) < len(loads)) from errors[0]

    def _describe_broken(
        self, resources: Resources, blocking: BlockingChecks, error: IngestionError
    ) -> Iterator[dg.AssetCheckEvaluation]:
        yield from blocking.describe_refused()
        if isinstance(error, SchemaContractViolation):
            yield from describe_violation(self.configured, resources, error)

    def _loads(self) -> Iterator[Resources]:
        """Yield what is loaded together: all of it, or one resource at a time."""
        selected = {
            key: self.configured.resources[name]
            for key, name in resources_by_key(self.context.assets_def).items()
            if key in self.context.selected_asset_keys
        }
        if self.configured.source.isolation == "source":
            yield selected
            return
        for key, spec in selected.items():
            yield {key: spec}

    def _load(
        self, resources: Resources, blocking: BlockingChecks
    ) -> Iterator[dg.MaterializeResult[Any]]:
        plugin = self.configured.loader
        plugin.startup()
        names = [spec.name for spec in resources.values()]
        arguments = self._arguments()
        window = (arguments["start"], arguments["end"]) if "start" in arguments else None
        pipeline = plugin.create_pipeline(
            self.configured.source, resources=names, audits=[blocking]
        )
        result = plugin.load(pipeline, **arguments)
        tables = load_tables(plugin, (spec.table for spec in resources.values()))
        for key, spec in resources.items():
            rows = result.resources[spec.name].rows_loaded
            self.context.log.info(f"{spec.table}: {rows} rows loaded")
            preview_rows = self.configured.settings.for_resource(spec.name).preview_rows
            loaded = LoadedTable(
                spec, result, tables[spec.table], preview_rows, window, self._count_partitions()
            )
            yield dg.MaterializeResult(asset_key=key, metadata=loaded.describe())

    def _count_partitions(self) -> int:
        context = self.context
        partitioned = context.has_partition_key or context.has_partition_key_range
        return len(context.partition_keys) if partitioned else 0

    def _arguments(self) -> dict[str, Any]:
        """Return the arguments of the load: those of the partition, else of the Launchpad.

        Raises:
            PipelineConfigurationError: They do not go together.
        """
        asked = {**read_options(self.context).as_arguments(), **self.arguments}
        partitions = self.configured.settings.partitions
        window = partitions.window_of(self.context) if partitions else None
        if window is None:
            return asked
        if asked:
            raise PipelineConfigurationError(
                f"a partition is loaded whole, so it goes without {', '.join(sorted(asked))}; "
                "leave that out, or launch the run without a partition",
                source_name=self.configured.name,
            )
        return {"start": window.start, "end": window.end}
