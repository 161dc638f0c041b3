"""The model: this project's loads among other writers, operators, a clock and rights."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common.schema.utils import has_table_seen_data
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)
from pyiceberg.exceptions import ForbiddenError

from faults.open_world import others, upkeep
from faults.open_world.oracle import ROOTS, Oracle, row_keys
from faults.open_world.project import NAMESPACE, NESTED, Kind, Operation
from faults.open_world.surroundings import Died, Surroundings
from floe_ingestion_defs.destinations import (
    Dataset,
    open_catalog,
    recover,
    release_blocked,
    remove_orphans,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import head_of
from floe_ingestion_defs.destinations.impl.iceberg.errors import LogBehindTables

if TYPE_CHECKING:
    from pyiceberg.table import Table

Act = Callable[[Dataset, str], None]
BOUNDARIES = 30
DAY = 86400.0
FIRST_LOADS: list[Kind] = ["append", "merge", "append", "merge"]
# In each history, since trouble often keeps later loads from following a rollback.
AFTER_ROLLBACKS: list[Kind] = ["add", "merge"]
# The first one is committed in any state of its table, so its seq is checked.
ON_DAMAGE: list[tuple[Kind, str]] = [("replace", "shop"), ("append", "shop"), ("append", "mail")]

pipelines = st.sampled_from(["shop", "shop", "mail"])
ids = st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True).map(tuple)
deaths = st.none() | st.none() | st.integers(0, BOUNDARIES)
few_deaths = st.none() | st.integers(0, 8)
# Some of its tables are published, and that is not recorded.
late_deaths = st.integers(12, 17)
others_between = st.sampled_from(others.BETWEEN)
roots = st.sampled_from(ROOTS)
tables = st.sampled_from([*ROOTS, NESTED])


class OpenWorld(RuleBasedStateMachine):
    """One dataset, two pipelines of this project, and of other writers."""

    surroundings: Surroundings

    @initialize()
    def open(self) -> None:
        """Start with a catalog of its own, tables of two loads each, and rollbacks of one."""
        self.folder = Path(tempfile.mkdtemp(prefix="floe-open-world-"))
        os.environ["FLOE_HOME"] = str(self.folder / "floe")
        self.oracle = Oracle(open_catalog())
        self.count = 0
        self.directories: dict[str, int] = {"shop": 0, "mail": 0}
        self.newest_directory: dict[str, int] = {"shop": 0, "mail": 0}
        self.spoiled: set[str] = set()
        self.log_before: int | None = None
        self.log_damaged: int | None = None
        self.log_was_damaged = False
        self.surroundings.forbidden.clear()
        self.surroundings.clock = 0.0
        for kind in FIRST_LOADS:
            self._load(kind, "shop", (1, 2), None)
        for kind in AFTER_ROLLBACKS:
            self.load_after_a_rollback(kind, (2,))

    def teardown(self) -> None:
        """Heal what is troubled, check that nothing is left, and load after the loss of a load."""
        if not hasattr(self, "folder"):
            return
        try:
            if sys.exc_info()[0] is None:
                self.heal()
                self._load("replace", "shop", (1,), None)
                self.damage_the_log(others.delete_newest_log_row, loads=True)
                self.oracle.observe()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # This project.

    @rule(pipeline=pipelines, ids=ids, die_at=deaths)
    def append(self, pipeline: str, ids: tuple[int, ...], die_at: int | None) -> None:
        """Append rows after the cursor."""
        self._load("append", pipeline, ids, die_at)

    @rule(kind=st.sampled_from(["merge", "add"]), pipeline=pipelines, ids=ids, die_at=deaths)
    def nested(self, kind: Kind, pipeline: str, ids: tuple[int, ...], die_at: int | None) -> None:
        """Merge rows with nested ones, or append them to the same table."""
        self._load(kind, pipeline, ids, die_at)

    @rule(kind=st.sampled_from(["replace", "window"]), pipeline=pipelines, ids=ids, die_at=deaths)
    def replace(self, kind: Kind, pipeline: str, ids: tuple[int, ...], die_at: int | None) -> None:
        """Replace a table or a window of it."""
        self._load(kind, pipeline, ids, die_at)

    @rule(kind=st.sampled_from(["refresh", "drop_data"]), ids=ids, die_at=deaths)
    def refresh(self, kind: Kind, ids: tuple[int, ...], die_at: int | None) -> None:
        """Load a table from its beginning."""
        self._load(kind, "shop", ids, die_at)

    @rule(pipeline=pipelines, ids=ids)
    def load_without_death(self, pipeline: str, ids: tuple[int, ...]) -> None:
        """Load rows, in a process that lives."""
        self._load("append" if len(ids) % 2 else "merge", pipeline, ids, None)

    def _load(self, kind: Kind, pipeline: str, ids: tuple[int, ...], die_at: int | None) -> None:
        operation = Operation(f"op{self.count}", kind, pipeline, ids)
        self.count += 1
        with self._running(operation, die_at) as run:
            run.sync_destination()
            while run.has_pending_data:
                self._load_package(run)
            tables = run.default_schema.tables if run.default_schema_name else {}
            operation.knows_table = has_table_seen_data(tables.get(operation.table, {}))
            follows_rollback = operation.table == "users" and self.oracle.is_tree_rolled_back()
            info = run.extract(operation.resource(), refresh=operation.refresh)
            operation.load_id = info.loads_ids[-1]
            self.oracle.operations[operation.load_id] = operation
            self._load_package(run)
            self.oracle.observe()
            assert self.oracle.is_published(operation), f"{operation} was not published"
            if follows_rollback:
                self.oracle.check_rollback_followed()

    def _load_package(self, run: dlt.Pipeline) -> None:
        run.normalize()
        pending = run.list_normalized_load_packages()
        self.under_way = self.oracle.operations.get(pending[0]) if pending else None
        run.load()
        self.under_way = None

    @contextmanager
    def _running(self, operation: Operation, die_at: int | None) -> Any:
        name = operation.pipeline
        self.under_way = None
        run = dlt.pipeline(
            name,
            destination="iceberg",
            dataset_name=NAMESPACE,
            pipelines_dir=str(self.folder / f"{name}-{self.directories[name]}"),
        )
        try:
            with self.surroundings.load(die_at):
                yield run
        except Died:
            pass
        except AssertionError:
            raise
        except Exception as error:
            self._require_reason(self.under_way or operation, error)
        finally:
            run.deactivate()

    def _require_reason(self, operation: Operation, error: Exception) -> None:
        cause = getattr(error, "exception", error)
        kind = type(cause).__name__
        if self.log_before is not None and kind == "LogBehindTables":
            return
        if kind == "StateConflict" and (
            self.newest_directory[operation.pipeline] or self.log_was_damaged
        ):
            return
        if self._troubled(operation):
            return
        msg = f"{operation} failed without a reason: {kind}: {cause}"
        raise AssertionError(msg) from error

    def _troubled(self, operation: Operation) -> bool:
        own = {operation.table, "_dlt_version", "_dlt_pipeline_state"}
        if operation.table == "users":
            own.add(NESTED)
        view = self.oracle.dataset.log.read()
        blocked = set(view.blocked) if view else set()
        return bool(own & (self.spoiled | self.surroundings.forbidden | blocked))

    @precondition(lambda self: self.count > 1)
    @rule(pipeline=pipelines, is_new=st.booleans())
    def change_the_working_directory(self, pipeline: str, is_new: bool) -> None:
        """Continue in a new working directory, as a pod does, or in the first one as it is."""
        self.newest_directory[pipeline] += is_new
        self.directories[pipeline] = self.newest_directory[pipeline] if is_new else 0

    @precondition(lambda self: self.count > 1)
    @rule()
    def recover(self) -> None:
        """Publish what is left, as the maintenance job does."""
        if view := self.oracle.dataset.log.read():
            with self.surroundings.load():
                recover(self.oracle.dataset, view)

    @precondition(lambda self: self.count > 1)
    @rule(name=tables, die_at=few_deaths, act=st.sampled_from(upkeep.ACTIONS))
    def maintain(self, name: str, die_at: int | None, act: Act) -> None:
        """Maintain a table, as the maintenance job does, or release it, as an operator does."""
        self.oracle.observe()
        before = self.oracle.contents()
        is_damaged = self.log_before is not None
        expected = (Died, LogBehindTables) if is_damaged else (Died,)
        with suppress(*expected), self.surroundings.load(die_at):
            try:
                act(self.oracle.dataset, name)
            except ForbiddenError:
                assert self.surroundings.forbidden & {name, NESTED}
        assert act is upkeep.release or self.oracle.contents() == before

    @precondition(lambda self: self.count > 1)
    @rule(hours=st.sampled_from([0, 30]))
    def sweep(self, hours: int) -> None:
        """Sweep orphans, with a clock that is ahead by some hours."""
        if self.oracle.dataset.log.read() is None:
            return
        before, self.surroundings.clock = self.surroundings.clock, hours * 3600.0
        # A damaged log is swept after it is repaired only.
        is_damaged = self.log_before is not None
        with self.surroundings.load(), suppress(*([LogBehindTables] if is_damaged else [])):
            remove_orphans(self.oracle.dataset, timedelta(days=1), dry_run=False)
        self.surroundings.clock = before

    @precondition(lambda self: self.count > 1)
    @rule()
    def heal(self) -> None:
        """Give every right back, repair or release every table, and publish what is left."""
        self.surroundings.forbidden.clear()
        self.mend_the_log()
        view = self.oracle.dataset.log.read()
        if view is None:
            return
        # dlt's own tables among the blocked ones: the right to write them may have been missing.
        for name in sorted({*ROOTS, *view.blocked}):
            with self.surroundings.load():
                release_blocked(self.oracle.dataset, name)
        view = self.oracle.dataset.log.read()
        assert view is not None
        with self.surroundings.load():
            failed = recover(self.oracle.dataset, view)
        assert not failed, f"still not published: {failed}"
        view = self.oracle.dataset.log.read()
        assert view is not None
        assert not view.blocked, f"still blocked: {view.blocked}"
        left = [load.seq for load in view.unsettled()]
        assert not left, f"still not settled: {left}"
        if not self.log_was_damaged:
            self.oracle.check_quarantine()

    @rule(kind=st.sampled_from(["merge", "append"]), action=others_between, die_at=late_deaths)
    def load_around_another_writer(
        self, kind: Kind, action: Callable[[Table], None], die_at: int
    ) -> None:
        """Die late in a load, let another writer act on each of its tables, and load again."""
        self._load(kind, "shop", (1, 3), die_at)
        for name in ("users", NESTED) if kind == "merge" else ("events",):
            if name != NESTED or action is not others.roll_back:
                self._other(name, action)
        self._load(kind, "shop", (2,), None)

    @rule(kind=st.sampled_from(["merge", "add"]), ids=ids)
    def load_after_a_rollback(self, kind: Kind, ids: tuple[int, ...]) -> None:
        """Load into a table that another writer rolled back, while its nested table stayed."""
        self._other("users", others.roll_back)
        self._load(kind, "shop", ids, None)

    # The others.

    def _other(self, name: str, action: Callable[..., Any], *arguments: Any) -> None:
        self.oracle.observe()
        table = self.oracle.table(name)
        if table is None:
            return
        before = row_keys(self.oracle.table("users"))
        action(table, *arguments)
        self.oracle.note_others_rows(before)
        self.oracle.observe()

    @precondition(lambda self: self.count > 1)
    @rule(name=roots, ids=ids, is_append=st.booleans())
    def others_write(self, name: str, ids: tuple[int, ...], is_append: bool) -> None:
        """Another writer appends or deletes rows."""
        self.count += 1
        arguments = (
            (others.append, ids, f"other{self.count}") if is_append else (others.delete, ids)
        )
        self._other(name, *arguments)

    @precondition(lambda self: self.count > 1)
    @rule(name=tables, action=st.sampled_from(others.MAINTENANCE))
    def others_maintain(self, name: str, action: Callable[[Table], None]) -> None:
        """Another engine does what keeps the rows."""
        self._other(name, action)

    @precondition(lambda self: self.count > 1)
    @rule(name=roots, action=st.sampled_from([others.roll_back, *others.COLUMN_ACTIONS]))
    def others_change(self, name: str, action: Callable[[Table], None]) -> None:
        """Another writer rolls back, or adds, drops, renames or spoils a column."""
        self._other(name, self.oracle.notes.followed(name, action))
        if table := self.oracle.table(name):
            self.spoiled.discard(name)
            if others.is_spoilt(table):
                self.spoiled.add(name)

    @precondition(lambda self: self.count > 1)
    @rule(name=roots, how=st.sampled_from(["drop", "rename", "re-create"]))
    def others_drop(self, name: str, how: str) -> None:
        """An operator drops, renames or re-creates a table."""
        self.oracle.observe()
        table = self.oracle.table(name)
        view = self.oracle.dataset.log.read()
        if table is None or view is None:
            return
        for load_id, operation in self.oracle.operations.items():
            if load_id not in self.oracle.committed or operation.table != name:
                continue
            if view.is_pending(self.oracle.committed[load_id], name):
                self.oracle.given_up.add((load_id, name))
            else:
                self.oracle.settled_before[name].add(load_id)
        self.oracle.generations[name] += 1
        self.oracle.notes.forget(name)
        before = row_keys(self.oracle.table("users"))
        if how == "rename":
            self.count += 1
            self.oracle.catalog.rename_table((NAMESPACE, name), (NAMESPACE, f"{name}_{self.count}"))
        else:
            self.oracle.catalog.drop_table((NAMESPACE, name))
        self.spoiled.discard(name)
        if how == "re-create":
            self.oracle.catalog.create_table(
                (NAMESPACE, name), table.schema(), location=f"{table.location()}-{self.count}"
            )
            if others.is_spoilt(table):
                self.spoiled.add(name)
        self.oracle.note_others_rows(before)

    @precondition(lambda self: self.count > 1 and self.log_before is None)
    @rule(action=st.sampled_from(others.DAMAGES), loads=st.booleans())
    def damage_the_log(self, action: Callable[[Table], None], loads: bool) -> None:
        """Roll the log back, or delete a row of it; loads may meet it before it is repaired."""
        self.oracle.observe()
        if log := self.oracle.table("_dlt_loads"):
            before = head_of(log)
            action(log)
            if (after := head_of(log.refresh())) != before:
                self.log_before, self.log_damaged = before, after
                self.log_was_damaged = True
                for kind, pipeline in ON_DAMAGE if loads else ():
                    self._load(kind, pipeline, (1,), None)

    @precondition(lambda self: self.log_before is not None)
    @rule()
    def mend_the_log(self) -> None:
        """Roll the log forward, unless loads were committed since."""
        log = self.oracle.table("_dlt_loads")
        if log and self.log_before is not None and head_of(log) == self.log_damaged:
            others.undo(log, self.log_before)
            self.log_before = None

    @precondition(lambda self: self.count > 1)
    @rule(denied=st.none() | st.sampled_from([*ROOTS, NESTED, "_dlt_pipeline_state"]))
    def change_rights(self, denied: str | None) -> None:
        """The catalog denies this project one more table, or none any more."""
        if denied:
            self.surroundings.forbidden.add(denied)
        else:
            self.surroundings.forbidden.clear()

    @precondition(lambda self: self.count > 1)
    @rule(seconds=st.sampled_from([-DAY, -120.0, 0.0, 600.0, DAY / 2]))
    def jump(self, seconds: float) -> None:
        """The clock jumps."""
        self.surroundings.clock = seconds

    @invariant()
    def holds(self) -> None:
        """Check everything after each step."""
        if hasattr(self, "oracle"):
            self.oracle.observe()
