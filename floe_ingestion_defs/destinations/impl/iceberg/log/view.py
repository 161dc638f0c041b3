"""The log at one of its snapshots: the loads, their order, and which of them are settled.

A load reads the log several times, each time with one row more, so the content of files is cached:
neither a data file nor a manifest ever changes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from threading import RLock
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from cachetools import LRUCache, cached

from floe_ingestion_defs.destinations.impl.iceberg.catalog.file_memory import FILE_MEMORY
from floe_ingestion_defs.destinations.impl.iceberg.commits.commit import head_of
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since
from floe_ingestion_defs.destinations.impl.iceberg.intent import Release
from floe_ingestion_defs.destinations.impl.iceberg.log.format import (
    BLOCKED_PREFIX,
    LAST_SEQ,
    LIGHT_COLUMNS,
    LOG_SCHEMA,
    MISSING_PREFIX,
    SETTLED_SEQ,
    Load,
    load_from_row,
    require_known_format,
    require_known_properties,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from pyiceberg.manifest import ManifestFile
    from pyiceberg.table import Table

# The number of cached files, least recently used ones dropped: a process serves few datasets.
_KEPT_FILES = 64


@dataclass(frozen=True)
class _File:
    """A data file of the log.

    Attributes:
        rows: The whole row for a file with one row, the light columns for others.
    """

    path: str
    rows: pa.Table


_rows: LRUCache[str, pa.Table] = LRUCache(_KEPT_FILES)
_manifests: LRUCache[str, list[tuple[str, int]]] = LRUCache(_KEPT_FILES)
_lock = RLock()


def _files(table: Table) -> list[_File]:
    """Return the data files of `main`, each with its rows; they are read at the same time."""
    from pyiceberg.manifest import ManifestContent
    from pyiceberg.utils.concurrent import ExecutorFactory

    snapshot = None if head_of(table) is None else table.current_snapshot()
    if snapshot is None:
        return []
    manifests = [m for m in snapshot.manifests(table.io) if m.content == ManifestContent.DATA]
    at_once = ExecutorFactory.get_or_create()
    files = list(chain.from_iterable(at_once.map(partial(_data_files, table), manifests)))
    rows = at_once.map(lambda file: _rows_of(table, *file), files)
    return [_File(path, found) for (path, _), found in zip(files, rows, strict=True)]


@cached(_rows, key=lambda table, path, count: path, lock=_lock)
def _rows_of(table: Table, path: str, count: int) -> pa.Table:
    # A row that was just appended is likely to be needed whole.
    return _read_file(table, path, LOG_SCHEMA.names if count == 1 else LIGHT_COLUMNS)


@cached(_manifests, key=lambda table, manifest: manifest.manifest_path, lock=_lock)
def _data_files(table: Table, manifest: ManifestFile) -> list[tuple[str, int]]:
    live = manifest.fetch_manifest_entry(table.io, discard_deleted=True)
    files = [entry.data_file for entry in live]
    for file in files:
        FILE_MEMORY.expect(file.file_path, file.file_size_in_bytes)
    return [(file.file_path, file.record_count) for file in files]


def _read_file(table: Table, path: str, columns: Sequence[str]) -> pa.Table:
    """Read a file of the log directly: all have the same schema, so no projection is needed."""
    with table.io.new_input(path).open() as stream:
        rows = pq.ParquetFile(stream).read(list(columns), use_threads=False)
    # First, since a newer format may lack a column.
    require_known_format(".".join(table.name()), rows)
    return rows.cast(pa.schema([LOG_SCHEMA.field(name) for name in columns]))


def forget_files() -> None:
    """Forget the content of all files, as a new process would."""
    with _lock:
        _rows.clear()
        _manifests.clear()


class LogView:
    """The log at one of its snapshots; a commit through it asserts that snapshot.

    Attributes:
        table: The log's table as it was read.
        uuid: The uuid of the log.
        read: When it was read.
        begins_namespace: Whether this process has just created the namespace together with the
            log, so that there are no other tables yet.
    """

    def __init__(
        self,
        table: Table,
        files: Sequence[_File] | None = None,
        *,
        begins_namespace: bool = False,
    ) -> None:
        """Read the log.

        Raises:
            UnknownLogFormat: A newer release wrote a row or a property.
        """
        require_known_properties(".".join(table.name()), table.properties)
        self.table = table
        self.read = Since()
        self.begins_namespace = begins_namespace
        self.uuid = str(table.metadata.table_uuid)
        # A commit through the table changes its metadata, which this view does not follow.
        self._read_at = table.metadata_location
        self._files = _files(table) if files is None else list(files)
        empty = LOG_SCHEMA.empty_table().select(LIGHT_COLUMNS)
        self._rows = pa.concat_tables([empty, *(f.rows.select(LIGHT_COLUMNS) for f in self._files)])

    def with_appended(self, path: str, row: pa.Table) -> LogView:
        """Return the log after a row was appended in this state; the table has it already."""
        with _lock:
            _rows[path] = row
        return LogView(self.table, [*self._files, _File(path, row)])

    def is_of(self, table: Table) -> bool:
        """Return whether the log is unchanged: a table that was just loaded is as it was read."""
        return bool(self._read_at) and self._read_at == table.metadata_location

    @property
    def last_seq(self) -> int:
        """The seq of the newest load that was ever committed, 0 where there is none."""
        return max(self._newest_row, int(self.table.properties.get(LAST_SEQ, 0)))

    @cached_property
    def lost_seqs(self) -> list[int]:
        """The seqs of committed loads whose rows a rollback or a deletion has removed.

        Each load's seq is the last one's plus one and compaction keeps every row, so a gap is a
        loss.
        """
        last = self.last_seq
        if len(self._rows) == last:
            return []
        return sorted(set(range(1, last + 1)).difference(self._rows["seq"].to_pylist()))

    @property
    def _newest_row(self) -> int:
        return pc.max(self._rows["seq"]).as_py() or 0

    @property
    def settled_seq(self) -> int:
        """The load up to which all are known to be published, blocked or released."""
        recorded = int(self.table.properties.get(SETTLED_SEQ, 0))
        return max(recorded, pc.max(self._rows["settled_seq"]).as_py() or 0)

    @property
    def blocked(self) -> dict[str, int]:
        """The tables that cannot be published to, each with the first load that blocks it."""
        return {
            name.removeprefix(BLOCKED_PREFIX): int(value.split()[0])
            for name, value in self.table.properties.items()
            if name.startswith(BLOCKED_PREFIX)
        }

    def reason_of(self, tree: str) -> str:
        """Return the name of the error's class that blocks a tree of tables."""
        return str(self.table.properties[BLOCKED_PREFIX + tree]).partition(" ")[2]

    def unsettled(self) -> list[Load]:
        """Return the loads that may not be published yet, with their intents, oldest first."""
        return self.after(self.settled_seq)

    def pending(self, trees: Collection[str] | None = None) -> list[Load]:
        """Return the unsettled loads, and the settled ones from the first that blocks a table.

        Args:
            trees: Only the blocks of trees of tables with these roots; None for all.
        """
        blocked = (seq - 1 for tree, seq in self.blocked.items() if trees is None or tree in trees)
        return self.after(min([self.settled_seq, *blocked]))

    def after(self, seq: int) -> list[Load]:
        """Return the loads past a seq, oldest first; a settled one may no longer have an intent."""
        if seq >= self._newest_row:
            return []
        return self._read(lambda seqs: pc.greater(seqs, seq), "intent")

    def missing(self, table: str) -> list[str]:
        """Return the ids of the loads that the log records as missing from a table."""
        return str(self.table.properties.get(MISSING_PREFIX + table, "")).split()

    def lacked_by(self, table: str, watermark: int, pipeline_name: str | None = None) -> list[str]:
        """Return the ids of settled loads that a table lacks: it was restored from a backup.

        Of those that compaction has emptied, only the table's newest load is found.

        Args:
            table: The table's name.
            watermark: The load that the table is published through.
            pipeline_name: The pipeline that loads into the table: the loads' intents are read only
                where it has loaded since the watermark. None to read them in any case.
        """
        rows = self._rows
        is_lacked = pc.less_equal(rows["seq"], self.settled_seq)
        is_lacked = pc.and_(pc.greater(rows["seq"], watermark), is_lacked)
        if pipeline_name is not None:
            is_lacked = pc.and_(is_lacked, pc.equal(rows["pipeline_name"], pipeline_name))
        if not pc.any(is_lacked).as_py():
            return []
        return [
            load.load_id
            for load in self.after(watermark)
            for intent in load.intent.tables
            if intent.table == table
            and not self.is_pending(load.seq, intent.tree)
            and not self.is_released(load.seq, table)
        ]

    def is_pending(self, seq: int, tree: str) -> bool:
        """Return whether a load may not be published yet to the tree of tables with that root."""
        return seq > self.settled_seq or seq >= self.blocked.get(tree, seq + 1)

    def is_released(self, seq: int, table: str) -> bool:
        """Return whether a later load released this one for a table."""
        return self.release_of(seq, table) is not None

    def release_of(self, seq: int, table: str) -> Load | None:
        """Return the load that released another one for a table, None where none did."""
        wanted = Release(seq=seq, table=table)
        return next((x for x in self.after(seq) if wanted in x.intent.releases), None)

    def find(self, load_uid: str) -> Load | None:
        """Return the committed load with that uid, None where there is none."""
        seq = self._newest(pc.equal(self._rows["load_uid"], load_uid))
        return None if seq is None else self._read_at_seq(seq, "intent", "state")

    def knows_load(self, load_uid: str) -> bool:
        """Return whether the log has the load with that uid."""
        return bool(pc.any(pc.equal(self._rows["load_uid"], load_uid)).as_py())

    def explains(self, watermark: int, publishers: Collection[str]) -> bool:
        """Return whether the log has the load that a table is published through.

        A load that the log has lost counts, as its seq is never given to another load. A log that
        was restored from a backup gives the same seqs again.

        Args:
            watermark: The load's seq.
            publishers: The uids of the loads that brought the table there, none if unknown.
        """
        if watermark > self.last_seq:
            return False
        if not publishers or any(self.knows_load(uid) for uid in publishers):
            return True
        return watermark not in self._rows["seq"].to_pylist()

    @property
    def pipelines(self) -> list[str]:
        """The names of the pipelines that have loaded into the dataset."""
        return sorted(name for name in pc.unique(self._rows["pipeline_name"]).to_pylist() if name)

    def newest_state(self, pipeline_name: str) -> Load | None:
        """Return the pipeline's newest load that changed its state, with that state."""
        of_pipeline = pc.equal(self._rows["pipeline_name"], pipeline_name)
        seq = self._newest(pc.and_(of_pipeline, pc.is_valid(self._rows["state_version"])))
        return None if seq is None else self._read_at_seq(seq, "state")

    def newest_schema_hash(self, schema_name: str | None) -> str | None:
        """Return the version hash of the newest schema, with that name if one is given."""
        names = self._rows["schema_name"]
        seq = self._newest(
            pc.is_valid(names) if schema_name is None else pc.equal(names, schema_name)
        )
        return None if seq is None else self._read_at_seq(seq).schema_version_hash

    def knows_schema(self, version_hash: str) -> bool:
        """Return whether a load with this version of a schema was committed."""
        return bool(pc.any(pc.equal(self._rows["schema_version_hash"], version_hash)).as_py())

    def _newest(self, mask: Any) -> int | None:
        seq: int | None = pc.max(self._rows["seq"].filter(mask)).as_py()
        return seq

    def _read_at_seq(self, seq: int, *heavy: str) -> Load:
        return self._read(lambda seqs: pc.equal(seqs, seq), *heavy)[0]

    def _read(self, wanted: Callable[[pa.ChunkedArray], Any], *heavy: str) -> list[Load]:
        """Return the loads with matching seqs, oldest first, with the given heavy columns."""
        found = []
        # By masks: filtering by an expression takes milliseconds, however few the rows are.
        for file in self._files:
            mask = wanted(file.rows["seq"])
            if pc.any(mask).as_py():
                is_light = heavy and file.rows.num_columns < len(LOG_SCHEMA)
                columns = (*LIGHT_COLUMNS, *heavy)
                rows = _read_file(self.table, file.path, columns) if is_light else file.rows
                found += rows.filter(mask).to_pylist()
        log = ".".join(self.table.name())
        return sorted((load_from_row(log, row) for row in found), key=lambda load: load.seq)
