"""What must hold of the tables and the log after each step, whatever other writers did.

The oracle follows every table snapshot by snapshot: a snapshot that names a load must hold what
the load makes of the snapshot's parent, and no load comes twice. Timing is thus nothing that the
model has to foresee.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pyiceberg.exceptions import NoSuchTableError

from faults.open_world.notes import Notes
from faults.open_world.project import NAMESPACE, NESTED, TABLES, Operation, Row
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import ENGINE_NAME, head_of
from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    BLOCKED_SUFFIX,
    PUBLISHED_SNAPSHOT,
    SUMMARY_LOAD_ID,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table

ROOTS = tuple(sorted(set(TABLES.values())))


@dataclass
class Oracle:
    """The reference.

    Attributes:
        operations: The loads that were started, by dlt's load id.
        published: For each table's uuid the loads whose snapshots were seen.
        settled_before: For each table's name the loads that may not come back, since they were
            settled when another writer dropped or renamed it.
        rows: The rows of each snapshot that was seen, of root tables.
        committed: The load ids in the log, with their seqs; those that were deleted from it too.
        generations: How often another writer dropped, renamed or re-created a table, by its name.
        lost: The load ids that the log had once and has no more.
        given_up: The load ids that another writer's drop of a table or a row excuses, by table.
        orphans: The root rows that another writer removed, whose nested rows remain.
        childless: The root rows that another writer added, without nested rows.
        released: The load ids that a release gave up for a root table.
        notes: What becomes of the values of a column.
    """

    catalog: Catalog
    operations: dict[str, Operation] = field(default_factory=dict)
    published: dict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    settled_before: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    rows: dict[int, Counter[Row]] = field(default_factory=dict)
    seen: set[tuple[str, int]] = field(default_factory=set)
    committed: dict[str, int] = field(default_factory=dict)
    generations: Counter[str] = field(default_factory=Counter)
    lost: set[str] = field(default_factory=set)
    given_up: set[tuple[str, str]] = field(default_factory=set)
    orphans: set[str] = field(default_factory=set)
    childless: set[str] = field(default_factory=set)
    released: set[tuple[str, str]] = field(default_factory=set)
    notes: Notes = field(default_factory=Notes)

    @property
    def dataset(self) -> Dataset:
        """The dataset, read as it is now."""
        return Dataset(self.catalog, NAMESPACE)

    def table(self, name: str) -> Table | None:
        """Load a table, None if it is not there."""
        try:
            return self.catalog.load_table((NAMESPACE, name))
        except NoSuchTableError:
            return None

    def observe(self) -> None:
        """Check everything."""
        self._check_log()
        for name in (*ROOTS, NESTED):
            table = self.table(name)
            if table is not None:
                self._follow(name, table)
                _check_clock(name, table)
                _ = table.scan().to_arrow()
                if name in ROOTS:
                    self.notes.check(name, table)
        self._check_tree()
        self._check_cursors()
        self._check_losses()

    def _check_log(self) -> None:
        view = self.dataset.log.read()
        if view is None:
            return
        rows = view.table.scan().to_arrow().sort_by("seq").to_pylist()
        seqs = [row["seq"] for row in rows]
        uids = [row["load_uid"] for row in rows]
        assert len(set(seqs)) == len(seqs), f"a seq is in the log twice: {seqs}"
        assert len(set(uids)) == len(uids), "a load is in the log twice"
        highest = max(self.committed.values(), default=0)
        for row in rows:
            load_id, seq = row["load_id"], row["seq"]
            if load_id not in self.committed or self._is_loaded_again(load_id, seq):
                assert seq > highest, f"load {load_id} got seq {seq}, below {highest}"
                self.committed[load_id] = seq
            assert self.committed[load_id] == seq, f"the seq of load {load_id} changed"
        _check_clock("the log", view.table)
        load_ids = {seq: load_id for load_id, seq in self.committed.items()}
        for load in view.after(0):
            self.released |= {(load_ids[r.seq], r.table) for r in load.intent.releases}
        self.lost |= self.committed.keys() - {row["load_id"] for row in rows}

    def _is_loaded_again(self, load_id: str, seq: int) -> bool:
        """Return whether the log lost a load's row, and its package was then loaded again.

        A package that is still in a working directory cannot be found in the log, so it is a new
        load, which is right as long as the lost one was never published. It was not where it was
        blocked: such a load counts as settled, so that its loss does not stop others.
        """
        if load_id not in self.lost or self.committed[load_id] == seq:
            return False
        operation = self.operations[load_id]
        was_published = self.is_published(operation)
        assert not was_published, f"{operation} was published, lost from the log and loaded again"
        self.lost.discard(load_id)
        return True

    def _follow(self, name: str, table: Table) -> None:
        uuid = self._uuid(name, table)
        snapshots = sorted(table.metadata.snapshots, key=lambda s: s.sequence_number or 0)
        for snapshot in snapshots:
            if (uuid, snapshot.snapshot_id) in self.seen:
                continue
            self.seen.add((uuid, snapshot.snapshot_id))
            if name in ROOTS:
                self.rows[snapshot.snapshot_id] = rows_of(table, snapshot.snapshot_id)
            summary = snapshot.summary.additional_properties if snapshot.summary else {}
            if load_id := summary.get(SUMMARY_LOAD_ID):
                parent = self.rows.get(snapshot.parent_snapshot_id or 0, Counter())
                self._check_published(name, uuid, load_id, parent, snapshot.snapshot_id)

    def _uuid(self, name: str, table: Table) -> str:
        return f"{table.metadata.table_uuid}/{self.generations[name]}"

    def _check_published(
        self, name: str, uuid: str, load_id: str, parent: Counter[Row], snapshot: int
    ) -> None:
        assert load_id in self.committed, f"{name} shows load {load_id}, which is not committed"
        earlier = self.published[(name, uuid)]
        assert load_id not in earlier, f"load {load_id} came twice to {name}"
        assert load_id not in self.settled_before[name], f"settled load {load_id} is back in {name}"
        newest = max((self.committed[x] for x in earlier), default=0)
        assert self.committed[load_id] > newest, f"{name} got load {load_id} out of order"
        earlier.append(load_id)
        operation = self.operations[load_id]
        if name == operation.table:
            expected = operation.apply(parent)
            got = self.rows[snapshot]
            assert got == expected, (
                f"{name} after {operation}: missing {expected - got}, too many {got - expected}"
            )

    def _check_tree(self) -> None:
        root, nested = self.table("users"), self.table(NESTED)
        if root is None or nested is None:
            return
        if watermark_of(root, self._log()) != watermark_of(nested, self._log()):
            return
        roots = row_keys(root)
        parents = nested.scan().to_arrow()["_dlt_parent_id"].to_pylist()
        assert len(set(parents)) == len(parents), "a nested row is there twice"
        orphans = set(parents) - roots - self.orphans
        assert not orphans, f"nested rows without their root rows: {orphans}"
        childless = roots - set(parents) - self.childless
        assert not childless, f"root rows without their nested rows: {childless}"

    def is_tree_rolled_back(self) -> bool:
        """Return whether the next load of the tree is the first one after a rollback of the root.

        As long as the snapshot that was published last is there, and no load is still pending.
        """
        table = self.table("users")
        published = table.properties.get(PUBLISHED_SNAPSHOT) if table else None
        if table is None or published is None:
            return False
        parents = {s.snapshot_id: s.parent_snapshot_id for s in table.metadata.snapshots}
        snapshot = head_of(table)
        while snapshot in parents and snapshot != int(published):
            snapshot = parents[snapshot]
        given_up = self.released | self.given_up
        is_pending = any(
            operation.table == "users" and x in self.committed and not self.is_published(operation)
            for x, operation in self.operations.items()
            if (x, "users") not in given_up
        )
        return int(published) in parents and snapshot != int(published) and not is_pending

    def check_rollback_followed(self) -> None:
        """Check that no nested row is left of a root row that a rollback has removed."""
        nested = self.table(NESTED)
        parents = nested.scan().to_arrow()["_dlt_parent_id"].to_pylist() if nested else []
        left = set(parents) - row_keys(self.table("users"))
        assert not left, f"the rollback of users was not followed: {left}"
        self.orphans.clear()

    def note_others_rows(self, before: set[Any]) -> None:
        """Note which root rows another writer has removed, and which it has added.

        Args:
            before: The keys of the root rows before.
        """
        after = row_keys(self.table("users"))
        self.orphans = (self.orphans | (before - after)) - (after - before)
        self.childless = (self.childless | (after - before)) - (before - after)

    def _log(self) -> str:
        view = self.dataset.log.read()
        return view.uuid if view else ""

    def _check_cursors(self) -> None:
        by_pipeline: dict[str, list[int]] = defaultdict(list)
        for load_id, _ in sorted(self.committed.items(), key=lambda item: item[1]):
            operation = self.operations.get(load_id)
            if operation is None or operation.table != "events":
                continue
            ids = by_pipeline[operation.pipeline]
            if operation.resets_cursor:
                ids.clear()
            if ids:
                first = operation.rows[0]
                assert first == ids[-1] + 1, f"{operation} does not begin after {ids[-1]}"
            ids += operation.rows

    def _check_losses(self) -> None:
        view = self.dataset.log.read()
        if view is None:
            return
        released = {(r.seq, r.table) for load in view.after(0) for r in load.intent.releases}
        for load_id, seq in self.committed.items():
            operation = self.operations.get(load_id)
            if operation is None or (load_id, operation.table) in self.given_up:
                continue
            if any(
                load_id in loads for (n, _), loads in self.published.items() if n == operation.table
            ):
                continue
            if (seq, operation.table) in released or view.is_pending(seq, operation.table):
                continue
            assert self._is_superseded(operation, seq), f"{operation} was lost"

    def _is_superseded(self, operation: Operation, seq: int) -> bool:
        return any(
            later.starts_empty and later.table == operation.table and self.committed[x] > seq
            for x, later in self.operations.items()
            if x in self.committed
        )

    def is_published(self, operation: Operation) -> bool:
        """Return whether the load's table was seen with it."""
        return any(
            operation.load_id in loads
            for (name, _), loads in self.published.items()
            if name == operation.table
        )

    def contents(self) -> list[object]:
        """Return the rows of each root table, and the keys of the nested one."""
        found = (self.table(name) for name in ROOTS)
        return [
            *(rows_of(table) if table else None for table in found),
            row_keys(self.table(NESTED)),
        ]

    def check_quarantine(self) -> None:
        """Check that the quarantine tables have the rows of released loads once, and no others."""
        self.observe()
        for name in ROOTS:
            table, quarantine = self.table(name), self.table(name + BLOCKED_SUFFIX)
            published = self.published[(name, self._uuid(name, table))] if table else []
            found: Counter[Row] = rows_of(quarantine) if quarantine else Counter()
            expected: Counter[Row] = Counter()
            for load_id in (load_id for load_id, released in self.released if released == name):
                operation = self.operations[load_id]
                expected += Counter((n, operation.name) for n in operation.rows)
                assert load_id not in published, f"{operation} was published and released"
            assert found == expected, (
                f"quarantine of {name}: missing {expected - found}, too many {found - expected}"
            )


def _check_clock(name: str, table: Table) -> None:
    """Check that no snapshot of this project's is older than the one before it."""
    times = {s.snapshot_id: s.timestamp_ms for s in table.metadata.snapshots}
    for snapshot in table.metadata.snapshots:
        summary = snapshot.summary.additional_properties if snapshot.summary else {}
        before = times.get(snapshot.parent_snapshot_id or 0, 0)
        if summary.get("engine-name") == ENGINE_NAME:
            assert snapshot.timestamp_ms >= before, f"{name} has snapshots in the wrong order"


def rows_of(table: Table, snapshot_id: int | None = None) -> Counter[Row]:
    """Return how often each row is there."""
    fields = ("id", "by")
    found: pa.Table = table.scan(snapshot_id=snapshot_id, selected_fields=fields).to_arrow()
    return Counter(zip(found["id"].to_pylist(), found["by"].to_pylist(), strict=True))


def row_keys(table: Table | None) -> set[Any]:
    """Return dlt's keys of a table's rows."""
    return set(table.scan().to_arrow()["_dlt_id"].to_pylist()) if table else set()
