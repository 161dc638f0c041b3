"""A load that failed, as a person meets it in the UI: what, where, and what to do."""

from collections.abc import Sequence

import dagster as dg

from floe_ingestion_defs.dagster_wiring.settings import RetrySettings
from floe_ingestion_defs.dlt_plugin import ErrorCategory, IngestionError, categorize_error

REMEDIES = {
    ErrorCategory.TRANSIENT: (
        "The same load can succeed later and nothing of it is visible yet: run it again."
    ),
    ErrorCategory.PERMANENT: (
        "It fails again until the data or the permissions change; nothing of it was published."
    ),
    ErrorCategory.PARTIAL: (
        "What is shown as materialized was loaded; look at the errors of the other resources "
        "and run those again."
    ),
    ErrorCategory.CONFIGURATION: (
        "Correct the source's configuration, or install what is missing, and reload the location."
    ),
}


def describe_failure(error: IngestionError, tables: Sequence[str]) -> dg.Failure:
    """Turn the plugin's error into the failure that Dagster shows.

    Args:
        error: What the load ended with, after the plugin's own retries.
        tables: The tables that were to be loaded.
    """
    category = categorize_error(error)
    kind = type(error).__name__
    remedy = REMEDIES[category]
    return dg.Failure(
        description=f"{category.value} {kind}: {error} {remedy}",
        metadata={
            "category": category.value,
            "error": kind,
            "source": error.source_name,
            "table": ", ".join(tables),
            "what_to_do": remedy,
        },
        # The plugin has retried what can be retried; a retry of the op would multiply that.
        allow_retries=False,
    )


def raise_for_retry(
    context: dg.AssetExecutionContext, retries: RetrySettings | None, error: IngestionError
) -> None:
    """Ask Dagster to run the step again, where it is to and the reason may pass.

    Args:
        context: The context of the failing load.
        retries: How often; None where the plugin retries by itself.
        error: What the load ended with.

    Raises:
        dagster.RetryRequested: The step is to be run again.
    """
    if retries is None or categorize_error(error) is not ErrorCategory.TRANSIENT:
        return
    # After the last one, the failure that says what to do is worth more than a further request.
    if context.retry_number < retries.max_retries:
        raise dg.RetryRequested(
            max_retries=retries.max_retries, seconds_to_wait=retries.delay_seconds
        ) from error
