"""The destination's public face: the factory that dlt finds by name, and what belongs to it.

Every name is imported on first use (PEP 562), so importing this package costs nothing; what is not
listed here is internal.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from floe_ingestion_defs.branch import BranchTables, branch_namespace
    from floe_ingestion_defs.destinations.impl.iceberg.audit import Audit
    from floe_ingestion_defs.destinations.impl.iceberg.branch.clone import clone_branch
    from floe_ingestion_defs.destinations.impl.iceberg.branch.drop import drop_branch
    from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import (
        catalog_properties,
        open_catalog,
        open_destination_catalog,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.changes.keys import KeySet
    from floe_ingestion_defs.destinations.impl.iceberg.changes.outcome import Outcome
    from floe_ingestion_defs.destinations.impl.iceberg.changes.staged_table import StagedTable
    from floe_ingestion_defs.destinations.impl.iceberg.commits.retention import expired_snapshots
    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.errors import (
        AuditFailed,
        ColumnNameCollision,
        CommitContention,
        DatasetRefused,
        FailedJobs,
        Finding,
        ForeignLog,
        IncompatibleSchema,
        InvalidHint,
        InvalidRows,
        InvalidZOrder,
        LoadExpired,
        LoadRefused,
        LocationInUse,
        LogBehindTables,
        LogReplaced,
        NotPublishable,
        StateConflict,
        TableBlocked,
        TableStillBlocked,
        UnknownLogFormat,
        UnpublishableRows,
        UnsupportedCatalog,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.factory import iceberg
    from floe_ingestion_defs.destinations.impl.iceberg.files.schema import iceberg_type_of_column
    from floe_ingestion_defs.destinations.impl.iceberg.log.load_log import LoadLog
    from floe_ingestion_defs.destinations.impl.iceberg.log.missing import missing_loads
    from floe_ingestion_defs.destinations.impl.iceberg.log.watermark import (
        last_change,
        watermark_of,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.compact import (
        CompactionResult,
        compact,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.expire import (
        ExpiryResult,
        expire,
        remove_expired_files,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.manifests import (
        ManifestsResult,
        rewrite_manifests,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.options import (
        CompactionOptions,
        ExpiryOptions,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.orphans import remove_orphans
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.other_tables import (
        shared_tables,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.plan import (
        CompactionPlan,
        plan_compaction,
        plan_groups,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.maintenance.release import release_blocked
    from floe_ingestion_defs.destinations.impl.iceberg.reading.cursors import stored_cursors
    from floe_ingestion_defs.destinations.impl.iceberg.reading.inspection import (
        column_bounds,
        count_window_rows,
        files_added_last,
        live_files,
        read_columns,
        read_window,
        row_count,
        summary_count,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.reading.schemas import (
        StoredSchemas,
        stored_primary_keys,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.recover import (
        blocked_tables,
        recover,
        unpublished_loads,
    )
    from floe_ingestion_defs.destinations.impl.iceberg.window import (
        NO_WINDOW_HINT,
        iceberg_window,
    )

_IMPLEMENTATION = "floe_ingestion_defs.destinations.impl.iceberg"
_HOMES = {
    "NO_WINDOW_HINT": f"{_IMPLEMENTATION}.window",
    "Audit": f"{_IMPLEMENTATION}.audit",
    "AuditFailed": f"{_IMPLEMENTATION}.errors",
    "BranchTables": "floe_ingestion_defs.branch",
    "ColumnNameCollision": f"{_IMPLEMENTATION}.errors",
    "CommitContention": f"{_IMPLEMENTATION}.errors",
    "CompactionOptions": f"{_IMPLEMENTATION}.maintenance.options",
    "CompactionPlan": f"{_IMPLEMENTATION}.maintenance.plan",
    "CompactionResult": f"{_IMPLEMENTATION}.maintenance.compact",
    "Dataset": f"{_IMPLEMENTATION}.dataset",
    "DatasetRefused": f"{_IMPLEMENTATION}.errors",
    "ExpiryOptions": f"{_IMPLEMENTATION}.maintenance.options",
    "ExpiryResult": f"{_IMPLEMENTATION}.maintenance.expire",
    "FailedJobs": f"{_IMPLEMENTATION}.errors",
    "Finding": f"{_IMPLEMENTATION}.errors",
    "ForeignLog": f"{_IMPLEMENTATION}.errors",
    "IncompatibleSchema": f"{_IMPLEMENTATION}.errors",
    "InvalidHint": f"{_IMPLEMENTATION}.errors",
    "InvalidZOrder": f"{_IMPLEMENTATION}.errors",
    "InvalidRows": f"{_IMPLEMENTATION}.errors",
    "KeySet": f"{_IMPLEMENTATION}.changes.keys",
    "LoadExpired": f"{_IMPLEMENTATION}.errors",
    "LoadLog": f"{_IMPLEMENTATION}.log.load_log",
    "LoadRefused": f"{_IMPLEMENTATION}.errors",
    "LocationInUse": f"{_IMPLEMENTATION}.errors",
    "LogBehindTables": f"{_IMPLEMENTATION}.errors",
    "LogReplaced": f"{_IMPLEMENTATION}.errors",
    "ManifestsResult": f"{_IMPLEMENTATION}.maintenance.manifests",
    "NotPublishable": f"{_IMPLEMENTATION}.errors",
    "Outcome": f"{_IMPLEMENTATION}.changes.outcome",
    "StagedTable": f"{_IMPLEMENTATION}.changes.staged_table",
    "StateConflict": f"{_IMPLEMENTATION}.errors",
    "TableBlocked": f"{_IMPLEMENTATION}.errors",
    "TableStillBlocked": f"{_IMPLEMENTATION}.errors",
    "UnknownLogFormat": f"{_IMPLEMENTATION}.errors",
    "UnpublishableRows": f"{_IMPLEMENTATION}.errors",
    "UnsupportedCatalog": f"{_IMPLEMENTATION}.errors",
    "blocked_tables": f"{_IMPLEMENTATION}.recover",
    "branch_namespace": "floe_ingestion_defs.branch",
    "catalog_properties": f"{_IMPLEMENTATION}.catalog.open_catalog",
    "clone_branch": f"{_IMPLEMENTATION}.branch.clone",
    "compact": f"{_IMPLEMENTATION}.maintenance.compact",
    "column_bounds": f"{_IMPLEMENTATION}.reading.inspection",
    "count_window_rows": f"{_IMPLEMENTATION}.reading.inspection",
    "drop_branch": f"{_IMPLEMENTATION}.branch.drop",
    "expire": f"{_IMPLEMENTATION}.maintenance.expire",
    "expired_snapshots": f"{_IMPLEMENTATION}.commits.retention",
    "files_added_last": f"{_IMPLEMENTATION}.reading.inspection",
    "iceberg": f"{_IMPLEMENTATION}.factory",
    "iceberg_type_of_column": f"{_IMPLEMENTATION}.files.schema",
    "iceberg_window": f"{_IMPLEMENTATION}.window",
    "last_change": f"{_IMPLEMENTATION}.log.watermark",
    "live_files": f"{_IMPLEMENTATION}.reading.inspection",
    "missing_loads": f"{_IMPLEMENTATION}.log.missing",
    "open_catalog": f"{_IMPLEMENTATION}.catalog.open_catalog",
    "open_destination_catalog": f"{_IMPLEMENTATION}.catalog.open_catalog",
    "plan_compaction": f"{_IMPLEMENTATION}.maintenance.plan",
    "plan_groups": f"{_IMPLEMENTATION}.maintenance.plan",
    "read_columns": f"{_IMPLEMENTATION}.reading.inspection",
    "read_window": f"{_IMPLEMENTATION}.reading.inspection",
    "recover": f"{_IMPLEMENTATION}.recover",
    "release_blocked": f"{_IMPLEMENTATION}.maintenance.release",
    "remove_expired_files": f"{_IMPLEMENTATION}.maintenance.expire",
    "remove_orphans": f"{_IMPLEMENTATION}.maintenance.orphans",
    "rewrite_manifests": f"{_IMPLEMENTATION}.maintenance.manifests",
    "row_count": f"{_IMPLEMENTATION}.reading.inspection",
    "shared_tables": f"{_IMPLEMENTATION}.maintenance.other_tables",
    "stored_cursors": f"{_IMPLEMENTATION}.reading.cursors",
    "StoredSchemas": f"{_IMPLEMENTATION}.reading.schemas",
    "stored_primary_keys": f"{_IMPLEMENTATION}.reading.schemas",
    "summary_count": f"{_IMPLEMENTATION}.reading.inspection",
    "unpublished_loads": f"{_IMPLEMENTATION}.recover",
    "watermark_of": f"{_IMPLEMENTATION}.log.watermark",
}

__all__ = [
    "NO_WINDOW_HINT",
    "Audit",
    "AuditFailed",
    "BranchTables",
    "ColumnNameCollision",
    "CommitContention",
    "CompactionOptions",
    "CompactionPlan",
    "CompactionResult",
    "Dataset",
    "DatasetRefused",
    "ExpiryOptions",
    "ExpiryResult",
    "FailedJobs",
    "Finding",
    "ForeignLog",
    "IncompatibleSchema",
    "InvalidHint",
    "InvalidRows",
    "InvalidZOrder",
    "KeySet",
    "LoadExpired",
    "LoadLog",
    "LoadRefused",
    "LocationInUse",
    "LogBehindTables",
    "LogReplaced",
    "ManifestsResult",
    "NotPublishable",
    "Outcome",
    "StagedTable",
    "StateConflict",
    "StoredSchemas",
    "TableBlocked",
    "TableStillBlocked",
    "UnknownLogFormat",
    "UnpublishableRows",
    "UnsupportedCatalog",
    "blocked_tables",
    "branch_namespace",
    "catalog_properties",
    "clone_branch",
    "column_bounds",
    "compact",
    "count_window_rows",
    "drop_branch",
    "expire",
    "expired_snapshots",
    "files_added_last",
    "iceberg",
    "iceberg_type_of_column",
    "iceberg_window",
    "last_change",
    "live_files",
    "missing_loads",
    "open_catalog",
    "open_destination_catalog",
    "plan_compaction",
    "plan_groups",
    "read_columns",
    "read_window",
    "recover",
    "release_blocked",
    "remove_expired_files",
    "remove_orphans",
    "rewrite_manifests",
    "row_count",
    "shared_tables",
    "stored_cursors",
    "stored_primary_keys",
    "summary_count",
    "unpublished_loads",
    "watermark_of",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
