"""The Dagster code location: everything below `defs/`."""

from pathlib import Path

import dagster as dg

from floe_ingestion_defs.dagster_wiring import load_location


@dg.definitions
def defs() -> dg.Definitions:
    """Load `defs/`, add what all sources share, and link the code to git."""
    return load_location(Path(__file__).parent)
