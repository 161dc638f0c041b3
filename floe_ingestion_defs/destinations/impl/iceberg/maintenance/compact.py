"""Compacting a table: small files, and files with many deleted rows, are combined to larger ones.

The rows stay the same. Files are rewritten without holding anything up, and committed against the
head that is there then: where a load has changed or removed a file in the meantime, its group is
given up, and the load stays as it is.
"""

from __future__ import annotations

import logging
from concurrent.futures import Executor, as_completed
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyiceberg.manifest import ManifestContent

from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import require_own
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import replace_files
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitContention, ReadTooLongAgo
from floe_ingestion_defs.destinations.impl.iceberg.files.position_deletes import unneeded_deletes
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_summary
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import (
    find_obstacle,
    plan_compaction,
)
from floe_ingestion_defs.destinations.impl.iceberg.maintenance.rewrite import (
    TableWork,
    rewrite_group,
)
from floe_ingestion_defs.destinations.impl.iceberg.parallel.executors import (
    open_executor,
    tasks_at_once,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from pyiceberg.manifest import DataFile
    from pyiceberg.table import FileScanTask, Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import CompactionOptions
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import FileGroup

logger = logging.getLogger(__name__)

# What is rewritten between two commits, and so what a killed process loses; more only if the
# executor has tasks for more at once.
COMMIT_BYTES = 10 * 1024**3
# A compaction that loads keep from committing for so long is given up.
_COMMIT_SECONDS = 30.0
_THREADS = 2


@dataclass
class CompactionResult:
    """What a compaction did.

    Attributes:
        files_before: The number of the table's data files.
        files_removed: The number of data files that were replaced.
        files_added: The number of data files that replaced them.
        deletes_removed: The number of delete files that were no longer needed.
        bytes_removed: The size of the replaced data files.
        bytes_added: The size of the new data files.
        groups_given_up: The number of groups that a load changed in the meantime.
        obstacle: Why the table cannot be compacted, None if it can.
    """

    files_before: int = 0
    files_removed: int = 0
    files_added: int = 0
    deletes_removed: int = 0
    bytes_removed: int = 0
    bytes_added: int = 0
    groups_given_up: int = 0
    obstacle: str | None = None


@dataclass(frozen=True)
class _Rewritten:
    group: FileGroup
    added: tuple[DataFile, ...]

    def applies_to(self, live: dict[str, FileScanTask]) -> bool:
        """Return whether the files that were read are all live, with the same deletes."""
        return all(
            (found := live.get(task.file.file_path)) is not None
            and found.delete_files == task.delete_files
            for task in self.group.tasks
        )

    def is_committed(self, live: dict[str, FileScanTask]) -> bool:
        """Return whether an attempt whose outcome was unknown has committed the new files."""
        replaced = not any(task.file.file_path in live for task in self.group.tasks)
        return replaced and all(file.file_path in live for file in self.added)


@dataclass
class _Commit:
    """One commit of rewritten groups, as far as they still apply."""

    removed: list[DataFile] = field(default_factory=list)
    deletes: list[DataFile] = field(default_factory=list)
    committed: list[_Rewritten] = field(default_factory=list)


def compact(
    dataset: Dataset,
    table: str,
    options: CompactionOptions | None = None,
    executor: Executor | None = None,
) -> CompactionResult:
    """Combine small data files of a table, and rewrite those with many deleted rows.

    Readers see the same rows before and after it, and loads never wait for it. A process that is
    killed leaves files that nothing refers to, which the orphan sweep removes.

    Args:
        dataset: The dataset.
        table: The table's name, without its namespace.
        options: When files are combined; see `CompactionOptions`.
        executor: Rewrites the groups of files; by default the dataset's `rewrite_executor`.

    Raises:
        DatasetRefused: This is a branch deployment, and the dataset is not its own.
        InvalidZOrder: The table cannot be z-ordered by the given columns.
        RowsLost: A rewrite does not have the rows of its files; nothing of it was committed.
    """
    require_own(dataset.name)
    plan = plan_compaction(dataset, table, options)
    result = CompactionResult(plan.files, obstacle=plan.obstacle)
    loaded = dataset.load_table(table) if plan.groups else None
    if loaded is None:
        return result
    z_order = options.z_order if options else ()
    work = TableWork(loaded.metadata, loaded.io, z_order)
    with _opened(dataset, executor) as opened:
        for groups in _portions(plan.groups, tasks_at_once(opened, 1)):
            since = Since()
            rewritten = list(_rewrite(opened, work, groups))
            _commit(dataset, table, work, rewritten, since, result)
    return result


def _opened(dataset: Dataset, executor: Executor | None) -> AbstractContextManager[Executor]:
    if executor is not None:
        return nullcontext(executor)
    return open_executor(dataset.rewrite_executor, _THREADS)


def _portions(groups: Iterable[FileGroup], at_least: int) -> Iterator[list[FileGroup]]:
    portion: list[FileGroup] = []
    for group in groups:
        portion.append(group)
        is_large = sum(each.bytes for each in portion) >= COMMIT_BYTES
        if is_large and len(portion) >= at_least:
            yield portion
            portion = []
    if portion:
        yield portion


def _rewrite(
    executor: Executor, work: TableWork, groups: Sequence[FileGroup]
) -> Iterator[_Rewritten]:
    futures = {executor.submit(rewrite_group, work, group): group for group in groups}
    try:
        for future in as_completed(futures):
            try:
                added = future.result()
            except FileNotFoundError as error:
                # Its files were replaced, and their snapshots expired, while they were waiting.
                logger.info("A group of files was removed before it was compacted: %s", error)
                continue
            yield _Rewritten(futures[future], tuple(added))
    finally:
        for future in futures:
            future.cancel()


def _commit(
    dataset: Dataset,
    table: str,
    work: TableWork,
    rewritten: Sequence[_Rewritten],
    since: Since,
    result: CompactionResult,
) -> None:
    name = dataset.qualified(table)
    commit = _Commit()

    def attempt() -> None:
        now = dataset.load_table(table, since)
        live: dict[str, FileScanTask] = {}
        if now is not None and _is_same(now, work):
            live = {task.file.file_path: task for task in now.scan().plan_files()}
        if commit.committed and all(each.is_committed(live) for each in commit.committed):
            return
        commit.committed = [each for each in rewritten if each.applies_to(live)]
        if now is not None and commit.committed:
            _apply(commit, now, live)

    try:
        commit_certainly(f"Compacting {name}", attempt, _COMMIT_SECONDS)
    except (CommitContention, ReadTooLongAgo) as error:
        logger.info("The compaction of %s was given up: %s", name, error)
        commit = _Commit()
    result.groups_given_up += len(rewritten) - len(commit.committed)
    if commit.committed:
        added = [file for each in commit.committed for file in each.added]
        result.files_removed += len(commit.removed)
        result.files_added += len(added)
        result.deletes_removed += len(commit.deletes)
        result.bytes_removed += sum(file.file_size_in_bytes for file in commit.removed)
        result.bytes_added += sum(file.file_size_in_bytes for file in added)


def _is_same(now: Table, work: TableWork) -> bool:
    """Return whether the table is still the one that was read, and partitioned the same way."""
    read = work.metadata
    return (
        now.metadata.table_uuid == read.table_uuid
        and now.metadata.default_spec_id == read.default_spec_id
        and find_obstacle(now) is None
    )


def _apply(commit: _Commit, now: Table, live: dict[str, FileScanTask]) -> None:
    gone = {task.file.file_path for each in commit.committed for task in each.group.tasks}
    commit.removed = [live[path].file for path in gone]
    commit.deletes = [*unneeded_deletes(live.values(), gone), *_dangling_deletes(now, live)]
    added = [file for each in commit.committed for file in each.added]
    transaction = now.transaction()
    replace_files(transaction, added, [*commit.removed, *commit.deletes], watermark_summary(now))
    transaction.commit_transaction()


def _dangling_deletes(table: Table, live: dict[str, FileScanTask]) -> set[DataFile]:
    """Return the delete files that apply to no data file; other engines' compactions leave them."""
    snapshot = table.current_snapshot()
    present = {
        entry.data_file
        for manifest in (snapshot.manifests(table.io) if snapshot else ())
        if manifest.content == ManifestContent.DELETES
        for entry in manifest.fetch_manifest_entry(table.io)
    }
    return present - {file for task in live.values() for file in task.delete_files}
