"""Which deployment this process serves: a laptop, production, or a pull request's branch.

The one reader of `DAGSTER_CLOUD_*`; whoever behaves differently in a branch asks here.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

DeploymentKind = Literal["local", "production", "branch"]


@dataclass(frozen=True)
class Deployment:
    """The deployment that a code location runs in.

    Attributes:
        kind: `local` wherever Dagster+ has said nothing, which holds for self-hosting too.
        name: Name of the deployment; `local` for the local one.
        pull_request_id: Number of the pull request of a branch deployment, if it has one.
        git_branch: Branch that was deployed.
        git_sha: Commit that was deployed.
        git_repository: Name of the repository, as the deployment names it.
        git_url: Address of the repository on the web, to link code to.
    """

    kind: DeploymentKind
    name: str
    pull_request_id: str | None = None
    git_branch: str | None = None
    git_sha: str | None = None
    git_repository: str | None = None
    git_url: str | None = None

    @property
    def is_branch(self) -> bool:
        """Whether this is a pull request's deployment, which leaves production's tables alone."""
        return self.kind == "branch"

    @property
    def git_revision(self) -> str | None:
        """What a link to the code should point at: the commit where known, else the branch."""
        return self.git_sha or self.git_branch


def read_deployment(environment: Mapping[str, str] | None = None) -> Deployment:
    """Say which deployment the environment describes.

    Args:
        environment: Variables to read; the process's own by default.

    Returns:
        The deployment; an empty variable counts as one that is not set.
    """
    variables = os.environ if environment is None else environment

    def value(name: str) -> str | None:
        return variables.get(f"DAGSTER_CLOUD_{name}") or None

    name = value("DEPLOYMENT_NAME")
    kind: DeploymentKind = "local"
    if value("IS_BRANCH_DEPLOYMENT") == "1":
        kind = "branch"
    elif name is not None:
        kind = "production"
    return Deployment(
        kind=kind,
        name=name or kind,
        pull_request_id=value("PULL_REQUEST_ID"),
        git_branch=value("GIT_BRANCH"),
        git_sha=value("GIT_SHA"),
        git_repository=value("GIT_REPO"),
        git_url=value("GIT_URL"),
    )
