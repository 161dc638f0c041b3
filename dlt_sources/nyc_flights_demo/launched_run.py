"""A run that Dagster's UI shows like one that was launched in it.

Dagster's timeline and the pages of jobs show the runs of a code location, which the functions for
executing a job in one's own process leave out.
"""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.repository_definition import SINGLETON_REPOSITORY_NAME
from dagster._core.remote_origin import RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG
from dagster._core.workspace.load_target import WorkspaceFileTarget

from dlt_sources.nyc_flights_demo.simulated_systems import settings


def create_launched_run(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    *,
    tags: Mapping[str, str],
    run_config: Mapping[str, object],
) -> dg.DagsterRun:
    """Create a run of a job of the code location that `workspace.yaml` names.

    Args:
        instance: The instance that records the run.
        job: The job.
        tags: Tags of the run, besides those of the job.
        run_config: Configuration of the run.

    Returns:
        The run, which has not started.
    """
    workspace = settings.project_root() / "workspace.yaml"
    (location,) = WorkspaceFileTarget([str(workspace)]).create_origins()
    repository = RemoteRepositoryOrigin(location, SINGLETON_REPOSITORY_NAME)
    return instance.create_run_for_job(
        job,
        run_config=run_config,
        tags={**job.run_tags, **tags, REPOSITORY_LABEL_TAG: repository.get_label()},
        remote_job_origin=RemoteJobOrigin(repository, job.name),
    )
