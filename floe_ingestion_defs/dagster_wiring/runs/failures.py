"""A load that failed, as a person meets it in the UI: what, where, and what to do."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from floe_ingestion_defs.dagster_wiring.settings.orchestration import RetrySettings
from floe_ingestion_defs.dlt_plugin import ErrorCategory, IngestionError, categorize_error
from floe_ingestion_defs.dlt_plugin.errors.categories import category_of_failures

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


@dataclass(frozen=True)
class FailedLoad:
    """A load that failed.

    Attributes:
        error: What it ended with, after the plugin's own retries.
        tables: The tables that it was to load.
    """

    error: IngestionError
    tables: tuple[str, ...]


def describe_failure(failed: Sequence[FailedLoad], *, partial: bool) -> dg.Failure:
    """Turn the plugin's errors into the failure that Dagster shows.

    Args:
        failed: The loads that failed, at least one.
        partial: Whether others of the same run were loaded.
    """
    errors = [load.error for load in failed]
    category = category_of_failures(errors, partial=partial)
    remedy = REMEDIES[category]
    said = " ".join(f"{type(error).__name__}: {error}" for error in errors)
    return dg.Failure(
        description=f"{category.value} {said} {remedy}",
        metadata={
            "category": category.value,
            "error": ", ".join(dict.fromkeys(type(error).__name__ for error in errors)),
            "source": errors[0].source_name,
            "table": ", ".join(table for load in failed for table in load.tables),
            "what_to_do": remedy,
        },
        # The plugin has retried what can be retried; a retry of the op would multiply that.
        allow_retries=False,
    )


def raise_for_retry(
    context: dg.AssetExecutionContext,
    retries: RetrySettings | None,
    errors: Sequence[IngestionError],
) -> None:
    """Ask Dagster to run the step again, where it is to and the reason may pass.

    Args:
        context: The context of the failing load.
        retries: How often; None where the plugin retries by itself.
        errors: What the loads that failed ended with; another try helps if all of them pass.

    Raises:
        dagster.RetryRequested: The step is to be run again.
    """
    passing = all(categorize_error(error) is ErrorCategory.TRANSIENT for error in errors)
    if retries is None or not passing:
        return
    # After the last one, the failure that says what to do is worth more than a further request.
    if context.retry_number < retries.max_retries:
        raise dg.RetryRequested(
            max_retries=retries.max_retries, seconds_to_wait=retries.delay_seconds
        ) from errors[0]
