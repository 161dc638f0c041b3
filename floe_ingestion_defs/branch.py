"""The names of a branch deployment's own namespaces, which every layer goes by.

`FLOE_BRANCH` names the branch: its own namespace beside production's `bronze` is then, in branch
`pr_123`, `bronze__pr_123`. It is in the environment, so that it reaches every pipeline of a
process, and the processes that it starts. Nothing heavy is imported: a location loads by this.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

BRANCH_VARIABLE = "FLOE_BRANCH"
# What Hive's metastore takes, the least of the catalogs that pyiceberg opens.
LONGEST_NAMESPACE = 128

# What a branch's dataset begins with: production's tables where the catalog can clone, or none.
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
        repository: Where the branch comes from; two repositories can have a `pr_123` each.
    """

    name: str
    repository: str | None = None

    def __str__(self) -> str:
        return self.name if self.repository is None else f"{self.name}@{self.repository}"

    def owns(self, namespace: str) -> bool:
        """Whether a namespace is the branch's: no branch's name holds two underscores."""
        return namespace.endswith(f"__{self.name}")

    def namespace(self, production: str) -> str:
        """The branch's namespace for what production has in another; its own stay as they are."""
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
    """The branch that this process is confined to, None where it is none.

    Raises:
        InvalidBranch: `FLOE_BRANCH` is not set to a valid branch: better nothing than production.
    """
    value = os.environ.get(BRANCH_VARIABLE, "").strip()
    if not value:
        return None
    found = _BRANCH.fullmatch(value)
    if found is None or len(found["name"]) > _LONGEST_BRANCH:
        msg = (
            f"{BRANCH_VARIABLE} is {value!r}; give lower-case words joined by single underscores, "
            f"at most {_LONGEST_BRANCH} characters, such as 'pr_123' or 'pr_123@acme/ingestion'."
        )
        raise InvalidBranch(msg)
    return Branch(found["name"], found["repository"])


def branch_namespace(namespace: str) -> str:
    """The namespace to load into in the place of one of production's; the same but in a branch."""
    branch = current_branch()
    return namespace if branch is None else branch.namespace(namespace)
