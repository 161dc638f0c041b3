"""Which snapshots of a table are kept, and the expiry of the others in a commit.

Each commit writes the list of all snapshots again, so without expiry each load would cost more than
the one before. Publishing therefore expires snapshots itself, in the commit that it makes anyway;
their files are left to maintenance.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from pyiceberg.table.update.snapshot import ExpireSnapshots

from floe_ingestion_defs.destinations.impl.iceberg.catalog.replace_snapshot import is_replacement
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    PUBLISHED_SNAPSHOT,
    SUMMARY_SEQ,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyiceberg.table import Transaction
    from pyiceberg.table.metadata import TableMetadata
    from pyiceberg.table.refs import SnapshotRef
    from pyiceberg.table.snapshots import Snapshot

# Iceberg's properties of a table, which override the defaults here.
MAX_AGE_PROPERTY = "history.expire.max-snapshot-age-ms"
MIN_SNAPSHOTS_PROPERTY = "history.expire.min-snapshots-to-keep"
GC_PROPERTY = "gc.enabled"

# The default of Iceberg.
MAX_AGE = timedelta(days=5)
MIN_SNAPSHOTS = 10
# Of a table that is loaded so often that it has more young snapshots than this, the older ones of
# each hour but the last expire, too, unless its properties say how long snapshots are kept.
MOST_RECENT = 100
_HOUR_MS = 3_600_000
# Other engines' properties may have longer ages, such as Java's largest number for "keep all".
_LONGEST_MS = timedelta.max // timedelta(milliseconds=1)
# So that a commit rarely has to expire any.
_EXPIRED_AT_ONCE = 25


@dataclass(frozen=True)
class Retention:
    """How long snapshots are kept.

    Attributes:
        max_age: A snapshot expires so long after it ceased to be the table's current one.
        min_snapshots: So many of the newest snapshots of `main` never expire.
        most_recent: Of the snapshots that are not among so many of the newest, only the last of
            each hour is kept; None to keep all. Those that were never on `main` count separately.
    """

    max_age: timedelta = MAX_AGE
    min_snapshots: int = MIN_SNAPSHOTS
    most_recent: int | None = MOST_RECENT

    @classmethod
    def of_table(
        cls,
        metadata: TableMetadata,
        max_age: timedelta | None = None,
        min_snapshots: int | None = None,
    ) -> Retention:
        """Return the retention that a table's properties define.

        Args:
            metadata: The table.
            max_age: The age where the properties do not define one.
            min_snapshots: The number where they do not.
        """
        age, count = (
            _whole_number(metadata.properties.get(name))
            for name in (MAX_AGE_PROPERTY, MIN_SNAPSHOTS_PROPERTY)
        )
        default_count = MIN_SNAPSHOTS if min_snapshots is None else min_snapshots
        default_age = MAX_AGE if max_age is None else max_age
        return cls(
            default_age if age is None else _age(age),
            max(1, default_count if count is None else count),
            MOST_RECENT if age is None else None,
        )


def _whole_number(value: str | None) -> int | None:
    """Return a property as a number; one that is not valid counts as not set."""
    return int(value) if value is not None and value.isdecimal() else None


def _age(milliseconds: int) -> timedelta:
    """Return an age, at most the longest that Python can represent."""
    return timedelta(milliseconds=min(milliseconds, _LONGEST_MS))


def is_expiry_allowed(metadata: TableMetadata) -> bool:
    """Return whether snapshots may expire: clones, and tables that share files, forbid it."""
    return metadata.properties.get(GC_PROPERTY, "true").lower() != "false"


def expire_in(transaction: Transaction) -> None:
    """Expire snapshots in a transaction, if there are enough to expire.

    Args:
        transaction: A transaction on a table, which may have added a snapshot.
    """
    metadata = transaction.table_metadata
    if len(metadata.snapshots) <= MIN_SNAPSHOTS or not is_expiry_allowed(metadata):
        return
    expired = expired_snapshots(metadata)
    if len(expired) >= _EXPIRED_AT_ONCE:
        ExpireSnapshots(transaction).by_ids([s.snapshot_id for s in expired]).commit()


def expired_snapshots(
    metadata: TableMetadata, retention: Retention | None = None
) -> list[Snapshot]:
    """Return the snapshots of a table that are not kept, oldest first.

    A snapshot is kept if a branch or a tag refers to it, if it is what the table's watermark
    depends on, or by the retention of the table or of a branch. All are kept if `gc.enabled` is
    false.

    Args:
        metadata: The table.
        retention: How long its snapshots are kept, by default as its properties define.
    """
    if not is_expiry_allowed(metadata):
        return []
    retention = retention or Retention.of_table(metadata)
    history = _History(metadata)
    kept = set(history.needed())
    for ref in metadata.refs.values():
        kept |= set(history.of_branch(ref, retention))
    newest_first = sorted(
        metadata.snapshots, key=lambda s: (s.sequence_number or 0, s.timestamp_ms), reverse=True
    )
    # Commits to branches of other writers do not count as commits to `main`.
    of_main = [s for s in newest_first if history.was_current(s)]
    others = [s for s in newest_first if not history.was_current(s)]
    kept.update(_young(of_main, history, retention))
    kept.update(_young(others, history, replace(retention, min_snapshots=0)))
    return [s for s in reversed(newest_first) if s.snapshot_id not in kept]


def _young(
    newest_first: Iterable[Snapshot], history: _History, retention: Retention
) -> Iterator[int]:
    """Yield the snapshots that are kept by their number and age."""
    hours: set[int] = set()
    for number, snapshot in enumerate(newest_first):
        hour = snapshot.timestamp_ms // _HOUR_MS
        is_recent = retention.most_recent is None or number < retention.most_recent
        is_young = history.age_of(snapshot) < retention.max_age
        if number < retention.min_snapshots or (is_young and (is_recent or hour not in hours)):
            yield snapshot.snapshot_id
        hours.add(hour)


@dataclass
class _History:
    metadata: TableMetadata
    now: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __post_init__(self) -> None:
        self._by_id = {s.snapshot_id: s for s in self.metadata.snapshots}
        self._last_current: dict[int, int] = {}
        log = self.metadata.snapshot_log
        self._current = {entry.snapshot_id for entry in log}
        for entry, following in pairwise(log):
            self._last_current[entry.snapshot_id] = following.timestamp_ms

    def was_current(self, snapshot: Snapshot) -> bool:
        """Return whether `main` ever referred to a snapshot."""
        return snapshot.snapshot_id in self._current

    def age_of(self, snapshot: Snapshot) -> timedelta:
        """Return how long ago a snapshot ceased to be the table's current one.

        Not how long ago it was made: a reader may have begun to read it just before the next one.
        """
        since = self._last_current.get(snapshot.snapshot_id, snapshot.timestamp_ms)
        return self.now - datetime.fromtimestamp(since / 1000, UTC)

    def needed(self) -> Iterator[int]:
        """Yield the snapshots that refs reach, and those that the destination reads."""
        yield from (ref.snapshot_id for ref in self.metadata.refs.values())
        if published := self.metadata.properties.get(PUBLISHED_SNAPSHOT):
            yield int(published)
        highest = max(self.metadata.snapshots, key=_seq_of, default=None)
        if highest is not None and _seq_of(highest) >= 0:
            yield highest.snapshot_id
        if (main := self.metadata.refs.get("main")) is not None:
            changes = (s for s in self._ancestors(main.snapshot_id) if not is_replacement(s))
            yield from (s.snapshot_id for s in (next(changes, None),) if s is not None)

    def of_branch(self, ref: SnapshotRef, retention: Retention) -> Iterator[int]:
        """Yield what a branch keeps of its own history."""
        least = ref.min_snapshots_to_keep or retention.min_snapshots
        age = ref.max_snapshot_age_ms
        longest = _age(age) if age is not None else timedelta()
        if ref.snapshot_ref_type != "branch":
            return
        for number, snapshot in enumerate(self._ancestors(ref.snapshot_id)):
            if number < least or self.age_of(snapshot) < longest:
                yield snapshot.snapshot_id

    def _ancestors(self, snapshot_id: int) -> Iterator[Snapshot]:
        snapshot = self._by_id.get(snapshot_id)
        while snapshot is not None:
            yield snapshot
            parent = snapshot.parent_snapshot_id
            snapshot = self._by_id.get(parent) if parent is not None else None


def _seq_of(snapshot: Snapshot) -> int:
    summary = snapshot.summary
    return int(summary.additional_properties.get(SUMMARY_SEQ, -1)) if summary else -1
