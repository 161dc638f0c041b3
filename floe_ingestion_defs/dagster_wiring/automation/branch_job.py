"""The job `drop_branch_tables`, which the workflow runs when a pull request closes."""

from collections.abc import Iterable

import dagster as dg

from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

DROP_JOB = "drop_branch_tables"


def create_drop_job(plugins: Iterable[DltIngestionPlugin]) -> dg.JobDefinition:
    """Create the job that drops the tables of a branch, and fails in any other deployment.

    Args:
        plugins: The plugins of all sources, whose configurations define the catalogs.
    """
    configs = []
    for plugin in plugins:
        if plugin.config.catalog_config not in configs:
            configs.append(plugin.config.catalog_config)

    @dg.op(name="drop_tables_of_this_branch")
    def drop(context: dg.OpExecutionContext) -> None:
        # Importing Arrow and pyiceberg takes one to two seconds, too long for loading a location.
        from floe_ingestion_defs.destinations import DatasetRefused, drop_branch
        from floe_ingestion_defs.dlt_plugin.config.destination import (
            destination_config,
            open_configured_catalog,
        )

        for config in configs or [{}]:
            try:
                dropped = drop_branch(open_configured_catalog(destination_config(config)))
            except DatasetRefused as refused:
                raise dg.Failure(str(refused), allow_retries=False) from refused
            context.log.info("dropped: %s", ", ".join(dropped) or "no tables, there were none")

    @dg.job(
        name=DROP_JOB,
        description="Drop the tables of this branch deployment after its pull request is closed. "
        "Fails in any other deployment.",
    )
    def drop_branch_tables() -> None:
        drop()

    return drop_branch_tables
