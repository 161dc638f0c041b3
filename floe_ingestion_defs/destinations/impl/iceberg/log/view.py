"""What the log holds at one of its snapshots: the loads, their order, and what is settled.

A load looks at the log several times, each time with a row more, so what was read of a file is
kept: neither a data file nor a manifest ever changes.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from floe_ingestion_defs.destinations.impl.iceberg.commits import head_of
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

# The log's own record that everything up to a seq was published. It is set after a publish, so
# that a table which somebody drops later is not brought back by the next opener.
SETTLED_PROPERTY = "dlt.settled-seq"

LOG_SCHEMA = pa.schema(
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
_LIGHT = tuple(name for name in LOG_SCHEMA.names if name not in ("state", "intent"))


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

    def as_row(self) -> pa.Table:
        """The row that the log gets."""
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
        return pa.Table.from_pylist([row], schema=LOG_SCHEMA)


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


T = TypeVar("T")


class _Kept(Generic[T]):
    """What was read of the files that were used last, by their paths."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: OrderedDict[str, T] = OrderedDict()

    def get(self, path: str, read: Callable[[], T]) -> T:
        """What was read of a file, read now if it was not kept."""
        value = self._held.pop(path, None)
        if value is None:  # Or another thread has just taken it.
            value = read()
        self._held[path] = value  # The last in the dict is the last that was used.
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return value


@dataclass(frozen=True)
class _File:
    """A data file of the log.

    Attributes:
        rows: Of a file with one row that row, of others the light columns.
    """

    path: str
    rows: pa.Table


_ROWS: _Kept[pa.Table] = _Kept(64)
_MANIFESTS: _Kept[list[tuple[str, int]]] = _Kept(64)


def _files(table: Table) -> list[_File]:
    """The data files that `main` has, each with its rows."""
    from pyiceberg.manifest import ManifestContent

    snapshot = None if head_of(table) is None else table.current_snapshot()
    if snapshot is None:
        return []
    return [
        _File(path, _ROWS.get(path, partial(_read_file, table, path, _columns_to_keep(count))))
        for manifest in snapshot.manifests(table.io)
        if manifest.content == ManifestContent.DATA
        for path, count in _MANIFESTS.get(
            manifest.manifest_path, partial(_data_files, table, manifest)
        )
    ]


def _columns_to_keep(rows: int) -> Sequence[str]:
    # A row that was just appended is wanted whole as likely as not.
    return LOG_SCHEMA.names if rows == 1 else _LIGHT


def _data_files(table: Table, manifest: ManifestFile) -> list[tuple[str, int]]:
    live = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    return [(entry.data_file.file_path, entry.data_file.record_count) for entry in live]


def _read_file(table: Table, path: str, columns: Sequence[str]) -> pa.Table:
    """Reads a file of the log directly: all have the one schema, so nothing is to be projected."""
    with table.io.new_input(path).open() as stream:
        rows = pq.ParquetFile(stream).read(list(columns), use_threads=False)
    return rows.cast(pa.schema([LOG_SCHEMA.field(name) for name in columns]))


class LogView:
    """The log at one of its snapshots; a commit through it asserts that snapshot.

    Attributes:
        table: The log's table as it was read.
        uuid: Which log it is.
    """

    def __init__(self, table: Table, files: Sequence[_File] | None = None) -> None:
        self.table = table
        self.uuid = str(table.metadata.table_uuid)
        # A commit through the table moves it on, and this view does not follow.
        self._read_at = table.metadata_location
        self._files = _files(table) if files is None else list(files)
        empty = LOG_SCHEMA.empty_table().select(_LIGHT)
        self._rows = pa.concat_tables([empty, *(f.rows.select(_LIGHT) for f in self._files)])

    def with_appended(self, path: str, row: pa.Table) -> LogView:
        """The log after a row was appended to it as it was here; the table knows already."""
        return LogView(self.table, [*self._files, _File(path, _ROWS.get(path, lambda: row))])

    def is_of(self, table: Table) -> bool:
        """Whether the log has not moved since: a table that was just loaded is what was read."""
        return bool(self._read_at) and self._read_at == table.metadata_location

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
        return self._read(lambda seqs: pc.greater(seqs, seq), "intent")

    def find(self, load_uid: str) -> Load | None:
        """The committed load of that uid."""
        seq = self._newest(pc.equal(self._rows["load_uid"], load_uid))
        return None if seq is None else self._read_at_seq(seq, "intent", "state")

    def newest_state(self, pipeline_name: str) -> Load | None:
        """The pipeline's newest load that changed its state, with that state."""
        of_pipeline = pc.equal(self._rows["pipeline_name"], pipeline_name)
        seq = self._newest(pc.and_(of_pipeline, pc.is_valid(self._rows["state_version"])))
        return None if seq is None else self._read_at_seq(seq, "state")

    def newest_schema_hash(self, schema_name: str | None) -> str | None:
        """The version hash of the newest schema, of that name if one is given."""
        names = self._rows["schema_name"]
        seq = self._newest(
            pc.is_valid(names) if schema_name is None else pc.equal(names, schema_name)
        )
        return None if seq is None else self._read_at_seq(seq).schema_version_hash

    def knows_schema(self, version_hash: str) -> bool:
        """Whether a load with this version of a schema was committed."""
        return bool(pc.any(pc.equal(self._rows["schema_version_hash"], version_hash)).as_py())

    def _newest(self, mask: Any) -> int | None:
        seq: int | None = pc.max(self._rows["seq"].filter(mask)).as_py()
        return seq

    def _read_at_seq(self, seq: int, *heavy: str) -> Load:
        return self._read(lambda seqs: pc.equal(seqs, seq), *heavy)[0]

    def _read(self, wanted: Callable[[pa.ChunkedArray], Any], *heavy: str) -> list[Load]:
        """The loads whose seqs are wanted, oldest first, with those of the heavy columns."""
        found = []
        # By masks: a filter that is an expression takes milliseconds, however few the rows are.
        for file in self._files:
            mask = wanted(file.rows["seq"])
            if pc.any(mask).as_py():
                is_light = heavy and file.rows.num_columns < len(LOG_SCHEMA)
                columns = (*_LIGHT, *heavy)
                rows = _read_file(self.table, file.path, columns) if is_light else file.rows
                found += rows.filter(mask).to_pylist()
        return sorted(map(_load_from_row, found), key=lambda load: load.seq)
