"""Metadata of a materialization, read from Iceberg and so also correct for loads without rows.

Numbers are kept as numbers, so that the UI plots them over time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring.checks.partition_rows import PartitionRows
from floe_ingestion_defs.dagster_wiring.runs.column_lineage import COLUMN_LINEAGE, LineageSource
from floe_ingestion_defs.dagster_wiring.translator import STORAGE_KIND
from floe_ingestion_defs.dagster_wiring.units import format_size
from floe_ingestion_defs.dlt_plugin import LoadRequest, LoadResult, ResourceSpec
from floe_ingestion_defs.dlt_plugin.config.names import as_identifier

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

_REJECTED = ("reason or column", "what", "number")
_QUARANTINED = ("file", "reason")
_LONGEST_TABLE = 100
# A phase that a load with nothing new skips takes no time, and is plotted as zero.
_PHASES = ("extract", "normalize", "stage", "audit", "commit", "publish")
_CHANGES = ("column", "change", "before", "after")
_TABLES = ("table", "rows_loaded", "rows")


@dataclass(frozen=True)
class LoadedTable:
    """A table after a load, as described by its materialization.

    Attributes:
        spec: The resource that was loaded.
        result: Result of the load.
        request: Request of the load.
        table: The table; None if the load had no rows to create one from.
        preview_rows: Number of rows to show; none unless configured, because rows may be personal
            data and Dagster stores its event log.
        partitions: Number of partitions that the load was for.
        lineage: Where the lineage of its columns is derived from; None without an asset upstream.
    """

    spec: ResourceSpec
    result: LoadResult
    request: LoadRequest
    table: "Table | None" = None
    preview_rows: int = 0
    partitions: int = 0
    lineage: LineageSource | None = None

    def describe(self) -> dict[str, Any]:
        """Return the metadata of the materialization.

        `snapshot_id` is the snapshot that the load created, or the table's current one if the load
        had nothing to add; only a table without any snapshot has none.
        """
        loaded, seconds = self.result.resources[self.spec.name], self.result.phase_seconds
        rows = {
            "rows_loaded": loaded.rows_loaded,
            "dagster/row_count": loaded.total_rows,
            self._name_of_window_rows(): self._rows_of_window(),
        }
        snapshots = {
            "snapshot_id": loaded.snapshot_id,
            "previous_snapshot_id": loaded.previous_snapshot_id,
        }
        # The UI shows metadata in this order: most important first.
        return {
            **{name: number for name, number in rows.items() if number is not None},
            **self._describe_named_tables(),
            **self._describe_rejected(),
            **self._describe_written(),
            **self._describe_cursor(),
            "duration_seconds": round(float(self.result.duration_seconds), 3),
            **{f"{phase}_seconds": round(seconds.get(phase, 0.0), 3) for phase in _PHASES},
            # Strings, because a plot of identifiers over time is meaningless.
            **{name: str(number) for name, number in snapshots.items() if number is not None},
            **({"load_id": ", ".join(self.result.load_ids)} if self.result.load_ids else {}),
            **self._describe_table(),
            "dagster/table_name": self.spec.table,
            "dagster/storage_kind": STORAGE_KIND,
        }

    def _name_of_window_rows(self) -> str:
        # Dagster shows the metadata of a run of several partitions on each of them.
        return "rows_in_range" if self.partitions > 1 else "dagster/partition_row_count"

    def _rows_of_window(self) -> int | None:
        """Return the number of rows that the table has in the window of the load."""
        window = self.request.window
        if window is None:
            return None
        if self.spec.write_mode == "append" or self.table is None:
            # The loaded rows replaced everything that was in the window.
            return self.result.resources[self.spec.name].rows_loaded
        cursor = str(self.spec.cursor_field)
        rows = PartitionRows.of(self.table, cursor, window)
        return None if rows is None else rows.count()

    def _describe_cursor(self) -> dict[str, Any]:
        """Return the cursor before the load, and the one at which the next load continues."""
        loaded = self.result.resources[self.spec.name]
        cursors = {"cursor_before": loaded.cursor_before, "cursor_after": loaded.cursor_after}
        return {name: _cursor(value) for name, value in cursors.items() if value is not None}

    def _describe_named_tables(self) -> dict[str, Any]:
        """Return the tables that rows of the resource name, if there are any."""
        tables = self.result.resources[self.spec.name].named_tables
        if not tables:
            return {}
        found = [(t.table, t.rows_loaded, t.total_rows) for t in tables[:_LONGEST_TABLE]]
        listed = dg.MetadataValue.table(
            [dg.TableRecord(dict(zip(_TABLES, row, strict=True))) for row in found],
            dg.TableSchema([dg.TableColumn(name) for name in _TABLES]),
        )
        return {"tables": len(tables), "loaded_tables": listed}

    def _describe_rejected(self) -> dict[str, Any]:
        """Return the rejected rows and values and the quarantined files, which must be visible."""
        rejected = self.result.resources[self.spec.name].rejected
        described: dict[str, Any] = {"rows_rejected": rejected.rows}
        if rejected.superseded:
            described["rows_superseded"] = rejected.superseded
        if rejected.files:
            shown = list(rejected.files.items())[:_LONGEST_TABLE]
            described["files_quarantined"] = len(rejected.files)
            described["quarantined"] = dg.MetadataValue.table(
                [dg.TableRecord(dict(zip(_QUARANTINED, found, strict=True))) for found in shown],
                dg.TableSchema([dg.TableColumn(name) for name in _QUARANTINED]),
            )
        if rejected.rows or rejected.values_by_column:
            rows = [(reason, "rows", n) for reason, n in rejected.rows_by_reason.items()]
            values = [(column, "values", n) for column, n in rejected.values_by_column.items()]
            described["rejected"] = dg.MetadataValue.table(
                [
                    dg.TableRecord(dict(zip(_REJECTED, found, strict=True)))
                    for found in [*rows, *values]
                ],
                dg.TableSchema([dg.TableColumn(name) for name in _REJECTED]),
            )
        return described

    def _describe_written(self) -> dict[str, Any]:
        """Return what the load's snapshot added; nothing if there is no table yet."""
        from floe_ingestion_defs.destinations import summary_count

        loaded = self.result.resources[self.spec.name]
        if self.table is None:
            return {}
        wrote = loaded.snapshot_id != loaded.previous_snapshot_id
        snapshot = _snapshot(self.table, loaded.snapshot_id) if wrote else None
        changes = list(_schema_changes(self.table, snapshot))
        added = summary_count(snapshot, "added-files-size") or 0
        size = summary_count(self.table.current_snapshot(), "total-files-size")
        described: dict[str, Any] = {
            "files_added": summary_count(snapshot, "added-data-files") or 0,
            "size_added": format_size(added),
            **({} if size is None else {"table_size": format_size(size)}),
            # Numbers, which the UI plots.
            "bytes_added": added,
            **({} if size is None else {"dagster/size_bytes": size}),
            "schema_changes": len(changes),
        }
        if changes:
            described["schema_changed"] = dg.MetadataValue.table(
                [dg.TableRecord(dict(zip(_CHANGES, change, strict=True))) for change in changes],
                dg.TableSchema([dg.TableColumn(name) for name in _CHANGES]),
            )
        return described

    def _describe_table(self) -> dict[str, Any]:
        """Return the table's location and columns, and a preview of its rows if configured."""
        if self.table is None:
            return {}
        preview = {"preview": _preview(self.table, self.preview_rows)} if self.preview_rows else {}
        return {
            **preview,
            "dagster/uri": self.table.location(),
            "dagster/column_schema": _column_schema(self.table, self.spec),
            **self._describe_lineage([field.name for field in self.table.schema().fields]),
        }

    def _describe_lineage(self, columns: Sequence[str]) -> dict[str, Any]:
        if self.lineage is None:
            return {}
        loaded = self.result.resources[self.spec.name]
        found = self.lineage.of_columns(columns, loaded.source_columns)
        return {COLUMN_LINEAGE: dg.MetadataValue.column_lineage(found)}


def _cursor(value: Any) -> Any:
    """Return a cursor's value: timestamps are shown in the user's time zone, numbers plotted."""
    if isinstance(value, datetime):
        return dg.MetadataValue.timestamp(value if value.tzinfo else value.replace(tzinfo=UTC))
    return value if isinstance(value, int | float) else str(value)


def _snapshot(table: "Table", snapshot_id: int | None) -> "Snapshot | None":
    return None if snapshot_id is None else table.snapshot_by_id(snapshot_id)


def _column_schema(table: "Table", spec: ResourceSpec) -> dg.TableSchema:
    key = {as_identifier(name): "primary key" for name in spec.primary_key}
    columns = {as_identifier(name): column for name, column in spec.columns.items()}
    return dg.TableSchema(
        [
            dg.TableColumn(
                field.name,
                str(field.field_type),
                description=declared.description if declared else field.doc,
                constraints=dg.TableColumnConstraints(
                    nullable=not field.required,
                    other=[key[field.name]] if field.name in key else [],
                ),
            )
            for field in table.schema().fields
            for declared in [columns.get(field.name)]
        ]
    )


def _schema_changes(
    table: "Table", snapshot: "Snapshot | None"
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the columns in which a snapshot's schema differs from that of the previous one."""
    if snapshot is None or snapshot.parent_snapshot_id is None:
        return
    before = _types(table, table.snapshot_by_id(snapshot.parent_snapshot_id))
    after = _types(table, snapshot)
    for name, kind in after.items():
        if name not in before:
            yield name, "added", "", kind
        elif before[name] != kind:
            yield name, "widened", before[name], kind


def _types(table: "Table", snapshot: "Snapshot | None") -> dict[str, str]:
    schema: Schema | None = None
    if snapshot is not None and snapshot.schema_id is not None:
        schema = table.schemas().get(snapshot.schema_id)
    return {field.name: str(field.field_type) for field in (schema or table.schema()).fields}


def _preview(table: "Table", rows: int) -> dg.MetadataValue[Any]:
    """Return the first rows as a Markdown table."""
    shown = table.scan(limit=rows).to_arrow()
    lines = [shown.column_names, ["---"] * shown.num_columns]
    lines += [[_cell(value) for value in row.values()] for row in shown.to_pylist()]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")[:100]
