"""Run configuration of a load: what a user can set in the Launchpad for one run."""

from typing import Any

import dagster as dg
from pydantic import Field

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError


class LoadOptions(dg.Config):
    """Options of one load."""

    refresh: bool = Field(
        default=False,
        description="Full refresh: reset the cursors and replace all rows of the selected assets; "
        "tables and columns are kept.",
    )

    start: str | None = Field(
        default=None,
        description="Start of a window of the cursor, inclusive, such as '2026-03-01' or "
        "'2026-03-01T12:00:00Z'. Load this window instead of new rows, and overwrite it in the "
        "tables.",
    )
    end: str | None = Field(
        default=None, description="End of the window that begins at `start`, exclusive."
    )
    limit: int | None = Field(
        default=None,
        description="Approximate maximum number of rows to load per asset, for testing a source.",
    )
    replay_quarantined: bool = Field(
        default=False,
        description="Load the rows of the tables `{table}__rejected` that fit now, instead of rows "
        "of the source, and remove them from there.",
    )

    def as_arguments(self) -> dict[str, Any]:
        """Return the options that are set, as fields of the plugin's `LoadRequest`.

        Raises:
            PipelineConfigurationError: Two options cannot be combined.
        """
        given = self.model_dump(exclude_none=True)
        # dlt's mode that empties the tables and resets the cursors in the same commit as the load.
        if given.pop("refresh"):
            given["refresh"] = "drop_data"
        if not given["replay_quarantined"]:
            del given["replay_quarantined"]
        if given.keys() & {"start", "end"} and given.keys() & {"refresh", "limit"}:
            msg = (
                "start and end replace everything in the window and cannot be combined with "
                "refresh or limit; remove one or the other"
            )
            raise PipelineConfigurationError(msg)
        return given


def read_options(context: dg.AssetExecutionContext) -> LoadOptions:
    """Return the options that a run was launched with; none for assets without a config schema."""
    return LoadOptions(**(context.op_execution_context.op_config or {}))
