"""A load that failed, as a person meets it in the UI: what, where, and what to do."""

from collections.abc import Sequence

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
