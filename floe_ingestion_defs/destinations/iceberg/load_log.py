"""`_dlt_loads`, the write-ahead log of a dataset: a load exists if and only if its row is there.

Appending the row is a load's commit point, and because each append asserts the snapshot it was
computed from, the rows are in a total order, `seq`. Everything else, the data tables included, can
be brought up to date from here.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from floe_ingestion_defs.destinations.iceberg.commits import (
    CommitOutcomeUnknown,
    attempts,
    head_of,
    load_table,
)
from floe_ingestion_defs.destinations.iceberg.compaction import is_due, rewrite
from floe_ingestion_defs.destinations.iceberg.errors import CommitConflict
from floe_ingestion_defs.destinations.iceberg.intent import LoadIntent

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import FileScanTask, Table

LOADS_TABLE = "_dlt_loads"
# The log's own record that everything up to a seq was published. It is set after a publish, so
# that a table which somebody drops later is not brought back by the next opener.
SETTLED_PROPERTY = "dlt.settled-seq"

_SCHEMA = pa.schema(
    [
        ("load_id", pa.string()),
        ("schema_name", pa.string()),
        ("status", pa.int64()),
        ("inserted_at", pa.timestamp("us", "UTC")),
        ("schema_version_hash", pa.string()),
        ("load_uid", pa.string()),
        ("seq", pa.int64()),
        ("settled_seq", pa.int64()),
        ("pipeline_name", pa.string()),
        ("state_version", pa.int64()),
        ("state", pa.string()),
        ("intent", pa.string()),
    ]
)
# All that is needed to find a load and to number the next; state and intent are read for the few
# rows that matter.
_LIGHT = tuple(name for name in _SCHEMA.names if name not in ("state", "intent"))

_PROPERTIES = {
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "20",
    "commit.manifest-merge.enabled": "true",
    "commit.manifest.min-count-to-merge": "4",
    "write.metadata.metrics.default": "none",
    "write.metadata.metrics.column.seq": "full",
    "write.parquet.compression-codec": "zstd",
}


@dataclass(frozen=True)
class Load:
    """One row of the log.

    Attributes:
        seq: The load's place in the total order, counted from 1; 0 before it is committed.
        settled_seq: Every load up to this one was published when the row was written.
        state: The pipeline's whole state document in dlt's JSON, None if it did not change.
    """

    load_id: str
    load_uid: str
    schema_name: str
    schema_version_hash: str
    pipeline_name: str
    intent: LoadIntent = field(default_factory=LoadIntent)
    state: str | None = None
    state_version: int | None = None
    seq: int = 0
    settled_seq: int = 0

    def _as_row(self) -> pa.Table:
        row = {
            "load_id": self.load_id,
            "schema_name": self.schema_name,
            "status": 0,
            "inserted_at": datetime.now(UTC),
            "schema_version_hash": self.schema_version_hash,
            "load_uid": self.load_uid,
            "seq": self.seq,
            "settled_seq": self.settled_seq,
            "pipeline_name": self.pipeline_name,
            "state_version": self.state_version,
            "state": self.state,
            "intent": self.intent.model_dump_json(),
        }
        return pa.Table.from_pylist([row], schema=_SCHEMA)


def _load_from_row(row: dict[str, Any]) -> Load:
    intent = row.get("intent")
    return Load(
        load_id=row["load_id"],
        load_uid=row["load_uid"],
        schema_name=row["schema_name"],
        schema_version_hash=row["schema_version_hash"],
        pipeline_name=row["pipeline_name"],
        intent=LoadIntent.model_validate_json(intent) if intent else LoadIntent(),
        state=row.get("state"),
        state_version=row["state_version"],
        seq=row["seq"],
        settled_seq=row["settled_seq"],
    )


# The light rows of the data files that were read last. A data file never changes, and a load reads
# the log several times, each time with a file more.
_LIGHT_ROWS: OrderedDict[str, pa.Table] = OrderedDict()
_MOST_FILES = 64


def _read_file(table: Table, task: FileScanTask, columns: Sequence[str]) -> pa.Table:
    """Reads a file of the log directly: all have the one schema, so nothing is to be projected."""
    with table.io.new_input(task.file.file_path).open() as stream:
        rows = pq.read_table(stream, columns=list(columns), use_threads=False)
    return rows.cast(pa.schema([_SCHEMA.field(name) for name in columns]))


def _read_light_rows(table: Table, task: FileScanTask) -> pa.Table:
    rows = _LIGHT_ROWS.pop(task.file.file_path, None)
    if rows is None:
        rows = _read_file(table, task, _LIGHT)
    _LIGHT_ROWS[task.file.file_path] = rows  # The last in the dict is the last that was used.
    if len(_LIGHT_ROWS) > _MOST_FILES:
        _LIGHT_ROWS.popitem(last=False)
    return rows


class LogView:
    """The log at one of its snapshots; a commit through it asserts that snapshot."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.uuid = str(table.metadata.table_uuid)
        tasks = [] if head_of(table) is None else table.scan().plan_files()
        self._files = [(task, _read_light_rows(table, task)) for task in tasks]
        empty = _SCHEMA.empty_table().select(_LIGHT)
        self._rows = pa.concat_tables([empty, *(rows for _, rows in self._files)])

    @property
    def last_seq(self) -> int:
        """The seq of the newest load, 0 where there is none."""
        return pc.max(self._rows["seq"]).as_py() or 0

    @property
    def settled_seq(self) -> int:
        """Every load up to this one is known to be published."""
        recorded = int(self.table.properties.get(SETTLED_PROPERTY, 0))
        return max(recorded, pc.max(self._rows["settled_seq"]).as_py() or 0)

    def unsettled(self) -> list[Load]:
        """The loads that may not be published yet, with their intents, oldest first."""
        return self.after(self.settled_seq)

    def after(self, seq: int) -> list[Load]:
        """The loads past a seq, oldest first; a settled one may have no intent any more."""
        if seq >= self.last_seq:
            return []
        return self._read(pc.field("seq") > seq, (*_LIGHT, "intent"))

    def find(self, load_uid: str) -> Load | None:
        """The committed load of that uid."""
        found = self._rows.filter(pc.field("load_uid") == load_uid).to_pylist()
        return self._read(_at(found[0]["seq"]), _SCHEMA.names)[0] if found else None

    def newest_state(self, pipeline_name: str) -> Load | None:
        """The pipeline's newest load that changed its state, with that state."""
        rows = self._rows.filter(
            (pc.field("pipeline_name") == pipeline_name) & pc.field("state_version").is_valid()
        )
        seq = pc.max(rows["seq"]).as_py()
        return None if seq is None else self._read(_at(seq), (*_LIGHT, "state"))[0]

    def newest_schema_hash(self, schema_name: str | None) -> str | None:
        """The version hash of the newest schema, of that name if one is given."""
        rows = self._rows
        if schema_name is not None:
            rows = rows.filter(pc.field("schema_name") == schema_name)
        seq = pc.max(rows["seq"]).as_py()
        if seq is None:
            return None
        return str(rows.filter(pc.field("seq") == seq)["schema_version_hash"][0].as_py())

    def knows_schema(self, version_hash: str) -> bool:
        """Whether a load with this version of a schema was committed."""
        return bool(pc.any(pc.equal(self._rows["schema_version_hash"], version_hash)).as_py())

    def _read(self, wanted: pc.Expression, columns: Sequence[str]) -> list[Load]:
        found = [
            _read_file(self.table, task, columns).filter(wanted)
            for task, light_rows in self._files
            if light_rows.filter(wanted).num_rows
        ]
        loads = [_load_from_row(row) for rows in found for row in rows.to_pylist()]
        return sorted(loads, key=lambda load: load.seq)


def _at(seq: int) -> pc.Expression:
    return pc.field("seq") == seq


class LoadLog:
    """The log of one dataset.

    Args:
        catalog: The catalog that holds the dataset.
        identifier: The log's identifier.
    """

    def __init__(self, catalog: Catalog, identifier: tuple[str, ...]) -> None:
        self.catalog = catalog
        self.identifier = identifier
        self._namespace = identifier[:-1]

    def read(self) -> LogView | None:
        """The log as it is now, None for a dataset that nothing was ever loaded into."""
        table = load_table(self.catalog, self.identifier)
        return None if table is None else LogView(table)

    def read_or_create(self) -> LogView:
        """The log as it is now, made together with its namespace on first use."""
        if view := self.read():
            return view
        from pyiceberg.exceptions import TableAlreadyExistsError

        self._ensure_namespace()
        with suppress(TableAlreadyExistsError):  # Somebody may create it in between.
            self.catalog.create_table(self.identifier, schema=_SCHEMA, properties=_PROPERTIES)
        for _ in attempts(f"Creating {'.'.join(self.identifier)}", deadline_seconds=10):
            if view := self.read():
                return view
        raise AssertionError("unreachable")

    def _ensure_namespace(self) -> None:
        if self.catalog.namespace_exists(self._namespace):
            return
        try:
            self.catalog.create_namespace(self._namespace)
        except Exception:
            # A boundary: who loses this race is told so by whatever the catalog's driver raises,
            # SqlCatalog's by an IntegrityError of SQLAlchemy.
            if not self.catalog.namespace_exists(self._namespace):
                raise

    def append(self, view: LogView, load: Load) -> None:
        """Appends a load's row to the log as it was read: this is the commit point.

        Raises:
            CommitConflict: Another load was committed since; this one was not.
        """
        view.table.append(load._as_row())

    def record_settled(self, seq: int) -> None:
        """Records that every load up to `seq` is published, if nobody is committing just now.

        It saves later openers from looking at the tables again; a committer that wins instead
        records what it finds.
        """
        for attempt in range(3):
            view = load_table(self.catalog, self.identifier)
            if view is None or int(view.properties.get(SETTLED_PROPERTY, 0)) >= seq:
                return
            try:
                with view.transaction() as transaction:
                    transaction.set_properties({SETTLED_PROPERTY: str(seq)})
                return
            except (CommitConflict, CommitOutcomeUnknown):
                if attempt == 2:
                    return

    def compact_if_due(self) -> bool:
        """Rewrites the log into one file once it has many.

        A settled load's intent is never read again, and of the states only each pipeline's newest,
        so the others are left out; dlt's own columns stay for every load.

        Returns:
            Whether the log was compacted.
        """
        table = load_table(self.catalog, self.identifier)
        if table is None or not is_due(table):
            return False
        view = LogView(table)
        rows = table.scan().to_arrow().sort_by("seq").select(_SCHEMA.names).cast(_SCHEMA)
        has_state = rows.filter(pc.field("state_version").is_valid())
        newest = has_state.group_by("pipeline_name").aggregate([("seq", "max")])["seq_max"]
        keep_state = pc.is_in(rows["seq"], value_set=newest.combine_chunks())
        keep_intent = pc.greater(rows["seq"], view.settled_seq)
        for name, keep in (("state", keep_state), ("intent", keep_intent)):
            kept = pc.if_else(keep, rows[name], pa.scalar(None, pa.string()))
            rows = rows.set_column(rows.schema.get_field_index(name), _SCHEMA.field(name), kept)
        # Also as a property, since the newest row's own record may be among the older ones.
        return rewrite(table, rows, {SETTLED_PROPERTY: str(view.settled_seq)})
