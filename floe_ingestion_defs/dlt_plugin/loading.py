"""Runs one load: extract, normalize and load, with retries.

An attempt that fails before the load step leaves nothing behind: the next one starts from the state
in Iceberg. After a failure in the load step, the next attempt continues with the same package,
which the destination's log commits at most once. The rows are extracted again only if another run
has moved the cursor in the meantime.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING, Any

import structlog

from floe_ingestion_defs.dlt_plugin.config.destination import open_configured_catalog
from floe_ingestion_defs.dlt_plugin.cursors.lost_tables import require_tables
from floe_ingestion_defs.dlt_plugin.cursors.stored import read_cursors
from floe_ingestion_defs.dlt_plugin.errors.categories import error_chain
from floe_ingestion_defs.dlt_plugin.errors.exceptions import IngestionError
from floe_ingestion_defs.dlt_plugin.errors.translation import raise_as_ingestion_error
from floe_ingestion_defs.dlt_plugin.named_tables import tables_named_by_rows
from floe_ingestion_defs.dlt_plugin.quarantine.replay import replay_source
from floe_ingestion_defs.dlt_plugin.results import (
    ColumnSources,
    LoadResult,
    NamedTable,
    ResourceResult,
)
from floe_ingestion_defs.dlt_plugin.retry import retrying
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import REJECTED_SUFFIX
from floe_ingestion_defs.dlt_plugin.table_state import TableState, read_table_state
from floe_ingestion_defs.dlt_plugin.telemetry.metrics import count_failure, count_load
from floe_ingestion_defs.dlt_plugin.telemetry.phases import PhaseClock
from floe_ingestion_defs.dlt_plugin.telemetry.tracing import traced
from floe_ingestion_defs.dlt_plugin.workspace import Workspace, make_workspace

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from dlt import Pipeline
    from dlt.common.pipeline import LoadInfo, NormalizeInfo
    from opentelemetry.trace import Span

    from floe_ingestion_defs.dlt_plugin.config.models import RetryConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline

_LOG = structlog.get_logger(__name__)
_EXTRACT_AGAIN = frozenset({"StateConflict", "LoadExpired"})


@dataclass
class _Load:
    """The progress of one load through dlt's steps.

    Attributes:
        described: Description of the load.
        phases: Measures the phases of all attempts together.
        workspace: Workspace of the current attempt; None before the first.
        normalized: Result of the normalize step; None before it.
        loaded: Result of the load step; None before it.
        known_before: Columns and data types by table, before the load.
        cursors_before: Stored cursors by resource, before the load.
    """

    described: IngestionPipeline
    phases: PhaseClock
    workspace: Workspace | None = None
    normalized: NormalizeInfo | None = None
    loaded: LoadInfo | None = None
    known_before: dict[str, dict[str, str]] = field(default_factory=dict)
    cursors_before: dict[str, Any] = field(default_factory=dict)

    def attempt(self) -> Workspace:
        """Continue where the last attempt ended, or start again if that is not possible."""
        described = self.described
        try:
            if self.workspace is None or self.normalized is None:
                self.close()
                self.workspace = make_workspace(described, self.phases)
                self._extract(self.workspace)
            with traced("ingestion.load", redactor=described.redactor):
                self.loaded = self.workspace.pipeline.load()
            return self.workspace
        except Exception as error:  # any error of a source, a driver or the catalog
            if any(type(inner).__name__ in _EXTRACT_AGAIN for inner in error_chain(error)):
                self.normalized = None
            raise_as_ingestion_error(error, described.config, described.redactor)

    def _extract(self, workspace: Workspace) -> None:
        pipeline, refresh = workspace.pipeline, self.described.request.refresh
        pipeline.activate()
        pipeline.sync_destination()
        self.known_before = _data_types(pipeline)
        self.cursors_before = self.cursors(workspace)
        if refresh is None and self.described.request.window is None:
            require_tables(pipeline, self.described.name, self.described.resources)
        source = workspace.source
        if self.described.request.replay_quarantined:
            source = replay_source(self.described, pipeline, workspace.rejections)
        with self.phases.around("extract"):
            pipeline.extract(source, refresh=refresh)
        with self.phases.around("normalize"):
            normalized = pipeline.normalize()
        self._reject_conflicts(pipeline)
        self.normalized = normalized

    def _reject_conflicts(self, pipeline: Pipeline) -> None:
        failing = [spec for spec in self.described.resources if spec.type_conflict == "fail"]
        schema = pipeline.schemas.get(pipeline.default_schema_name or "")
        if not failing or schema is None:
            return
        from floe_ingestion_defs.dlt_plugin.schema_contract.type_conflicts import (
            reject_new_variants,
        )

        for spec in failing:
            reject_new_variants(schema, spec, self.known_before)

    def cursors(self, workspace: Workspace) -> dict[str, Any]:
        """Return the stored cursor of each resource."""
        return read_cursors(workspace.pipeline, self.described.name, self.described.resources)

    def close(self) -> None:
        """Remove the workspace of the current attempt."""
        if self.workspace is not None:
            self.workspace.remove()


def describe_pipeline(pipeline: IngestionPipeline) -> dict[str, str]:
    """Return the attributes of the span around a load."""
    tables = [spec.table for spec in pipeline.resources]
    return {
        "ingestion.source_name": pipeline.name,
        "ingestion.source_type": pipeline.config.source_type,
        "ingestion.destination_table": (
            tables[0] if len(tables) == 1 else pipeline.config.destination_table
        ),
        "ingestion.write_mode": pipeline.config.write_mode,
    }


def describe_result(span: Span, result: LoadResult) -> None:
    """Set the result of a load as attributes of the span around it."""
    span.set_attribute("ingestion.rows_loaded", result.rows_loaded)
    span.set_attribute("ingestion.bytes_written", result.bytes_written)
    span.set_attribute("ingestion.duration_seconds", result.duration_seconds)
    span.set_attribute("ingestion.load_id", ",".join(result.load_ids))


def load_together(pipeline: IngestionPipeline, retry_config: RetryConfig) -> LoadResult:
    """Load the resources of a pipeline in one load: either all of them or none.

    Args:
        pipeline: The pipeline.
        retry_config: How a failed load is retried.

    Raises:
        IngestionError: The load failed; no data was published.
    """
    started = time.monotonic()
    attributes = describe_pipeline(pipeline)
    log = _LOG.bind(source=pipeline.name, table=attributes["ingestion.destination_table"])
    one = _Load(pipeline, PhaseClock(pipeline.redactor))
    with traced("ingestion.run", attributes, pipeline.redactor) as span:
        log.info("load started", resources=[spec.name for spec in pipeline.resources])
        try:
            for attempt in retrying(retry_config, pipeline.name):
                with attempt:
                    workspace = one.attempt()
            result = _result(one, workspace)
        except IngestionError as error:
            category = str(error.category)
            count_failure(attributes, category, time.monotonic() - started)
            log.error("load failed", category=category, error=str(error))
            raise
        finally:
            one.close()
        result.duration_seconds = time.monotonic() - started
        count_load(attributes, result.rows_loaded, result.bytes_written, result.duration_seconds)
        describe_result(span, result)
    _log_schema_and_rejections(log, result)
    log.info(
        "load finished",
        rows_loaded=result.rows_loaded,
        load_ids=result.load_ids,
        seconds=round(result.duration_seconds, 3),
    )
    return result


def _log_schema_and_rejections(log: Any, result: LoadResult) -> None:
    for table, columns in result.schema_changes.items():
        log.info("schema evolved", changed_table=table, columns=columns)
    for resource in result.resources.values():
        for file, reason in resource.rejected.files.items():
            log.error("file quarantined", resource=resource.resource, file=file, reason=reason)
        if resource.rejected.superseded:
            log.warning(
                "quarantined rows were removed: a later load has loaded newer versions of them",
                resource=resource.resource,
                rows=resource.rejected.superseded,
            )
        if resource.rejected.rows or resource.rejected.values_by_column:
            log.error(
                "schema contract rejected data",
                resource=resource.resource,
                rows=dict(resource.rejected.rows_by_reason),
                values=dict(resource.rejected.values_by_column),
            )


def _result(load: _Load, workspace: Workspace) -> LoadResult:
    rows = _rows_by_table(load.normalized)
    load_ids = list(load.loaded.loads_ids) if load.loaded is not None else []
    result = LoadResult(
        success=True,
        rows_loaded=sum(n for table, n in rows.items() if not table.endswith(REJECTED_SUFFIX)),
        bytes_written=_bytes_written(load.loaded),
        load_ids=load_ids,
        table_rows=rows,
        schema_changes=_schema_changes(load.known_before, _data_types(workspace.pipeline)),
        phase_seconds=dict(load.phases.seconds),
    )
    cursors_after = load.cursors(workspace)
    named = _named_tables(workspace, load.described.resources)
    states = _table_states(load.described, load_ids, chain(*named.values()))
    unknown = TableState(None, None, None)
    for spec in load.described.resources:
        state = states.get(spec.table, unknown)
        others = tuple(
            NamedTable(
                table,
                rows.get(table.rpartition(".")[2], 0),
                states.get(table, unknown).total_rows,
                states.get(table, unknown).snapshot_id,
            )
            for table in named[spec.name]
        )
        result.resources[spec.name] = ResourceResult(
            resource=spec.name,
            table=spec.table,
            rows_loaded=rows.get(spec.table_name, 0) + sum(other.rows_loaded for other in others),
            total_rows=_sum([state.total_rows, *(other.total_rows for other in others)]),
            snapshot_id=state.snapshot_id,
            previous_snapshot_id=state.previous_snapshot_id,
            rejected=workspace.rejections[spec.name],
            cursor_before=load.cursors_before.get(spec.name),
            cursor_after=cursors_after.get(spec.name),
            source_columns=_source_columns(workspace, spec),
            named_tables=others,
        )
    return result


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _named_tables(
    workspace: Workspace, specs: Iterable[ResourceSpec]
) -> dict[str, tuple[str, ...]]:
    """Return the tables that the rows of each resource name, as `namespace.table`."""
    pipeline = workspace.pipeline
    schema = pipeline.schemas.get(pipeline.default_schema_name or "")
    return {
        spec.name: tuple(
            f"{spec.namespace}.{table}"
            for table in (tables_named_by_rows(schema.tables, spec) if schema is not None else ())
        )
        for spec in specs
    }


def _source_columns(workspace: Workspace, spec: ResourceSpec) -> ColumnSources:
    pipeline = workspace.pipeline
    schema = pipeline.schemas.get(pipeline.default_schema_name or "")
    if schema is None or spec.name not in workspace.source_columns:
        return ColumnSources()
    table = schema.tables.get(schema.naming.normalize_tables_path(spec.table_name), {})
    return workspace.source_columns[spec.name].of_table(table.get("columns", {}), schema.naming)


def _table_states(
    pipeline: IngestionPipeline, load_ids: list[str], named: Iterable[str]
) -> dict[str, TableState]:
    """Return the state of the tables; a failure to read it does not fail a committed load."""
    try:
        catalog = open_configured_catalog(pipeline.destination)
        return {
            table: read_table_state(catalog, table, load_ids)
            for table in (*(spec.table for spec in pipeline.resources), *named)
        }
    except Exception as error:  # any error of the catalog: the load itself has succeeded
        _LOG.warning(
            "load succeeded, but the state of its tables could not be read",
            source=pipeline.name,
            error=f"{type(error).__name__}: {pipeline.redactor.clean(str(error))}",
        )
        return {}


def _rows_by_table(normalized: NormalizeInfo | None) -> dict[str, int]:
    if normalized is None:
        return {}
    counts: dict[str, Any] = dict(normalized.row_counts)
    return {table: int(rows) for table, rows in counts.items() if not table.startswith("_dlt_")}


def _data_types(pipeline: Pipeline) -> dict[str, dict[str, str]]:
    """Return the columns of all data tables that a pipeline knows, with dlt's data types."""
    schema = pipeline.schemas.get(pipeline.default_schema_name or "")
    tables = {} if schema is None else schema.tables
    return {
        name: {
            column: str(hints["data_type"])
            for column, hints in table["columns"].items()
            if hints.get("data_type")
        }
        for name, table in tables.items()
        if not name.startswith("_dlt_")
    }


def _schema_changes(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> dict[str, dict[str, str]]:
    changes = {
        table: {
            column: data_type
            for column, data_type in columns.items()
            if before.get(table, {}).get(column) != data_type
        }
        for table, columns in after.items()
    }
    return {table: columns for table, columns in changes.items() if columns}


def _bytes_written(loaded: LoadInfo | None) -> int:
    if loaded is None:
        return 0
    return sum(
        job.file_size
        for package in loaded.load_packages
        for job in package.jobs.get("completed_jobs", ())
        if not job.job_file_info.table_name.startswith("_dlt_")
        and job.job_file_info.file_format != "reference"
    )
