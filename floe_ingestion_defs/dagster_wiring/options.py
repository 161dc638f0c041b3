"""What a person can set for one run in the Launchpad, without editing the source."""

from typing import Any

import dagster as dg
from pydantic import Field


class LoadOptions(dg.Config):
    """Options of one load."""

    refresh: bool = Field(
        default=False,
        description="Load the source from its beginning: rows and cursors of the selected assets "
        "are forgotten, tables and their columns stay.",
    )

    def as_arguments(self) -> dict[str, Any]:
        """Return the options as arguments of the plugin's `load`."""
        # dlt's mode that empties the tables and resets the cursors in the same commit as the load.
        return {"refresh": "drop_data"} if self.refresh else {}


def read_options(context: dg.AssetExecutionContext) -> LoadOptions:
    """Return the options that a run was launched with; assets that declare none have none."""
    return LoadOptions(**(context.op_execution_context.op_config or {}))
