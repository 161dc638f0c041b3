"""The Dagster code location: everything below `defs/`."""

from pathlib import Path

import dagster as dg

from floe_ingestion_defs.dagster_wiring import (
    create_ingestion_job,
    link_code_to_git,
    require_distinct_sources,
)
from floe_ingestion_defs.dagster_wiring.resources import DLT_RESOURCE

PACKAGE = Path(__file__).parent


@dg.definitions
def defs() -> dg.Definitions:
    """Load `defs/`, add what all sources share, and link the code to git."""
    loaded = dg.load_from_defs_folder(path_within_project=PACKAGE)
    require_distinct_sources(loaded)
    shared = dg.Definitions(jobs=[create_ingestion_job()], resources={"dlt": DLT_RESOURCE})
    return link_code_to_git(dg.Definitions.merge(loaded, shared), root=PACKAGE.parent)
