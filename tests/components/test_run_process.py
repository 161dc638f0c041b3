"""The code location in the process of a run, which does not describe components to the UI."""

import dagster as dg
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)

from floe_ingestion_defs.definitions import defs

# Dagster's name of the descriptions of all installed components.
DESCRIPTIONS = "plugin_component_types_json"


def load(load_type: DefinitionsLoadType) -> dg.Definitions:
    """Load the location as a process of Dagster does."""
    with DefinitionsLoadContext.scoped(DefinitionsLoadContext(load_type)):
        return defs()


def test_a_run_loads_the_same_definitions_without_the_descriptions_of_components() -> None:
    """Describing all installed components takes longer than the rest of the location."""
    for_ui, for_run = (
        load(DefinitionsLoadType.INITIALIZATION),
        load(DefinitionsLoadType.RECONSTRUCTION),
    )
    assert [DESCRIPTIONS in str(each.metadata) for each in (for_ui, for_run)] == [True, False]

    def names(definitions: dg.Definitions) -> list[object]:
        repository = definitions.get_repository_def()
        graph = definitions.resolve_asset_graph()
        jobs = sorted(job.name for job in repository.get_all_jobs())
        sensors = sorted(each.name for each in repository.sensor_defs)
        schedules = sorted(each.name for each in repository.schedule_defs)
        return [graph.get_all_asset_keys(), graph.asset_check_keys, jobs, sensors, schedules]

    assert names(for_run) == names(for_ui)
