"""One run of a source: from the selected assets to their materializations."""

import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring.checks.after_failure import describe_unaffected
from floe_ingestion_defs.dagster_wiring.checks.asset_checks import describe_violation
from floe_ingestion_defs.dagster_wiring.checks.audits import BlockingChecks
from floe_ingestion_defs.dagster_wiring.checks.partitions import partition_keys_of
from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.runs.column_lineage import LineageSource
from floe_ingestion_defs.dagster_wiring.runs.failures import (
    FailedLoad,
    describe_failure,
    raise_for_retry,
)
from floe_ingestion_defs.dagster_wiring.runs.metadata import LoadedTable
from floe_ingestion_defs.dagster_wiring.runs.options import read_options
from floe_ingestion_defs.dagster_wiring.tables import load_tables
from floe_ingestion_defs.dagster_wiring.translator import resources_by_key
from floe_ingestion_defs.dagster_wiring.upstream import upstream_key
from floe_ingestion_defs.dlt_plugin import (
    IngestionError,
    LoadRequest,
    LoadResult,
    ResourceSpec,
    SchemaContractViolation,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError

Resources = dict[dg.AssetKey, ResourceSpec]


@dataclass(frozen=True)
class SourceRun:
    """One run of the selected assets of a source.

    Attributes:
        context: The context of the step.
        configured: The source, with its plugin and its settings.
        arguments: Fields of the plugin's `LoadRequest`, which override those of the Launchpad.
    """

    context: dg.AssetExecutionContext
    configured: ConfiguredSource
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def events(self) -> Iterator[Any]:
        """Load, and yield a materialization for every asset whose load is published.

        Raises:
            dagster.Failure: A load failed; the materializations of the others were yielded before.
            dagster.RetryRequested: The step is to be retried.
        """
        selected = self._selected()
        blocking = BlockingChecks(self.configured, selected)
        failed: list[FailedLoad] = []
        reported: set[dg.AssetCheckKey] = set()
        loads = 0
        for resources, result in self._load_each(selected, blocking):
            loads += 1
            if isinstance(result, LoadResult):
                yield from self._materialize(resources, result)
                continue
            for broken in self._describe_broken(resources, blocking, result):
                if broken.asset_check_key not in reported:
                    reported.add(broken.asset_check_key)
                    yield broken
            tables = tuple(spec.table for spec in resources.values())
            failed.append(FailedLoad(result, tables))
        if failed:
            errors = [load.error for load in failed]
            raise_for_retry(self.context, self.configured.settings.retries, errors)
            yield from describe_unaffected(self.context, self.configured, reported)
            for error in errors:
                # The failure says what a person needs; its stack traces are for the developer.
                self.context.log.debug("".join(traceback.format_exception(error)))
            raise describe_failure(failed, partial=len(failed) < loads)

    def _describe_broken(
        self, resources: Resources, blocking: BlockingChecks, error: IngestionError
    ) -> Iterator[dg.AssetCheckEvaluation]:
        yield from blocking.describe_failed(partition_keys_of(self.context))
        if isinstance(error, SchemaContractViolation):
            yield from describe_violation(self.configured, resources, error)

    def _selected(self) -> Resources:
        return {
            key: self.configured.resources[name]
            for key, name in resources_by_key(self.context.assets_def).items()
            if key in self.context.selected_asset_keys
        }

    def _load_each(
        self, selected: Resources, blocking: BlockingChecks
    ) -> Iterator[tuple[Resources, LoadResult | IngestionError]]:
        """Yield the outcome of each load, with the assets that it was to load."""
        plugin = self.configured.loader
        plugin.startup()
        try:
            pipeline = plugin.create_pipeline(
                self.configured.source,
                resources=[spec.name for spec in selected.values()],
                audits=[blocking],
                request=self._request,
            )
        except IngestionError as error:
            yield selected, error
            return
        for outcome in plugin.load_each(pipeline):
            names = {spec.name for spec in outcome.resources}
            resources = {key: spec for key, spec in selected.items() if spec.name in names}
            yield resources, outcome.result

    def _materialize(
        self, resources: Resources, result: LoadResult
    ) -> Iterator[dg.MaterializeResult[Any]]:
        tables = load_tables(self.configured.plugin, (spec.table for spec in resources.values()))
        for key, spec in resources.items():
            rows = result.resources[spec.name].rows_loaded
            self.context.log.info("%s: %s rows loaded", spec.table, rows)
            preview_rows = self.configured.settings.for_resource(spec.name).preview_rows
            loaded = LoadedTable(
                spec,
                result,
                self._request,
                tables[spec.table],
                preview_rows,
                len(partition_keys_of(self.context)),
                self._lineage_of(key, spec),
            )
            yield dg.MaterializeResult(asset_key=key, metadata=loaded.describe())

    def _lineage_of(self, key: dg.AssetKey, spec: ResourceSpec) -> LineageSource | None:
        upstream = upstream_key(self.configured, spec.name)
        # A subclass of the translator may have removed it.
        if upstream is None or upstream not in self.context.assets_def.asset_deps[key]:
            return None
        return LineageSource(key, upstream, self.context.instance)

    @cached_property
    def _request(self) -> LoadRequest:
        """The load request: the window of the partition, else the options of the Launchpad.

        Raises:
            PipelineConfigurationError: They cannot be combined.
        """
        asked = {**read_options(self.context).as_arguments(), **self.arguments}
        partitions = self.configured.settings.partitions
        window = partitions.window_of(self.context) if partitions else None
        if window is None:
            return LoadRequest(**asked)
        if asked:
            msg = (
                f"a run of a partition loads it completely and cannot be combined with "
                f"{', '.join(sorted(asked))}; remove that, or launch the run without a partition"
            )
            raise PipelineConfigurationError(
                msg,
                source_name=self.configured.name,
            )
        return LoadRequest(start=window.start, end=window.end)
