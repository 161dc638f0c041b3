"""What a committed load intends to do to each table: the content of a row of `_dlt_loads`.

An intent holds all that is needed to publish it, by any process, at any later time: nothing of the
pipeline's schema or working directory is needed again.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from floe_ingestion_defs import window

Disposition = Literal["append", "replace", "merge", "overwrite"]
MergeStrategy = Literal["delete-insert", "upsert", "insert-only", "scd2", "cdc"]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StagedFile(_Record):
    """A Parquet file that is written, but not referenced by a snapshot yet."""

    path: str
    rows: int
    bytes: int
    partition: tuple[str | None, ...] = ()
    """Values in the order of the partition spec, each as the hex of Iceberg's single-value
    serialization, None for a null."""


class PartitionField(_Record):
    """A partition field as `iceberg_adapter` describes it."""

    source_column: str
    transform: str
    name: str


class SortField(_Record):
    """A column that rows are ordered by within each data file."""

    source_column: str
    direction: Literal["asc", "desc"] = "asc"


class Layout(_Record):
    """How a table is laid out, used when it is created."""

    partition: tuple[PartitionField, ...] = ()
    sort: tuple[SortField, ...] = ()
    properties: dict[str, str] = {}


class Scope(_Record):
    """The rows that a merge can delete or retire, regardless of their keys."""

    condition: str
    """A condition on single rows, in DuckDB's SQL."""
    columns: tuple[str, ...]
    """The columns that it refers to."""


class Keys(_Record):
    """What decides which rows a merge replaces, and which of the incoming rows win."""

    primary_key: tuple[str, ...] = ()
    merge_key: tuple[str, ...] = ()
    hard_delete: str | None = None
    dedup_sort: tuple[str, Literal["asc", "desc"]] | None = None
    scope: Scope | None = None
    """Takes the place of the merge key, with `delete-insert` also of the primary key."""
    compared: tuple[str, ...] = ()
    """An incoming row that equals the table's in these columns does not replace it. Empty: each row
    replaces."""


class Validity(_Record):
    """The columns of a slowly changing dimension, type 2, and the timestamps of one load."""

    row_version: str
    valid_from: str
    valid_to: str
    boundary: datetime
    """When the rows of this load become valid, and those that they supersede become invalid."""
    active: datetime | None = None
    """The value of `valid_to` in a currently valid row."""


class Nesting(_Record):
    """The place of a nested table: its rows follow those of the root table."""

    root: str
    root_row_key: str
    root_key: str | None
    """The column of the nested table that holds the root row's key; None where the row keys of a
    root row's whole tree follow from the root row."""
    row_key: str
    depth: int
    """The number of tables above this one."""
    parent: str | None = None
    """The table above, where rows of roots that a rollback removed are found through it: an append
    adds no column that refers to the root."""
    parent_key: str | None = None
    """The column of the nested table that holds the row key of the table above."""


class Window(window.Window[str | int | float]):
    """The window of a column, bounds in JSON form; they are persisted as `lower` and `upper`."""

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True)

    column: str
    start: str | int | float = Field(alias="lower")
    end: str | int | float = Field(alias="upper")


class TableIntent(_Record):
    """What one load does to one table."""

    table: str
    disposition: Disposition
    files: tuple[StagedFile, ...] = ()
    iceberg_schema: str = ""
    """The Iceberg schema of the staged files: columns to add, types to widen to. Empty in a plan,
    as is everything else that only staging determines."""
    table_uuid: str | None = None
    """The table that the intent belongs to: the one it was staged on, or the one it creates."""
    location: str | None = None
    """Where a table that does not exist yet is to be created; its files are already there."""
    layout: Layout = Layout()
    strategy: MergeStrategy | None = None
    keys: Keys = Keys()
    nesting: Nesting | None = None
    validity: Validity | None = None
    window: Window | None = None
    spec: str = ""
    """The partition spec that the staged files were split by."""
    sort_order: str = ""
    """The sort order that the rows within the staged files are in."""
    truncate: bool = False
    """Whether the table's rows are deleted before the load's are added."""
    drop: bool = False
    """Whether the table's rows and columns are deleted before the load's are added."""

    @property
    def creates(self) -> bool:
        """Whether the load creates the table where there is none, and does not only delete."""
        return self.location is not None or bool(self.files)

    @property
    def tree(self) -> str:
        """The root of the tables that are published together: a merge's nested ones and it."""
        return self.nesting.root if self.nesting else self.table

    @property
    def starts_empty(self) -> bool:
        """Whether none of the table's current rows remain."""
        return self.drop or self.truncate or self.disposition == "replace"

    @property
    def is_reduced(self) -> bool:
        """Whether the log's compaction has left the table's name only, as the load is settled."""
        return not self.iceberg_schema

    @property
    def rows(self) -> int:
        """The number of staged rows."""
        return sum(file.rows for file in self.files)


class Release(_Record):
    """A load that was given up for a table, because it cannot be published to it."""

    seq: int
    table: str


class LoadIntent(_Record):
    """What one load does to all of its tables."""

    tables: tuple[TableIntent, ...] = ()
    releases: tuple[Release, ...] = ()
    """The loads whose rows this one moves to quarantine tables."""

    def of(self, table: str) -> TableIntent:
        """Return the intent of a table; a load that changes a nested one has those above it."""
        return next(intent for intent in self.tables if intent.table == table)

    def in_publishing_order(self) -> list[TableIntent]:
        """Return nested tables before the root whose rows decide what is deleted from them."""
        return sorted(self.tables, key=lambda t: (-(t.nesting.depth if t.nesting else 0), t.table))
