"""Rewriting a table's manifests: those of each partition spec are combined to few large ones.

Loads keep the number of manifests bounded. This is for a table to which other engines add some, or
whose `commit.manifest-merge.enabled` is not set: there, each commit adds one that every scan reads.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import require_own
from floe_ingestion_defs.destinations.impl.iceberg.catalog.replace_snapshot import RewriteManifests
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import replace_manifests
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitContention
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOADS_TABLE
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_summary
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import find_obstacle

if TYPE_CHECKING:
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

logger = logging.getLogger(__name__)

# A rewrite that loads keep from committing for so long is given up.
_COMMIT_SECONDS = 30.0


@dataclass
class ManifestsResult:
    """What a rewrite of manifests did, or would do.

    Attributes:
        manifests_before: The number of the table's manifests.
        manifests_after: The number after it.
        bytes: The size of the manifests that were combined.
        obstacle: Why they cannot be rewritten, None if they can.
    """

    manifests_before: int = 0
    manifests_after: int = 0
    bytes: int = 0
    obstacle: str | None = None


def rewrite_manifests(dataset: Dataset, table: str, *, dry_run: bool = False) -> ManifestsResult:
    """Combine a table's manifests to ones of `commit.manifest.target-size-bytes`.

    The data files stay the same, in a snapshot whose operation is `replace`. Nothing is committed
    where no manifest would be saved.

    Args:
        dataset: The dataset.
        table: The table's name, without its namespace.
        dry_run: Only count the manifests.

    Raises:
        DatasetRefused: This is a branch deployment, and the dataset is not its own.
    """
    if not dry_run:
        require_own(dataset.name)
    if table.lstrip("_") == LOADS_TABLE.lstrip("_"):
        return ManifestsResult(obstacle="it is the dataset's log, which loads compact themselves")

    def attempt() -> ManifestsResult:
        now = dataset.load_table(table)
        if now is None:
            return ManifestsResult(obstacle="it does not exist")
        if (obstacle := find_obstacle(now)) is not None:
            return ManifestsResult(obstacle=obstacle)
        head = now.current_snapshot()
        manifests = head.manifests(now.io) if head else []
        before, after = len(manifests), RewriteManifests.least(now, manifests)
        if after >= before:
            return ManifestsResult(before, before)
        if not dry_run:
            transaction = now.transaction()
            after = replace_manifests(transaction, watermark_summary(now))
            transaction.commit_transaction()
        return ManifestsResult(before, after, sum(m.manifest_length for m in manifests))

    name = dataset.qualified(table)
    try:
        return commit_certainly(f"Rewriting the manifests of {name}", attempt, _COMMIT_SECONDS)
    except CommitContention as error:
        logger.info("The rewrite of the manifests of %s was given up: %s", name, error)
        return ManifestsResult()
