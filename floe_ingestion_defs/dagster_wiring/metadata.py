"""What a materialization says about its load, read from Iceberg and so right for empty loads too.

Numbers are numbers, so that the UI plots them over time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import dagster as dg

from floe_ingestion_defs.dagster_wiring.translator import STORAGE_KIND
from floe_ingestion_defs.dlt_plugin import LoadResult, ResourceSpec

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.snapshots import Snapshot

_REJECTED = ("reason or column", "what", "number")
_CHANGES = ("column", "change", "before", "after")


@dataclass(frozen=True)
class LoadedTable:
    """A table after a load, as far as its materialization speaks of it.

    Attributes:
        spec: The resource that was loaded.
        result: The load.
        table: The table; None where the load had nothing to make one of.
        preview_rows: Rows to show; none unless somebody configured it, for rows may be personal
            data and Dagster keeps its event log.
        is_window: Whether the load was of a partition or a window, whose rows are then all those
            that it loaded.
    """

    spec: ResourceSpec
    result: LoadResult
    table: "Table | None" = None
    preview_rows: int = 0
    is_window: bool = False

    def describe(self) -> dict[str, Any]:
        """Return the metadata of the materialization.

        `snapshot_id` is the snapshot that the load made, or the one that the table stands at where
        the load had nothing to add; only a table without any snapshot has none.
        """
        loaded = self.result.resources[self.spec.name]
        numbers = {
            "dagster/row_count": loaded.total_rows,
            "dagster/partition_row_count": loaded.rows_loaded if self.is_window else None,
            "rows_loaded": loaded.rows_loaded,
            "duration_seconds": round(float(self.result.duration_seconds), 3),
        }
        snapshots = {
            "snapshot_id": loaded.snapshot_id,
            "previous_snapshot_id": loaded.previous_snapshot_id,
        }
        return {
            "dagster/table_name": self.spec.table,
            "dagster/storage_kind": STORAGE_KIND,
            **{name: number for name, number in numbers.items() if number is not None},
            # Texts, for a plot of identifiers over time means nothing.
            **{name: str(number) for name, number in snapshots.items() if number is not None},
            **self._describe_rejected(),
            **({"load_id": ", ".join(self.result.load_ids)} if self.result.load_ids else {}),
            **self._describe_table(),
        }

    def _describe_rejected(self) -> dict[str, Any]:
        """Return what the schema contract kept out, which must not go unseen."""
        rejected = self.result.resources[self.spec.name].rejected
        described: dict[str, Any] = {"rows_rejected": rejected.rows}
        if rejected:
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

    def _describe_table(self) -> dict[str, Any]:
        loaded = self.result.resources[self.spec.name]
        if self.table is None:
            return {}
        wrote = loaded.snapshot_id != loaded.previous_snapshot_id
        snapshot = _snapshot(self.table, loaded.snapshot_id) if wrote else None
        changes = list(_schema_changes(self.table, snapshot))
        described: dict[str, Any] = {
            "dagster/uri": self.table.location(),
            "dagster/column_schema": _column_schema(self.table, self.spec),
            "bytes_added": _count(snapshot, "added-files-size"),
            "files_added": _count(snapshot, "added-data-files"),
            "schema_changes": len(changes),
        }
        if changes:
            described["schema_changed"] = dg.MetadataValue.table(
                [dg.TableRecord(dict(zip(_CHANGES, change, strict=True))) for change in changes],
                dg.TableSchema([dg.TableColumn(name) for name in _CHANGES]),
            )
        if self.preview_rows:
            described["preview"] = _preview(self.table, self.preview_rows)
        return described


def _snapshot(table: "Table", snapshot_id: int | None) -> "Snapshot | None":
    return None if snapshot_id is None else table.snapshot_by_id(snapshot_id)


def _count(snapshot: "Snapshot | None", name: str) -> int:
    value = snapshot.summary.get(name) if snapshot is not None and snapshot.summary else None
    return int(value or 0)


def _column_schema(table: "Table", spec: ResourceSpec) -> dg.TableSchema:
    key = dict.fromkeys(spec.primary_key, "primary key")
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
            for declared in [spec.columns.get(field.name)]
        ]
    )


def _schema_changes(
    table: "Table", snapshot: "Snapshot | None"
) -> Iterator[tuple[str, str, str, str]]:
    """Yield the columns by which a snapshot's schema differs from that of the one before it."""
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
