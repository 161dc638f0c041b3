"""A failed load as the UI shows it: what failed, where, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from floe_ingestion_defs.dagster_wiring.settings.orchestration import RetrySettings
from floe_ingestion_defs.dlt_plugin import ErrorCategory, IngestionError, categorize_error
from floe_ingestion_defs.dlt_plugin.errors.categories import category_of_failures

REMEDIES = {
    ErrorCategory.TRANSIENT: ("The failure is transient and no data was published; retry the run."),
    ErrorCategory.PERMANENT: (
        "Retrying will not help until the data or permissions change. Nothing was published."
    ),
    ErrorCategory.PARTIAL: (
        "The resources shown as materialized were loaded; check the errors of the others and "
        "run those again."
    ),
    ErrorCategory.CONFIGURATION: (
        "Correct the source's configuration or install the missing package, and reload the code "
        "location."
    ),
}


@dataclass(frozen=True)
class FailedLoad:
    """A load that failed.

    Attributes:
        error: The error after the plugin's own retries.
        tables: The tables that it was to load.
    """

    error: IngestionError
    tables: tuple[str, ...]


def describe_failure(failed: Sequence[FailedLoad], *, partial: bool) -> dg.Failure:
    """Return the plugin's errors as the failure that Dagster shows.

    Args:
        failed: The loads that failed, at least one.
        partial: Whether other loads of the same run succeeded.
    """
    errors = [load.error for load in failed]
    category = category_of_failures(errors, partial=partial)
    remedy = REMEDIES[category]
    tables = ", ".join(table for load in failed for table in load.tables)
    source = errors[0].source_name
    reasons = [f"{type(error).__name__}: {error}" for error in errors]
    return dg.Failure(
        description="\n".join([f"{category.value}: {source} → {tables}", *reasons, remedy]),
        metadata={
            "category": category.value,
            "error": ", ".join(dict.fromkeys(type(error).__name__ for error in errors)),
            "source": source,
            "table": tables,
            "what_to_do": remedy,
        },
        # The plugin has already retried transient failures; op retries would multiply them.
        allow_retries=False,
    )


def raise_for_retry(
    context: dg.AssetExecutionContext,
    retries: RetrySettings | None,
    errors: Sequence[IngestionError],
) -> None:
    """Request a retry of the step from Dagster, if configured and if the failure is transient.

    Args:
        context: The context of the failed load.
        retries: The configured retries; None if the plugin retries by itself.
        errors: Errors of the failed loads; a retry helps only if all of them are transient.

    Raises:
        dagster.RetryRequested: The step is to be retried.
    """
    transient = all(categorize_error(error) is ErrorCategory.TRANSIENT for error in errors)
    if retries is None or not transient:
        return
    # After the last retry, the failure that says what to do is more useful than another request.
    if context.retry_number < retries.max_retries:
        raise dg.RetryRequested(
            max_retries=retries.max_retries, seconds_to_wait=retries.delay_seconds
        ) from errors[0]
