"""A load that failed, as a person meets it in the UI: what, where, and what to do."""

import dagster as dg

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


def describe_failure(error: IngestionError) -> dg.Failure:
    """Turn the plugin's error into the failure that Dagster shows.

    Args:
        error: What the load ended with, after the plugin's own retries.
    """
    category = categorize_error(error)
    table = error.destination_table or "unknown"
    remedy = REMEDIES[category]
    return dg.Failure(
        description=f"{category.value} {type(error).__name__} for {table}: {error} {remedy}",
        metadata={
            "category": category.value,
            "error": type(error).__name__,
            "table": table,
            "source": error.source_name,
            "what_to_do": remedy,
        },
        # The plugin has retried what can be retried; a retry of the op would multiply that.
        allow_retries=False,
    )
