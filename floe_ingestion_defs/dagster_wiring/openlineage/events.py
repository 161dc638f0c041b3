"""Translates the event log of a run into OpenLineage's events.

A run has a `START` event and one that ends it, whose outputs are the tables that it loaded; the
checks of its tables are a job of their own, as the facet of assertions is one of inputs.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import dagster as dg
from dagster_openlineage.facets import (
    build_data_quality_assertions_facet,
    build_error_message_facet,
    build_nominal_time_facet,
    build_schema_facet,
)
from dagster_openlineage.utils import to_utc_iso_8601
from openlineage.client.event_v2 import (
    InputDataset,
    Job,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.facet_v2 import (
    catalog_dataset,
    column_lineage_dataset,
    dataset_version_dataset,
    job_type_job,
    output_statistics_output_dataset,
    parent_run,
    storage_dataset,
    symlinks_dataset,
)

from floe_ingestion_defs.dagster_wiring.configured_source import ConfiguredSource
from floe_ingestion_defs.dagster_wiring.openlineage.naming import (
    DatasetName,
    name_of_location,
    name_of_source,
    without_credentials,
)
from floe_ingestion_defs.dlt_plugin import ResourceSpec

PRODUCER = "https://github.com/floe-ingestion/floe-ingestion-defs"
_ENDS = {
    dg.DagsterEventType.RUN_SUCCESS: RunState.COMPLETE,
    dg.DagsterEventType.RUN_FAILURE: RunState.FAIL,
    dg.DagsterEventType.RUN_CANCELED: RunState.ABORT,
}
_STATISTICS = {"rowCount": "rows_loaded", "size": "bytes_added", "fileCount": "files_added"}


@dataclass(frozen=True)
class LoadedAsset:
    """An ingestion asset, as OpenLineage sees it.

    Attributes:
        key: The asset.
        upstream: The external asset that it is loaded from; None if disabled.
        configured: Its source.
        resource: Its resource.
    """

    key: dg.AssetKey
    upstream: dg.AssetKey | None
    configured: ConfiguredSource
    resource: ResourceSpec

    @cached_property
    def source_name(self) -> DatasetName | None:
        """The name of the dataset that it is loaded from."""
        return name_of_source(self.configured, self.resource.name)

    @cached_property
    def catalog(self) -> Mapping[str, Any]:
        """The arguments of the destination, which describe the catalog."""
        plugin = self.configured.plugin
        return plugin.get_destination_config(plugin.config.catalog_config)


@dataclass(frozen=True)
class RunLineage:
    """The lineage of one run.

    Attributes:
        run: The run.
        assets: The ingestion assets of the location, by key.
        namespace: Namespace of jobs, and of datasets whose own name is not known.
        instance: Dagster's instance, which has the event log of the run.
    """

    run: dg.DagsterRun
    assets: Mapping[dg.AssetKey, LoadedAsset]
    namespace: str
    instance: dg.DagsterInstance

    def events(self, change: dg.DagsterEventType, timestamp: float) -> Iterator[RunEvent]:
        """Yield the events of a change of the run's status; none for runs without our assets.

        Args:
            change: The change.
            timestamp: When it was, as a Unix timestamp in seconds.
        """
        planned = self._planned()
        outputs = [
            self._output(self.assets[event.asset_key], event.step_materialization_data)
            for event in self._of_type(dg.DagsterEventType.ASSET_MATERIALIZATION)
            if event.asset_key is not None and event.asset_key in self.assets
        ]
        if planned:
            state = _ENDS.get(change, RunState.START)
            inputs = [dataset for key in planned if (dataset := self._input(self.assets[key]))]
            unique = {(dataset.namespace, dataset.name): dataset for dataset in inputs}
            facets = self._run_facets(change)
            yield self._event(
                state, timestamp, self.run.run_id, self.run.job_name, facets,
                [*unique.values()], outputs,
            )  # fmt: skip
        if change in _ENDS:
            yield from self._checks(timestamp)

    def _event(
        self,
        state: RunState,
        timestamp: float,
        run_id: str,
        job: str,
        facets: Mapping[str, Any],
        inputs: list[InputDataset],
        outputs: list[OutputDataset],
    ) -> RunEvent:
        kind = job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="DAGSTER", jobType="JOB"
        )
        return RunEvent(
            eventType=state,
            eventTime=to_utc_iso_8601(timestamp),
            run=Run(runId=run_id, facets=dict(facets)),
            job=Job(namespace=self.namespace, name=job, facets={"jobType": kind}),
            producer=PRODUCER,
            inputs=inputs,
            outputs=outputs,
        )

    def _of_type(self, kind: dg.DagsterEventType) -> list[dg.DagsterEvent]:
        entries = self.instance.all_logs(self.run.run_id, of_type=kind)
        return [entry.dagster_event for entry in entries if entry.dagster_event is not None]

    def _planned(self) -> list[dg.AssetKey]:
        events = self._of_type(dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED)
        keys = dict.fromkeys(event.asset_key for event in events)
        return [key for key in keys if key is not None and key in self.assets]

    def _run_facets(self, change: dg.DagsterEventType) -> dict[str, Any]:
        facets: dict[str, Any] = {}
        if nominal := build_nominal_time_facet(self.run.tags.get("dagster/partition")):
            facets["nominalTime"] = nominal
        if change is dg.DagsterEventType.RUN_FAILURE:
            failures = self._of_type(dg.DagsterEventType.STEP_FAILURE)
            reasons = [
                failure.description
                for event in failures
                if (failure := event.step_failure_data.user_failure_data) and failure.description
            ]
            # Other errors may contain secrets; what a load reports does not.
            message = "\n".join(reasons) or "the run failed; its log in Dagster says why"
            facets["errorMessage"] = build_error_message_facet(message=message)
        return facets

    def _input(self, asset: LoadedAsset) -> InputDataset | None:
        name = self._source_name(asset)
        return InputDataset(name.namespace, name.name) if name else None

    def _source_name(self, asset: LoadedAsset) -> DatasetName | None:
        if asset.source_name is not None or asset.upstream is None:
            return asset.source_name
        return DatasetName(self.namespace, "/".join(asset.upstream.path))

    def _output(self, asset: LoadedAsset, data: Any) -> OutputDataset:
        metadata = data.materialization.metadata
        name = self._table_name(asset, metadata)
        facets = {**self._table_facets(asset), **self._column_facets(asset, metadata)}
        if snapshot := _value(metadata, "snapshot_id"):
            version = dataset_version_dataset.DatasetVersionDatasetFacet(str(snapshot))
            facets["version"] = version
        numbers = {field: _value(metadata, key) for field, key in _STATISTICS.items()}
        statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(**numbers)
        return OutputDataset(
            namespace=name.namespace,
            name=name.name,
            facets=facets,
            outputFacets={"outputStatistics": statistics},
        )

    def _table_name(self, asset: LoadedAsset, metadata: Mapping[str, Any]) -> DatasetName:
        location = _value(metadata, "dagster/uri")
        if location:
            return name_of_location(str(location))
        catalog = without_credentials(str(asset.catalog.get("catalog_uri", "")))
        return DatasetName(catalog or self.namespace, asset.resource.table)

    def _table_facets(self, asset: LoadedAsset) -> dict[str, Any]:
        catalog = asset.catalog
        uri = without_credentials(str(catalog.get("catalog_uri", "")))
        link = symlinks_dataset.Identifier(uri or self.namespace, asset.resource.table, "TABLE")
        return {
            "symlinks": symlinks_dataset.SymlinksDatasetFacet([link]),
            "storage": storage_dataset.StorageDatasetFacet("iceberg", "parquet"),
            "catalog": catalog_dataset.CatalogDatasetFacet(
                framework="iceberg",
                type=str(catalog.get("catalog_type", "unknown")),
                name=str(catalog.get("catalog_name", "")),
                metadataUri=uri or None,
            ),
        }

    def _column_facets(self, asset: LoadedAsset, metadata: Mapping[str, Any]) -> dict[str, Any]:
        facets: dict[str, Any] = {}
        schema = metadata.get("dagster/column_schema")
        if isinstance(schema, dg.TableSchemaMetadataValue):
            facets["schema"] = build_schema_facet(schema.schema)
        lineage, source = metadata.get("dagster/column_lineage"), self._source_name(asset)
        if source and isinstance(lineage, dg.TableColumnLineageMetadataValue):
            fields = {
                column: column_lineage_dataset.Fields(
                    [
                        column_lineage_dataset.InputField(
                            source.namespace, source.name, dep.column_name
                        )
                        for dep in deps
                    ]
                )
                for column, deps in lineage.column_lineage.deps_by_column.items()
                if deps
            }
            facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(fields)
        return facets

    def _checks(self, timestamp: float) -> Iterator[RunEvent]:
        """Yield the event of the job of a run's checks, as assertions about its tables."""
        found: dict[dg.AssetKey, list[dg.AssetCheckEvaluation]] = {}
        for event in self._of_type(dg.DagsterEventType.ASSET_CHECK_EVALUATION):
            evaluation = event.asset_check_evaluation_data
            if evaluation.asset_key in self.assets:
                found.setdefault(evaluation.asset_key, []).append(evaluation)
        if not found:
            return
        parent = parent_run.ParentRunFacet(
            run=parent_run.Run(self.run.run_id),
            job=parent_run.Job(self.namespace, self.run.job_name),
        )
        yield self._event(
            RunState.COMPLETE,
            timestamp,
            str(uuid5(NAMESPACE_URL, f"{self.run.run_id}/checks")),
            f"{self.run.job_name}.checks",
            {"parent": parent},
            [self._checked(self.assets[key], found[key]) for key in sorted(found)],
            [],
        )

    def _checked(
        self, asset: LoadedAsset, evaluations: Iterable[dg.AssetCheckEvaluation]
    ) -> InputDataset:
        event = self.instance.get_latest_materialization_event(asset.key)
        materialization = None if event is None else event.asset_materialization
        name = self._table_name(asset, materialization.metadata if materialization else {})
        assertions = build_data_quality_assertions_facet(evaluations)
        return InputDataset(
            namespace=name.namespace,
            name=name.name,
            facets=self._table_facets(asset),
            inputFacets={"dataQualityAssertions": assertions},
        )


def _value(metadata: Mapping[str, Any], name: str) -> Any:
    found = metadata.get(name)
    return None if found is None else found.value
