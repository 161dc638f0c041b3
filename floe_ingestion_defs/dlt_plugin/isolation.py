"""Loads an isolated source: one load a resource, so that one that fails keeps no other back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from floe_ingestion_defs.dlt_plugin.errors.ingestion_error import (
    ErrorCategory,
    IngestionError,
    ResourceLoadsFailed,
)
from floe_ingestion_defs.dlt_plugin.results import LoadResult

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline


def load_each_resource(
    pipeline: IngestionPipeline, load_one: Callable[[IngestionPipeline], LoadResult]
) -> LoadResult:
    """Load the resources of a pipeline one after the other, each in a load of its own.

    Args:
        pipeline: The pipeline of all of them; it is not run itself.
        load_one: Loads a pipeline of one resource.

    Raises:
        ResourceLoadsFailed: Some or all of the resources were not loaded; carries what was.
    """
    result = LoadResult(success=True)
    failed: dict[str, IngestionError] = {}
    pipeline.close()
    for spec in pipeline.resources:
        try:
            result.include(load_one(pipeline.renew([spec.name])))
        except IngestionError as error:
            error.destination_table = spec.table
            failed[spec.name] = error
    if failed:
        raise _failure(pipeline, result, failed) from next(iter(failed.values()))
    return result


def _failure(
    pipeline: IngestionPipeline, result: LoadResult, failed: dict[str, IngestionError]
) -> ResourceLoadsFailed:
    reasons = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
    loaded = f"{', '.join(result.resources)} loaded" if result.resources else "none was loaded"
    error = ResourceLoadsFailed(
        f"{len(failed)} of {len(pipeline.resources)} resources failed, {loaded}. {reasons}",
        failed=failed,
        result=result,
        source_name=pipeline.name,
        source_type=pipeline.config.source_type,
        destination_table=", ".join(error.destination_table for error in failed.values()),
        pipeline_name=pipeline.name,
    )
    categories = [known.category or ErrorCategory.PERMANENT for known in failed.values()]
    if result.resources:
        error.category = ErrorCategory.PARTIAL
    else:
        # Another try helps only if it helps all of them.
        lasting = [found for found in categories if found is not ErrorCategory.TRANSIENT]
        error.category = (lasting or categories)[0]
    result.success = False
    result.failed = list(failed)
    result.errors = [
        f"{error.category.value} {type(error).__name__}: {error}",
        *(
            f"{category.value} {type(known).__name__}: {known}"
            for category, known in zip(categories, failed.values(), strict=True)
        ),
    ]
    return error
