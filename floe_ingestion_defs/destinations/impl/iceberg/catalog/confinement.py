"""Confine a branch deployment to namespaces of its own, whichever code requests others.

Every catalog that is opened in a branch rejects changes elsewhere, so neither a configuration nor a
hand-written pipeline can reach production's tables.
"""

from __future__ import annotations

from functools import wraps
from inspect import signature
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.branch import current_branch
from floe_ingestion_defs.destinations.impl.iceberg.errors import DatasetRefused

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyiceberg.catalog import Catalog

# The prefixes of a catalog's methods that change something; future ones are rejected, too.
_CHANGING = ("commit", "create", "destroy", "drop", "purge", "register", "rename", "update")


def require_own(namespace: str) -> None:
    """Reject a namespace that is not the branch's own; outside of a branch, accept all.

    Raises:
        DatasetRefused: The namespace belongs to production or another branch.
    """
    branch = current_branch()
    if branch is not None and not branch.owns(namespace):
        msg = (
            f"`{namespace}` is not a namespace of branch `{branch.name}`, which may neither load "
            f"into it nor change it. Load into `{branch.namespace(namespace)}`: "
            f"`branch_namespace({namespace!r})` returns that name in a branch, and the same one in "
            "production."
        )
        raise DatasetRefused(msg)


def confine(catalog: Catalog) -> Catalog:
    """Make a catalog reject, in a branch, every change outside of the branch's own namespaces.

    The catalog itself is changed instead of wrapped, because its tables commit through it.
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
            msg = (
                "Cannot purge a branch table: it may share data files with production. Use "
                "drop_table instead."
            )
            raise DatasetRefused(msg)
        # `rename_table` has two subjects: the old name and the new one.
        subjects = list(given.values())[1 : 3 if change.__name__.startswith("rename") else 2]
        for subject in subjects or ["the catalog itself"]:
            named = subject.name() if hasattr(subject, "name") else subject
            levels = self.identifier_to_tuple(named)
            require_own(".".join(levels if "namespace" in change.__name__ else levels[:-1]))
        return change(self, *arguments, **keywords)

    return call
