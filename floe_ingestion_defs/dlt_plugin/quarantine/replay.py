"""Replays quarantined rows: those that fit now are loaded, and leave the quarantine in one load.

Both tables are changed by the same load, so a process that is killed loads each row exactly once.
The load ends with a conflict if another one has changed either table since its rows were read.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, cast

import dlt
import pyarrow as pa
import pyarrow.compute as pc

from floe_ingestion_defs.dlt_plugin.errors.exceptions import PipelineConfigurationError
from floe_ingestion_defs.dlt_plugin.hints import apply_spec, assemble_source
from floe_ingestion_defs.dlt_plugin.load_ids import LOAD_ID, add_load_ids
from floe_ingestion_defs.dlt_plugin.load_request import check_replay
from floe_ingestion_defs.dlt_plugin.named_tables import tables_named_by_rows
from floe_ingestion_defs.dlt_plugin.quarantine.fitting import DoesNotFit, RowFit
from floe_ingestion_defs.dlt_plugin.quarantine.versions import Place, Version, Versions
from floe_ingestion_defs.dlt_plugin.schema_contract.contract import REJECTED_SUFFIX
from floe_ingestion_defs.dlt_plugin.schema_contract.gate import (
    for_rejected_table,
    separate_rejected_rows,
)
from floe_ingestion_defs.dlt_plugin.schema_contract.models import MODEL_REASON

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from dlt import Pipeline
    from dlt.common.schema import Schema
    from dlt.extract import DltResource, DltSource
    from pyiceberg.table import Table

    from floe_ingestion_defs.dlt_plugin.config.resource_specs import ResourceSpec
    from floe_ingestion_defs.dlt_plugin.pipeline import IngestionPipeline
    from floe_ingestion_defs.dlt_plugin.schema_contract.rejections import Rejections

# Source types whose rows are dicts, which dlt gives a row id, and whose lists become tables.
_ROWS_ARE_DICTS = frozenset({"rest_api", "python"})
_ROW_ID = "_dlt_id"


class _ReadsTables(Protocol):
    """The part of the destination's client that is used here."""

    def read_for_load(self, names: Iterable[str]) -> dict[str, Table]: ...


def replay_source(
    described: IngestionPipeline, pipeline: Pipeline, rejections: Mapping[str, Rejections]
) -> DltSource:
    """Return a source of the quarantined rows of a pipeline's resources.

    Args:
        described: Description of the load.
        pipeline: dlt's pipeline, with its schema restored.
        rejections: Counts the rows that remain in quarantine, by resource.

    Raises:
        PipelineConfigurationError: A resource's last load was of a kind that cannot be replayed,
            or its rows name their tables.
    """
    schema = pipeline.schemas.get(described.name)
    resources: list[DltResource] = []
    specs: list[ResourceSpec] = []
    for spec in described.resources:
        if schema is None:  # Nothing was ever loaded.
            break
        names = _Names.of(spec, schema)
        if names.rejected not in schema.tables:
            continue
        if tables_named_by_rows(schema.tables, spec):
            msg = (
                f"rows of resource {spec.name!r} name their tables, and quarantined ones do not "
                "say which; instead of replay_quarantined, read them again with refresh"
            )
            raise PipelineConfigurationError(msg)
        spec = _as_last_loaded(spec, schema, names)
        kind = described.config.source_type
        replay = _Replay(spec, names, pipeline, rejections[spec.name], kind in _ROWS_ARE_DICTS)
        resources.append(replay.resource())
        # Declared columns determine types here under every contract.
        specs.append(replace(spec, schema_contract="discard_row"))
    return assemble_source(described.resolved, resources, specs)


@dataclass(frozen=True)
class _Names:
    """The names that a resource's table and its quarantine have in the schema."""

    table: str
    rejected: str

    @classmethod
    def of(cls, spec: ResourceSpec, schema: Schema) -> _Names:
        normalize = schema.naming.normalize_tables_path
        return cls(normalize(spec.table_name), normalize(spec.table_name + REJECTED_SUFFIX))


def _as_last_loaded(spec: ResourceSpec, schema: Schema, names: _Names) -> ResourceSpec:
    """Return a resource with the settings of its source where the configuration has none.

    A database has primary keys, and a dlt resource a write disposition of its own.
    """
    table: Any = schema.tables.get(names.table, {})
    columns = table.get("columns", {})
    changes: dict[str, Any] = {}
    for name in ("primary_key", "merge_key"):
        if not getattr(spec, name):
            changes[name] = tuple(column for column, hints in columns.items() if hints.get(name))
    if spec.given.isdisjoint({"write_mode", "merge_strategy"}) and "write_disposition" in table:
        changes["write_mode"] = table["write_disposition"]
        if changes["write_mode"] == "merge":
            changes["merge_strategy"] = table.get("x-merge-strategy") or "delete-insert"
    spec = replace(spec, **changes)
    check_replay(
        spec.name,
        spec.write_mode,
        spec.merge_strategy,
        has_merge_key=bool(spec.merge_key),
        has_hard_delete=any(hints.get("hard_delete") for hints in columns.values()),
    )
    return spec


@dataclass(frozen=True)
class _Replay:
    """The replay of one resource.

    Attributes:
        spec: The resource, as its rows were last loaded.
        names: Names of the tables.
        pipeline: dlt's pipeline.
        rejections: Counts the rows that remain in quarantine.
        are_dicts: Whether the source's rows are dicts; a table that exists decides.
    """

    spec: ResourceSpec
    names: _Names
    pipeline: Pipeline
    rejections: Rejections
    are_dicts: bool

    def resource(self) -> DltResource:
        """Return the resource that loads the rows that fit, and rewrites the quarantine."""
        resource = dlt.resource(self._items(), name=self.spec.name)
        apply_spec(resource, self.spec)
        separate_rejected_rows(resource, self.spec)
        add_load_ids(resource, self.spec)
        return resource

    def _items(self) -> Iterator[Any]:
        schema = dlt.current.source_schema()
        with self.pipeline.destination_client(schema.name) as client:
            reader = cast("_ReadsTables", client)
            tables = reader.read_for_load([self.names.table, self.names.rejected])
        if (quarantine := tables.get(self.names.rejected)) is None:
            return
        fit = RowFit.of(self.spec, schema)
        leaving, superseded = self._judge(quarantine, tables.get(self.names.table), fit)
        if not leaving | superseded:
            return
        self.rejections.superseded += len(superseded)
        self._empty_quarantine(schema)
        columns = schema.tables.get(self.names.table, {}).get("columns", {})
        as_dicts = _ROW_ID in columns if columns else self.are_dicts
        fit = RowFit(self.spec, fit.known, self.rejections)
        for batch in quarantine.scan().to_arrow_batch_reader():
            ids = batch.column(_ROW_ID)
            fitting = batch.filter(pc.is_in(ids, pa.array(leaving, ids.type)))
            rows = [fit.fit(stored) for stored in fitting.column("row").to_pylist()]
            if rows:
                yield rows if as_dicts else fit.as_table([fit.typed(row) for row in rows])
            gone = pc.is_in(ids, pa.array(leaving | superseded, ids.type))
            remaining = batch.filter(pc.invert(gone))
            if remaining.num_rows:
                yield for_rejected_table(self.spec.table_name, pa.Table.from_batches([remaining]))

    def _judge(
        self, quarantine: Table, table: Table | None, fit: RowFit
    ) -> tuple[set[str], set[str]]:
        """Return the ids of the rows to load, and of those of which a newer version is loaded."""
        key = tuple(map(fit.known.key, self.spec.primary_key))
        by_key = self.spec.write_mode == "merge" and self.spec.merge_strategy != "insert-only"
        cursor = self.spec.cursor_field and fit.known.key(self.spec.cursor_field)
        versions, fitting = Versions(), {}
        for row in _rows(quarantine):
            try:
                typed = self._typed(row, fit)
            except DoesNotFit as unfit:
                self.rejections.reject_rows(unfit.reason)
                continue
            version = Version(typed.get(cursor) if cursor else None, row[LOAD_ID])
            values = tuple(typed.get(name) for name in key) if by_key else ()
            fitting[row[_ROW_ID]] = (values, version)
            if by_key:
                versions.add(values, version, row[_ROW_ID])
        if not by_key:
            return set(fitting), set()
        if table is not None:
            versions.read(table, key, cursor)
        leaving, superseded = set(), set()
        for row_id, (values, version) in fitting.items():
            match versions.place(values, version, row_id):
                case Place.NEWEST:
                    leaving.add(row_id)
                case Place.SUPERSEDED:
                    superseded.add(row_id)
                case Place.UNKNOWN:
                    self.rejections.reject_rows(
                        "the table has a row with the same key, which may be newer"
                    )
        return leaving, superseded

    def _typed(self, row: Mapping[str, Any], fit: RowFit) -> Mapping[str, Any]:
        if row.get("nested_table"):
            reason = f"an item of table {row['nested_table']} cannot be replayed without its row"
            raise DoesNotFit(reason)
        if (reason := str(row["reason"])).startswith(MODEL_REASON):
            # The table's columns alone do not say whether the model accepts the row now.
            raise DoesNotFit(reason)
        return fit.typed(fit.fit(row["row"]))

    def _empty_quarantine(self, schema: Schema) -> None:
        """Make the load delete the quarantine's rows, before it adds those that remain."""
        state = dlt.current.load_package_state()["state"]
        table = schema.tables[self.names.rejected]
        state["truncated_tables"] = [*state.get("truncated_tables", ()), table]


def _rows(quarantine: Table) -> Iterator[dict[str, Any]]:
    for batch in quarantine.scan().to_arrow_batch_reader():
        yield from batch.to_pylist()
