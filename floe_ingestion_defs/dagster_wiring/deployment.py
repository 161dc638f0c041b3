"""The deployment that this process serves: local, production, or the branch of a pull request.

Only this module reads `DAGSTER_CLOUD_*`; all code that behaves differently in a branch uses it.
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
        kind: `local` if Dagster+ has set no variables, which includes self-hosting; `branch` also
            if `FLOE_BRANCH` is set.
        name: Name of the deployment; `local` for the local one.
        pull_request_id: Number of the pull request of a branch deployment, if it has one.
        git_branch: Deployed branch.
        git_sha: Deployed commit.
        git_repository: Name of the repository in the deployment's variables.
        git_url: Web URL of the repository, to link code to.
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
        """Whether this is a branch deployment, which does not change production's tables."""
        return self.kind == "branch"

    @property
    def branch(self) -> str | None:
        """The value of `FLOE_BRANCH` for this deployment; None if it is not a branch deployment.

        It has the number of the pull request if there is one, such as `pr_123@acme/ingestion`;
        other names are truncated, and a hash makes them unique.
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
        """The revision that links to the code point to: the commit if known, else the branch."""
        return self.git_sha or self.git_branch


def read_deployment(environment: Mapping[str, str] | None = None) -> Deployment:
    """Return the deployment that the environment describes.

    Args:
        environment: Variables to read; the process's own by default.

    Returns:
        The deployment; an empty variable is treated as not set.
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
    """Confine this process, and those that it starts, to the tables of its branch, if any.

    The destination does not know Dagster+, so the branch is passed in the environment, which
    reaches every pipeline of the location, including hand-written ones. `FLOE_BRANCH` is not
    changed if it is set already.
    """
    branch = read_deployment().branch
    if branch and not os.environ.get(BRANCH_VARIABLE):
        os.environ[BRANCH_VARIABLE] = branch
