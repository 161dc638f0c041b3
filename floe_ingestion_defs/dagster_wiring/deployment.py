"""Which deployment this process serves: a laptop, production, or a pull request's branch.

The one reader of `DAGSTER_CLOUD_*`; whoever behaves differently in a branch asks here.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

from floe_ingestion_defs.branch import BRANCH_VARIABLE, Branch

DeploymentKind = Literal["local", "production", "branch"]


@dataclass(frozen=True)
class Deployment:
    """The deployment that a code location runs in.

    Attributes:
        kind: `local` wherever Dagster+ has said nothing, which holds for self-hosting too; `branch`
            also where `FLOE_BRANCH` is set.
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
    def branch(self) -> str | None:
        """What `FLOE_BRANCH` says of this deployment, None where it is none of a branch.

        It is the pull request's number where there is one, such as `pr_123@acme/ingestion`; other
        names are cut, and told apart by a hash.
        """
        if not self.is_branch:
            return None
        number = self.pull_request_id
        if number and re.fullmatch("[0-9]+", number):
            name = f"pr_{number}"
        else:
            named = number or self.git_branch or self.name
            words = re.sub(r"[^a-z0-9]+", "_", named.lower())[:24].strip("_")
            digest = blake2b(named.encode(), digest_size=4).hexdigest()
            name = "_".join(part for part in ("branch", words, digest) if part)
        return str(Branch(name, self.git_repository))

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
    if value("IS_BRANCH_DEPLOYMENT") == "1" or variables.get(BRANCH_VARIABLE):
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


def confine_to_branch() -> None:
    """Keep this process, and those that it starts, to the tables of its branch, if it has one.

    The destination knows nothing of Dagster+, so it is told in the environment, which reaches
    every pipeline of the location, also one that somebody wrote by hand. What `FLOE_BRANCH` says
    already stays.
    """
    branch = read_deployment().branch
    if branch and not os.environ.get(BRANCH_VARIABLE):
        os.environ[BRANCH_VARIABLE] = branch
