"""What a person can set for one run in the Launchpad, without editing the source."""

from typing import Any

import dagster as dg
from pydantic import Field

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError


class LoadOptions(dg.Config):
    """Options of one load."""

    refresh: bool = Field(
        default=False,
        description="Load the source from its beginning: rows and cursors of the selected assets "
        "are forgotten, tables and their columns stay.",
    )

    start: str | None = Field(
        default=None,
        description="Load a window of the cursor instead of going on at it, and overwrite that "
        "window in the tables: its first value, such as '2026-03-01' or '2026-03-01T12:00:00Z'.",
    )
    end: str | None = Field(
        default=None, description="The first value after the window that `start` begins."
    )
    limit: int | None = Field(
        default=None,
        description="Load about so many rows of each asset, to try a source out.",
    )

    def as_arguments(self) -> dict[str, Any]:
        """Return what was set as fields of the plugin's `LoadRequest`.

        Raises:
            PipelineConfigurationError: Two options do not go together.
        """
        given = self.model_dump(exclude_none=True)
        # dlt's mode that empties the tables and resets the cursors in the same commit as the load.
        if given.pop("refresh"):
            given["refresh"] = "drop_data"
        if given.keys() & {"start", "end"} and given.keys() & {"refresh", "limit"}:
            msg = (
                "a window overwrites its rows with all that the source has there, so it goes with "
                "neither refresh nor limit; leave out the one or the other"
            )
            raise PipelineConfigurationError(msg)
        return given


def read_options(context: dg.AssetExecutionContext) -> LoadOptions:
    """Return the options that a run was launched with; assets that declare none have none."""
    return LoadOptions(**(context.op_execution_context.op_config or {}))
