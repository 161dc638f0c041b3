"""Loads an isolated source: one load per resource, so that a failing one does not block others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_ingestion_defs.dlt_plugin.errors.categories import (
    categorize_error,
    category_of_failures,
)
from floe_ingestion_defs.dlt_plugin.errors.exceptions import (
    IngestionError,
    ResourceLoadsFailed,
)
from floe_ingestion_defs.dlt_plugin.loading import (
    describe_pipeline,
    describe_result,
    load_together,
)
from floe_ingestion_defs.dlt_plugin.results import LoadResult
from floe_ingestion_defs.dlt_plugin.telemetry.tracing import traced

if TYPE_CHECKING:
    from collections.abc import Iterator

    from floe_ingestion_defs.dlt_plugin.config.models import RetryConfig
    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline


@dataclass(frozen=True)
class LoadOutcome:
    """The outcome of one of a pipeline's loads.

    Attributes:
        resources: The resources that it was to load.
        result: The result, or the error after all retries.
    """

    resources: tuple[ResourceSpec, ...]
    result: LoadResult | IngestionError


def load_each(pipeline: IngestionPipeline, retry_config: RetryConfig) -> Iterator[LoadOutcome]:
    """Run the loads of a pipeline one after another, and yield the outcome of each.

    Args:
        pipeline: The pipeline.
        retry_config: How failed loads are retried.
    """
    for one in pipeline.loads():
        try:
            result: LoadResult | IngestionError = load_together(one, retry_config)
        except IngestionError as error:
            if len(one.resources) == 1:
                error.destination_table = one.resources[0].table
            result = error
        yield LoadOutcome(one.resources, result)


def load(pipeline: IngestionPipeline, retry_config: RetryConfig) -> LoadResult:
    """Load a pipeline's source: in one load, or in one per resource if it is isolated.

    Args:
        pipeline: The pipeline.
        retry_config: How failed loads are retried.

    Raises:
        ResourceLoadsFailed: Resources of an isolated source were not loaded; has the result of
            the others.
        IngestionError: The load failed; no data was published.
    """
    loads = pipeline.loads()
    if len(loads) == 1:
        return load_together(loads[0], retry_config)
    with traced("ingestion.run", describe_pipeline(pipeline), pipeline.redactor) as span:
        result = LoadResult(success=True)
        failed: dict[str, IngestionError] = {}
        for outcome in load_each(pipeline, retry_config):
            if isinstance(outcome.result, LoadResult):
                result.include(outcome.result)
            else:
                (spec,) = outcome.resources
                failed[spec.name] = outcome.result
        if failed:
            raise _failure(pipeline, result, failed) from next(iter(failed.values()))
        describe_result(span, result)
    return result


def _failure(
    pipeline: IngestionPipeline, result: LoadResult, failed: dict[str, IngestionError]
) -> ResourceLoadsFailed:
    reasons = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
    loaded = f"loaded: {', '.join(result.resources) or 'none'}"
    error = ResourceLoadsFailed(
        f"{len(failed)} of {len(pipeline.resources)} resources failed ({loaded}). {reasons}",
        failed=failed,
        result=result,
        source_name=pipeline.name,
        source_type=pipeline.config.source_type,
        destination_table=", ".join(error.destination_table for error in failed.values()),
        pipeline_name=pipeline.name,
    )
    errors = list(failed.values())
    error.category = category_of_failures(errors, partial=bool(result.resources))
    result.success = False
    result.failed = list(failed)
    result.errors = [
        f"{categorize_error(known).value} {type(known).__name__}: {known}"
        for known in (error, *errors)
    ]
    return error
