"""The destination's public face: the factory that dlt finds by name, and what goes with it.

Every name is imported on first use (PEP 562), so importing this package costs nothing; what is not
listed here is internal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floe_ingestion_defs.branch import branch_namespace
    from floe_ingestion_defs.destinations.impl.iceberg.audit import Audit, Finding, StagedTable
    from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import open_catalog
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.factory import iceberg
    from floe_ingestion_defs.destinations.impl.iceberg.window import iceberg_window

_IMPLEMENTATION = "floe_ingestion_defs.destinations.impl.iceberg"
_HOMES = {
    "Audit": f"{_IMPLEMENTATION}.audit",
    "Dataset": f"{_IMPLEMENTATION}.dataset",
    "Finding": f"{_IMPLEMENTATION}.audit",
    "StagedTable": f"{_IMPLEMENTATION}.audit",
    "branch_namespace": "floe_ingestion_defs.branch",
    "iceberg": f"{_IMPLEMENTATION}.factory",
    "iceberg_window": f"{_IMPLEMENTATION}.window",
    "open_catalog": f"{_IMPLEMENTATION}.catalog.open_catalog",
}

__all__ = [
    "Audit",
    "Dataset",
    "Finding",
    "StagedTable",
    "branch_namespace",
    "iceberg",
    "iceberg_window",
    "open_catalog",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
