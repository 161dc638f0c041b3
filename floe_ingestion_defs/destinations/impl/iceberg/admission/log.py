"""Admission: the conditions on the log and the tables under which a load is committed.

A load that is not admitted is rejected as a whole: nothing is published, and the cursors stay as
they were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME, VERSION_TABLE_NAME

from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    ForeignLog,
    LogBehindTables,
    LogReplaced,
    TableStillBlocked,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOG_UUID, SETTLED_SEQ
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import (
    has_load,
    log_of,
    publishers_of,
    watermark_of,
)
from floe_ingestion_defs.destinations.impl.iceberg.publish import publish
from floe_ingestion_defs.destinations.impl.iceberg.recover import record, remedy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView
    from floe_ingestion_defs.destinations.impl.iceberg.plan import TablePlan


def require_whole_log(dataset: Dataset, view: LogView) -> None:
    """Check that the log has not lost a load that may be unpublished.

    Raises:
        LogBehindTables: Rows of the log were lost, by a rollback or a deletion, and were not known
            to be published.
    """
    if unpublished := [seq for seq in view.lost_seqs if seq > view.settled_seq]:
        msg = (
            f"The log of `{dataset.name}` has lost its loads {unpublished[0]} to "
            f"{unpublished[-1]}, by a rollback or a deletion of rows, and they were not recorded "
            "as published. Loading now could lose rows or load them twice. Roll the log's table "
            "forward to its newest snapshot. Where that is gone, set its property "
            f"`{SETTLED_SEQ}` to `{view.last_seq}` to give these loads up, and load the sources "
            "that they came from with `refresh`."
        )
        raise LogBehindTables(msg)


def require_same_log(dataset: Dataset, view: LogView | None, uuid: str) -> None:
    """Check that the log is still the one that the load began with.

    Raises:
        LogReplaced: The dataset was dropped meanwhile.
    """
    if view is None or view.uuid != uuid:
        msg = (
            f"The log of `{dataset.name}` was dropped or replaced while a load was under way. "
            "Nothing was published; run the pipeline again."
        )
        raise LogReplaced(msg)


def require_unblocked(dataset: Dataset, plans: Sequence[TablePlan], view: LogView) -> None:
    """Check that no earlier load blocks a table of this one, and publish it if it fits now.

    A load that replaces a table supersedes the loads that are blocked before it.

    Raises:
        TableStillBlocked: An earlier load still cannot be published to a table.
    """
    intents = [plan.intent for plan in plans if not plan.intent.starts_empty]
    trees = {intent.tree for intent in intents} & view.blocked.keys()
    if not trees:
        return
    through = dict.fromkeys(trees, view.last_seq)
    failed = publish(dataset, view.uuid, view.pending(trees), through)
    record(dataset, view, failed, {t: seq for t, seq in through.items() if t not in failed})
    if failed:
        named = "; ".join(f"`{dataset.qualified(t)}`: {x.error}" for t, x in failed.items())
        msg = (
            f"Nothing was loaded, because an earlier load cannot be published to {named}. "
            f"{remedy(dataset, {tree: type(x.error).__name__ for tree, x in failed.items()})}"
        )
        raise TableStillBlocked(msg)


def require_own_tables(dataset: Dataset, view: LogView, staged: Sequence[StagedTable]) -> None:
    """Check that what the tables hold was published from this log, or by other writers.

    Raises:
        ForeignLog: A table names another log, such as that of a dataset whose log was dropped.
        LogBehindTables: A table has loads that the log does not know, such as after the log was
            restored from a backup, whether or not others have loaded since.
    """
    for table in staged:
        if table.current is None or table.intent.starts_empty or _is_bookkeeping(table):
            continue
        log = log_of(table.current)
        if log not in (None, view.uuid):
            msg = (
                f"Table `{table.name}` was published from another log ({log}) than its dataset's "
                f"({view.uuid}), so its rows could be loaded twice. Load it with write "
                f"disposition `replace`, or set its property `{LOG_UUID}` to the "
                "dataset's log to keep its current rows."
            )
            raise ForeignLog(msg)
        published = watermark_of(table.current, view.uuid)
        publishers = publishers_of(table.current, view.uuid, published)
        # Another load may have been committed since this view was read.
        if not view.explains(published, publishers) and not dataset.log.read_or_create(
            view
        ).explains(published, publishers):
            msg = (
                f"Table `{table.name}` is published through load {published}, which the log of "
                f"`{dataset.name}` does not have; its newest one is {view.last_seq}: the log is "
                "older than its tables. Loading now could load rows twice. Restore the newest log, "
                "or load the sources with `refresh`."
            )
            raise LogBehindTables(msg)


def require_not_published(
    dataset: Dataset, view: LogView, load_uid: str, staged: Sequence[StagedTable]
) -> None:
    """Check that a package whose load is not in the log was not published before its row was lost.

    Otherwise a process that was killed after it had published would, once the log was rolled back,
    load the same package again.

    Raises:
        LogBehindTables: A table has the load.
    """
    for table in staged:
        if table.current is None or _is_bookkeeping(table):
            continue
        if not has_load(table.current, view.uuid, load_uid):
            continue
        # A process with a copy of the package may have committed it since this view was read.
        if dataset.log.read_or_create(view).knows_load(load_uid):
            return
        msg = (
            f"This package was published to `{table.name}` before, and the log of "
            f"`{dataset.name}` has lost its load, by a rollback or a deletion of rows. Loading it "
            "again could load rows twice. Roll the log's table forward to its newest snapshot. "
            "Where that is gone, discard the package (`pipeline.abort_packages()`)."
        )
        raise LogBehindTables(msg)


def _is_bookkeeping(table: StagedTable) -> bool:
    # dlt's own tables: no refresh replaces them, and the log is what counts.
    return table.intent.table in (PIPELINE_STATE_TABLE_NAME, VERSION_TABLE_NAME)
