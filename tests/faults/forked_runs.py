"""Dagster's runs in processes of their own, which fork from a warm one instead of importing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from dagster._core.execution.api import execute_run
from dagster._core.launcher.sync_in_memory_run_launcher import SyncInMemoryRunLauncher
from dagster._utils.hosted_user_process import recon_job_from_origin

from faults.processes import Child, start

if TYPE_CHECKING:
    from dagster._core.launcher import LaunchRunContext


class ForkedRunLauncher(SyncInMemoryRunLauncher):
    """Launches a run and continues, as the launchers of production do.

    Attributes:
        children: The processes of the runs.
    """

    children: list[Child]

    def launch_run(self, context: LaunchRunContext) -> None:
        """Starts the run's process."""
        self.children = getattr(self, "children", [])
        run_id = context.dagster_run.run_id
        folder = Path(os.environ["DAGSTER_HOME"], "forked")
        self.children.append(start(_execute, run_id, environment=os.environ, folder=folder))


def _execute(run_id: str) -> bool:
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
        assert run is not None
        assert run.job_code_origin is not None
        recon_job = recon_job_from_origin(run.job_code_origin)
        return execute_run(recon_job, run, instance, raise_on_error=False).success
