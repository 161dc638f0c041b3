"""The steps of a load: stage, audit, commit, publish.

`run_load` is called after dlt has extracted and normalized a load package. Until `commit`, no
reader can see anything of the load; from then on all of it will be published, by this process or
another.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from typing import TYPE_CHECKING

from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME as STATE_TABLE

from floe_ingestion_defs.destinations.impl.iceberg.admission.hints import (
    require_root_keys,
    require_valid_scopes,
)
from floe_ingestion_defs.destinations.impl.iceberg.admission.log import (
    require_not_published,
    require_own_tables,
    require_same_log,
    require_unblocked,
    require_whole_log,
)
from floe_ingestion_defs.destinations.impl.iceberg.audit import Audit, audit
from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import commit_certainly
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import (
    COMMIT_WITHIN_SECONDS,
    Since,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.own_load import OwnLoad, is_recent
from floe_ingestion_defs.destinations.impl.iceberg.commits.read_tables import require_unchanged
from floe_ingestion_defs.destinations.impl.iceberg.create import ensure_fits
from floe_ingestion_defs.destinations.impl.iceberg.errors import (
    BLOCKING_ERRORS,
    LoadExpired,
    LogReplaced,
    TableBlocked,
)
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent
from floe_ingestion_defs.destinations.impl.iceberg.log.compaction import compact_states
from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load
from floe_ingestion_defs.destinations.impl.iceberg.log.missing import missing_since
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import (
    encode_document,
    newest_document,
    rebase_state,
)
from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import watermark_of
from floe_ingestion_defs.destinations.impl.iceberg.plan import plan_load
from floe_ingestion_defs.destinations.impl.iceberg.publish import Unpublished, publish
from floe_ingestion_defs.destinations.impl.iceberg.recover import record, remedy
from floe_ingestion_defs.destinations.impl.iceberg.stage import stage

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView
    from floe_ingestion_defs.destinations.impl.iceberg.package import AroundPhase, Package

logger = logging.getLogger(__name__)

# The progress of loads that overlap continuously is still recorded this often.
RECORD_SETTLED_AFTER = 8


def run_load(
    dataset: Dataset,
    package: Package,
    audits: Sequence[Audit] = (),
    around_phase: AroundPhase = nullcontext,
) -> Load:
    """Load a package: stage, audit, commit, publish.

    A package that was committed before, by this process or one that died, is only published.

    Raises:
        AuditFailed: The rows did not pass an audit; nothing was changed.
        IncompatibleSchema: A column cannot be widened to the type of the rows; nothing was changed.
        StateConflict: Another run extracted the same resource meanwhile; nothing was changed.
        TableBlocked: A table was changed incompatibly after an audit. The load is committed, and
            published to the other tables.
    """
    view = dataset.log.read_or_create()
    load, own = view.find(package.load_uid), None
    if load is None:
        try:
            load, view, own = _commit_staged(dataset, package, view, audits, around_phase)
        except LogReplaced:
            if not view.begins_namespace:
                raise
            # Of two processes that create a log at the same time, some catalogs let both succeed.
            # Nothing is committed to this process's log, which the other one has replaced.
            view = dataset.log.read_or_create()
            load, view, own = _commit_staged(dataset, package, view, audits, around_phase)
    else:
        logger.info(
            "Load %s is load %s of the log already, committed from this working directory or a "
            "copy of it: nothing is loaded again",
            load.load_id,
            load.seq,
        )
    with around_phase("publish"):
        publish_own(dataset, load, view, own)
    return load


def _commit_staged(
    dataset: Dataset,
    package: Package,
    view: LogView,
    audits: Sequence[Audit],
    around_phase: AroundPhase,
) -> tuple[Load, LogView, OwnLoad]:
    """Stage, audit and commit a package that is not in the log as it was read.

    Returns:
        The load, the log with it, and its tables as they were staged.
    """
    started = Since()
    plans = plan_load(package)
    require_whole_log(dataset, view)
    require_unblocked(dataset, plans, view)
    with around_phase("stage"):
        staged = stage(dataset, package, plans, view)
        require_own_tables(dataset, view, staged)
        require_not_published(dataset, view, package.load_uid, staged)
        require_root_keys(staged)
        require_valid_scopes(staged)
    with around_phase("audit"):
        audit(dataset, staged, audits)
    with around_phase("commit"):
        load, view = commit(dataset, package, staged, view, started)
    return load, view, OwnLoad.of(dataset.catalog, load, staged)


def commit(
    dataset: Dataset,
    package: Package,
    staged: Sequence[StagedTable],
    view: LogView,
    started: Since,
) -> tuple[Load, LogView]:
    """Append the load to the log: this is the commit point, from which on the load exists.

    Args:
        dataset: The dataset.
        package: The load package.
        staged: Its staged tables.
        view: The log when staging began.
        started: When staging began.

    Returns:
        The load, and the log with it.

    Raises:
        StateConflict: Another run committed the state of a resource that this load extracted, or
            changed a table that it has read.
        IncompatibleSchema: A load that was committed meanwhile added a column that this load's
            rows do not fit.
        LoadExpired: Too much time has passed since staging began.
    """
    log_uuid, fitted_through = view.uuid, view.last_seq
    is_known = is_recent(dataset.catalog, view)
    tables = [(table.intent, table.current) for table in staged]

    def attempt() -> tuple[Load, LogView]:
        nonlocal view, fitted_through, is_known
        if not is_known:
            view = dataset.log.read_or_create(view)
        is_known = False
        require_same_log(dataset, view, log_uuid)
        if done := view.find(package.load_uid):
            return done, view
        if started.is_too_long:
            msg = (
                f"Load {package.load_id} was staged more than {COMMIT_WITHIN_SECONDS / 3600:.0f} "
                "hours ago, and its files may be swept as orphans. Run the pipeline again."
            )
            raise LoadExpired(msg)
        require_unchanged(dataset, view, package.read_tables)
        _require_that_rows_still_fit(dataset, staged, view, fitted_through)
        fitted_through = view.last_seq
        load = _next_load(dataset, package, staged, view)
        missing = missing_since(dataset.name, tables, view, package.pipeline_name)
        return load, dataset.log.append(view, load, missing)

    return commit_certainly(f"Committing load {package.load_id} to {dataset.name}", attempt)


def _require_that_rows_still_fit(
    dataset: Dataset, staged: Sequence[StagedTable], view: LogView, fitted_through: int
) -> None:
    """Check the staged rows against the loads that were committed since they were found to fit.

    A load that is committed and does not fit would block its table until it is repaired.
    """
    loads = view.after(fitted_through)
    overtaking = [intent for load in loads for intent in load.intent.tables]
    # A settled load's intent is removed when the log is compacted.
    is_unknown = any(not load.intent.tables for load in loads)
    for table in staged:
        own = table.intent
        if is_unknown or any(
            i.table == own.table and i.iceberg_schema != own.iceberg_schema for i in overtaking
        ):
            ensure_fits(dataset, view.unsettled(), own)


def _next_load(
    dataset: Dataset, package: Package, staged: Sequence[StagedTable], view: LogView
) -> Load:
    state = None
    if package.state is not None:
        newest = newest_document(dataset, view, package.pipeline_name)
        state = rebase_state(package.state, newest)
    version_table = package.schema.version_table_name
    tables = [table.intent for table in staged]
    if view.knows_schema(package.schema.stored_version_hash):
        # A load that was committed meanwhile has the same schema.
        tables = [intent for intent in tables if intent.table != version_table]
    watermarks = [watermark_of(table.current, view.uuid) for table in staged]
    return Load(
        load_id=package.load_id,
        load_uid=package.load_uid,
        schema_name=package.schema.name,
        schema_version_hash=package.schema.stored_version_hash,
        pipeline_name=package.pipeline_name,
        intent=LoadIntent(tables=tuple(tables)),
        state=encode_document(state) if state else None,
        state_version=state["version"] if state else None,
        # A log that was rolled back, or restored, may be behind its tables.
        seq=1 + max([view.last_seq, view.settled_seq, *watermarks]),
        settled_seq=view.settled_seq,
    )


def publish_own(dataset: Dataset, load: Load, view: LogView, own: OwnLoad | None = None) -> None:
    """Publish the load's tables, each through every earlier load first.

    Args:
        dataset: The dataset.
        load: The committed load.
        view: The log with it.
        own: What is known of the load's tables if this process has staged it.

    Raises:
        TableBlocked: A table was changed incompatibly after the audit; the others are published.
        Exception: What kept a table from being published, where a retry may succeed.
    """
    trees = {intent.tree for intent in load.intent.tables}
    through = dict.fromkeys(trees, load.seq)
    failed = publish(dataset, view.uuid, view.pending(trees), through, own)
    if not is_recent(dataset.catalog, view):
        known, view = view, dataset.log.read_or_create(view)
        require_same_log(dataset, view, known.uuid)
    if failed:
        record(dataset, view, failed, own=load, pipeline_name=load.pipeline_name)
        _raise(dataset, load, failed)
    # Of overlapping loads, the last one records for all, so that they do not contend for the log
    # once more each; where loads always overlap, one in every few loads does.
    freed = dict.fromkeys(view.blocked.keys() & trees, load.seq)
    left = record(dataset, view, {}, freed, own=load, at_least=RECORD_SETTLED_AFTER)
    require_same_log(dataset, left, view.uuid)
    dataset.log.compact_if_due(view)
    states = next((i for i in load.intent.tables if i.table == STATE_TABLE), None)
    # A table that this load creates has one state.
    if states is not None and states.location is None:
        compact_states(dataset.catalog, dataset.identifier(STATE_TABLE))


def _raise(dataset: Dataset, load: Load, failed: Mapping[str, Unpublished]) -> None:
    transient = [x.error for x in failed.values() if not isinstance(x.error, BLOCKING_ERRORS)]
    if transient:
        raise transient[0]
    raise TableBlocked(
        f"Load {load.load_id} is committed and cannot be published to "
        + "; ".join(f"`{dataset.qualified(tree)}`: {x.error}" for tree, x in failed.items())
        + f". {remedy(dataset, {tree: type(x.error).__name__ for tree, x in failed.items()})}"
    )
