"""What the maintenance job and an operator do to a table in the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from faults.compactions import EAGER
from faults.expiries import AT_ONCE
from floe_ingestion_defs.destinations import (
    compact,
    expire,
    release_blocked,
    remove_expired_files,
    rewrite_manifests,
)

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations import Dataset


def combine_files(dataset: Dataset, table: str) -> None:
    """Compact small files."""
    compact(dataset, table, EAGER)


def expire_snapshots(dataset: Dataset, table: str) -> None:
    """Expire snapshots, and delete the files that only they need."""
    remove_expired_files(dataset, {table: expire(dataset, table, AT_ONCE)})


def combine_manifests(dataset: Dataset, table: str) -> None:
    """Rewrite manifests."""
    rewrite_manifests(dataset, table)


def release(dataset: Dataset, table: str) -> None:
    """Give up the loads that block the table, without repairing it first."""
    release_blocked(dataset, table)


ACTIONS = [combine_files, expire_snapshots, combine_manifests, release]
