"""The names of a branch deployment's own namespaces, used by every layer.

`FLOE_BRANCH` names the branch: in branch `pr_123`, the namespace that takes the place of
production's `bronze` is `bronze__pr_123`. It is an environment variable, so that it applies to
every pipeline of a process, and to the processes that it starts. Nothing heavy is imported, because
loading a code location imports this module.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

BRANCH_VARIABLE = "FLOE_BRANCH"
# The limit of Hive's metastore, the lowest of the catalogs that pyiceberg opens.
LONGEST_NAMESPACE = 128

# The initial tables of a branch's dataset: production's where the catalog can clone, or none.
BranchTables = Literal["clone", "empty"]

_BRANCH = re.compile(r"(?P<name>[a-z0-9]+(?:_[a-z0-9]+)*)(?:@(?P<repository>\S+))?")
_LONGEST_BRANCH = 48


class InvalidBranch(ValueError):
    """`FLOE_BRANCH` is not set to a valid branch."""


@dataclass(frozen=True)
class Branch:
    """A branch that this process is confined to.

    Attributes:
        name: Lower-case words joined by single underscores, such as `pr_123`.
        repository: The repository of the branch; two repositories can have a `pr_123` each.
    """

    name: str
    repository: str | None = None

    def __str__(self) -> str:
        return self.name if self.repository is None else f"{self.name}@{self.repository}"

    def owns(self, namespace: str) -> bool:
        """Return whether a namespace is the branch's: no branch's name contains two underscores."""
        return namespace.endswith(f"__{self.name}")

    def namespace(self, production: str) -> str:
        """Return the branch's counterpart of a production namespace; its own are unchanged."""
        if self.owns(production):
            return production
        above, dot, last = production.rpartition(".")
        own = f"{last}__{self.name}"
        if len(own) > LONGEST_NAMESPACE:
            digest = blake2b(last.encode(), digest_size=5).hexdigest()
            kept = LONGEST_NAMESPACE - len(f"_{digest}__{self.name}")
            own = f"{last[:kept].rstrip('_')}_{digest}__{self.name}"
        return f"{above}{dot}{own}"


def current_branch() -> Branch | None:
    """Return the branch that this process is confined to, None in production.

    Raises:
        InvalidBranch: `FLOE_BRANCH` is not set to a valid branch: loading nothing is better than
            loading into production.
    """
    value = os.environ.get(BRANCH_VARIABLE)
    if value is None:
        return None
    if not value.strip():
        # As when the variable that it is set from is missing: not a wish to load into production.
        msg = (
            f"{BRANCH_VARIABLE} is set, but empty; unset it for production, or set it to a branch "
            "such as 'pr_123' or 'pr_123@acme/ingestion'."
        )
        raise InvalidBranch(msg)
    found = _BRANCH.fullmatch(value.strip())
    if found is None or len(found["name"]) > _LONGEST_BRANCH:
        msg = (
            f"{BRANCH_VARIABLE} is {value!r}; use lower-case words joined by single underscores, "
            f"at most {_LONGEST_BRANCH} characters, such as 'pr_123' or 'pr_123@acme/ingestion'."
        )
        raise InvalidBranch(msg)
    return Branch(found["name"], found["repository"])


def branch_namespace(namespace: str) -> str:
    """Return the namespace to load into: in a branch its counterpart, else the same namespace."""
    branch = current_branch()
    return namespace if branch is None else branch.namespace(namespace)
