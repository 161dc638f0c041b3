"""The Dagster code location: everything below `defs/`."""

from pathlib import Path

import dagster as dg

from floe_ingestion_defs.dagster_wiring import (
    create_shared_definitions,
    link_code_to_git,
    require_distinct_sources,
)

PACKAGE = Path(__file__).parent


@dg.definitions
def defs() -> dg.Definitions:
    """Load `defs/`, add what all sources share, and link the code to git."""
    loaded = dg.load_from_defs_folder(path_within_project=PACKAGE)
    require_distinct_sources(loaded)
    location = dg.Definitions.merge(loaded, create_shared_definitions(loaded))
    return link_code_to_git(location, root=PACKAGE.parent)
