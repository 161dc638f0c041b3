"""Keeps a branch deployment to namespaces of its own, whoever asks for others.

`FLOE_BRANCH` names the branch: its own namespace beside production's `bronze` is then, in branch
`pr_123`, `bronze__pr_123`. Every catalog that is opened refuses to change anything elsewhere, so
neither a configuration nor a pipeline that somebody wrote by hand reaches production's tables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from hashlib import blake2b
from inspect import signature
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.destinations.iceberg.errors import DatasetRefused

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

BRANCH_VARIABLE = "FLOE_BRANCH"
# What Hive's metastore takes, the least of the catalogs that pyiceberg opens.
LONGEST_NAMESPACE = 128

_BRANCH = re.compile(r"(?P<name>[a-z0-9]+(?:_[a-z0-9]+)*)(?:@(?P<repository>\S+))?")
_LONGEST_BRANCH = 48
# Whatever a catalog's method is called that changes something; those to come are refused, too.
_CHANGING = ("commit", "create", "destroy", "drop", "purge", "register", "rename", "update")


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
        DatasetRefused: `FLOE_BRANCH` is set to what is no branch: better nothing than production.
    """
    value = os.environ.get(BRANCH_VARIABLE, "").strip()
    if not value:
        return None
    found = _BRANCH.fullmatch(value)
    if found is None or len(found["name"]) > _LONGEST_BRANCH:
        raise DatasetRefused(
            f"{BRANCH_VARIABLE} is {value!r}; give lower-case words joined by single underscores, "
            f"at most {_LONGEST_BRANCH} characters, such as 'pr_123' or 'pr_123@acme/ingestion'."
        )
    return Branch(found["name"], found["repository"])


def branch_namespace(namespace: str) -> str:
    """The namespace to load into in the place of one of production's; the same but in a branch."""
    branch = current_branch()
    return namespace if branch is None else branch.namespace(namespace)


def require_own(namespace: str) -> None:
    """Refuses a namespace that is not the branch's own; where there is no branch, none.

    Raises:
        DatasetRefused: It is another's.
    """
    branch = current_branch()
    if branch is not None and not branch.owns(namespace):
        raise DatasetRefused(
            f"`{namespace}` is not a namespace of branch `{branch.name}`, which may neither load "
            f"into it nor change it. Load into `{branch.namespace(namespace)}`: "
            f"`branch_namespace({namespace!r})` gives that name in a branch, and the same one in "
            "production."
        )


def confine(catalog: Catalog) -> Catalog:
    """Makes a catalog refuse, in a branch, every change outside of the branch's own namespaces.

    The catalog itself is changed, and not wrapped: its tables commit through it.
    """
    if current_branch() is not None:
        kind = type(catalog)
        names = [name for name in dir(kind) if name.startswith(_CHANGING)]
        guarded = {name: _guarded(getattr(kind, name)) for name in names}
        catalog.__class__ = type(f"Confined{kind.__name__}", (kind,), guarded)
    return catalog


def _guarded(change: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(change)
    def call(self: Catalog, *arguments: Any, **keywords: Any) -> Any:
        given = signature(change).bind(self, *arguments, **keywords).arguments
        if change.__name__.startswith("purge") or given.get("purge_requested"):
            raise DatasetRefused("A branch's table may have files of production's: drop it only.")
        # `rename_table` has two subjects: what is renamed, and what it becomes.
        subjects = list(given.values())[1 : 3 if change.__name__.startswith("rename") else 2]
        for subject in subjects or ["the catalog itself"]:
            named = subject.name() if hasattr(subject, "name") else subject
            levels = self.identifier_to_tuple(named)
            require_own(".".join(levels if "namespace" in change.__name__ else levels[:-1]))
        return change(self, *arguments, **keywords)

    return call
