"""The workspace of one attempt of a load: dlt's pipeline and source, in a separate directory."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.dlt_plugin.cursors.incremental import overwrite_window
from floe_ingestion_defs.dlt_plugin.hints import (
    apply_spec,
    assemble_source,
    declare_resources,
)
from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections
from floe_ingestion_defs.dlt_plugin.sources import SOURCE_TYPES
from floe_ingestion_defs.dlt_plugin.telemetry.arrow_hints import drop_warnings_about_hints

if TYPE_CHECKING:
    from collections.abc import Mapping

    from dlt import Pipeline
    from dlt.extract import DltSource

    from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline
    from floe_ingestion_defs.dlt_plugin.sources.source_columns import SourceColumns
    from floe_ingestion_defs.dlt_plugin.telemetry.phases import PhaseClock


@dataclass(frozen=True)
class Workspace:
    """dlt's pipeline and source of a load, until it ends or starts again.

    Attributes:
        directory: The working directory; no other load shares it, because of dlt's issue 1102.
        pipeline: dlt's pipeline, named after the source.
        source: dlt's source with the selected resources.
        rejections: Rejected rows, values and files, by resource.
        source_columns: The columns of the extracted rows, by resource.
    """

    directory: Path
    pipeline: Pipeline
    source: DltSource
    rejections: Mapping[str, Rejections]
    source_columns: Mapping[str, SourceColumns]

    def remove(self) -> None:
        """Remove the working directory: no state is stored outside Iceberg."""
        shutil.rmtree(self.directory, ignore_errors=True)


def make_workspace(described: IngestionPipeline, phases: PhaseClock) -> Workspace:
    """Create dlt's pipeline and source.

    Args:
        described: Description of the load.
        phases: Measures the phases of the load.

    Raises:
        PipelineConfigurationError: The source does not support the request.
    """
    rejections = {spec.name: Rejections() for spec in described.resources}
    columns: dict[str, SourceColumns] = {}
    source = _build_source(described, rejections, columns)
    directory = Path(tempfile.mkdtemp(prefix=f"floe-{described.name}-"))
    pipeline = _build_pipeline(described, directory, phases)
    return Workspace(directory, pipeline, source, rejections, columns)


def _build_source(
    described: IngestionPipeline,
    rejections: Mapping[str, Rejections],
    columns: dict[str, SourceColumns],
) -> DltSource:
    from floe_ingestion_defs.dlt_plugin.cursors.checks import check_cursor
    from floe_ingestion_defs.dlt_plugin.load_ids import add_load_ids
    from floe_ingestion_defs.dlt_plugin.named_tables import make_named_tables_known
    from floe_ingestion_defs.dlt_plugin.row_versions import version_rows
    from floe_ingestion_defs.dlt_plugin.schema_contract.gate import (
        guard_resource,
        separate_rejected_rows,
    )
    from floe_ingestion_defs.dlt_plugin.schema_contract.models import take_model, validate_by_model
    from floe_ingestion_defs.dlt_plugin.schema_contract.out_of_range import (
        handle_out_of_range_dates,
    )
    from floe_ingestion_defs.dlt_plugin.schema_contract.type_conflicts import handle_type_conflicts
    from floe_ingestion_defs.dlt_plugin.sources.nested_values import keep_nested_values
    from floe_ingestion_defs.dlt_plugin.sources.source_columns import record_columns

    source, specs, request = described.resolved, described.resources, described.request
    if request.replay_quarantined:  # Nothing of the source is read.
        return assemble_source(source, declare_resources(specs))
    kind = SOURCE_TYPES[source.source_type]
    specs = tuple(kind.resolve(source, described.options, specs))
    resources = kind.build(source, described.options, specs, request, rejections)
    by_name = {spec.name: spec for spec in specs}
    for resource in resources:
        if resource.name in by_name:
            spec = by_name[resource.name]
            model = take_model(resource)
            apply_spec(resource, spec, source.source_type)
            validate_by_model(resource, model, spec, rejections[spec.name])
            columns[spec.name] = record_columns(resource)
            check_cursor(resource, spec)
            handle_out_of_range_dates(resource, spec, rejections[spec.name])
            if spec.quarantines:
                separate_rejected_rows(resource, spec)
            if spec.keeps_nested and source.source_type != "filesystem":
                keep_nested_values(resource, spec)
            guard_resource(resource, spec, rejections[spec.name])
            handle_type_conflicts(resource, spec)
            make_named_tables_known(resource)
            version_rows(resource, spec)
            add_load_ids(resource, spec)
            overwrite_window(resource, spec, request)
    return assemble_source(source, resources, specs).with_resources(*by_name)


def _build_pipeline(described: IngestionPipeline, directory: Path, phases: PhaseClock) -> Pipeline:
    import dlt
    from dlt.common.destination.configuration import ParquetFormatConfiguration

    from floe_ingestion_defs.destinations import iceberg

    drop_warnings_about_hints()
    options: dict[str, Any] = {}
    if any(spec.keeps_nested for spec in described.resources):
        # The tables of one load may have different fields, and are then written to several files.
        options["parquet_format"] = ParquetFormatConfiguration(
            version="2.6", arrow_concat_promote_options="default"
        )
    return dlt.pipeline(
        pipeline_name=described.name,
        pipelines_dir=str(directory),
        destination=iceberg(
            **described.destination,
            **options,
            audits=described.audits,
            around_phase=phases.around,
        ),
        dataset_name=described.resources[0].namespace,
    )
