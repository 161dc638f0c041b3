"""The log's format: every persisted name, the log's columns, and the row of a load.

The format is fixed: logs outlive releases, and releases meet on one log while an upgrade is rolled
out. The rule for changing it, of which `tests/destinations/iceberg/log/golden` holds a row of every
kind as each format wrote it:

1. A new field, of a row or of an intent, has a default that means what rows without it meant, and
   `FORMAT_VERSION` goes up by one. An older release would publish a row as if the field were not
   there, so it must not publish it: it meets the newer version, or a field that it does not know,
   and raises `UnknownLogFormat` before it changes anything.
2. A field is not renamed, and does not change its meaning or type. A new field takes its place, and
   the old one is read for as long as logs may hold it, which is forever.
3. `format_version` and `written_by` are in each row of every format. A change of a property of the
   log is announced by `PROPERTIES_FORMAT`, which is also checked before anything is changed.
4. The golden rows of the older formats stay as they are, and those of the new format are added.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pydantic import ValidationError

from floe_ingestion_defs.destinations.impl.iceberg.errors import UnknownLogFormat
from floe_ingestion_defs.destinations.impl.iceberg.intent import LoadIntent

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION = 2
"""The newest format that this release reads, and the one that it writes."""

PROPERTIES_FORMAT = "dlt.properties-format"
"""The property of a log that a release will set, to `<format> <release>`, in the commit that first
changes the meaning of the log's properties. No release has done so yet."""

LOADS_TABLE = "_dlt_loads"
BLOCKED_SUFFIX = "____blocked"
"""The suffix of a quarantine table's name. dlt's conventions join the levels of a nested table by
two underscores and collapse longer runs, so no table of theirs has this name."""

# Properties of a data table: its watermark, and what the next publisher must know of the last one.
LOG_UUID = "dlt.log-uuid"
PUBLISHED_SEQ = "dlt.published-seq"
PUBLISHED_LOAD_UID = "dlt.published-load-uid"
PUBLISHED_SNAPSHOT = "dlt.published-snapshot-id"
DROPPED_SEQ = "dlt.dropped-seq"
SCD2_BOUNDARY = "dlt.scd2-boundary"
"""When the newest versions of a slowly changing dimension became valid, in ISO format."""

# Keys of a snapshot's summary: the watermark's second source.
SUMMARY_LOAD_ID = "dlt.load-id"
SUMMARY_LOAD_UID = "dlt.load-uid"
SUMMARY_LOG_UUID = "dlt.log-uuid"
SUMMARY_SEQ = "dlt.seq"
SUMMARY_RELEASED_SEQ = "dlt.released-seq"
"""In a snapshot of a quarantine table: the load that was released, and has these rows."""

# Properties of the log's own table. They survive a rollback of the table; its rows do not.
SETTLED_SEQ = "dlt.settled-seq"
LAST_SEQ = "dlt.last-seq"
BLOCKED_PREFIX = "dlt.blocked."
"""Followed by a table's name. The value is the seq of the first load that cannot be published to
the table, and the name of the error's class."""
MISSING_PREFIX = "dlt.missing."
"""Followed by a table's name. The value is the ids of the loads that the table was found to lack
when it was next loaded into, as after it was restored from a backup."""

LOG_SCHEMA = pa.schema(
    [
        # dlt's own columns.
        ("load_id", pa.string()),
        ("schema_name", pa.string()),
        ("status", pa.int64()),
        ("inserted_at", pa.timestamp("us", "UTC")),
        ("schema_version_hash", pa.string()),
        # Ours.
        ("format_version", pa.int64()),
        ("written_by", pa.string()),
        ("load_uid", pa.string()),
        ("seq", pa.int64()),
        ("settled_seq", pa.int64()),
        ("pipeline_name", pa.string()),
        ("state_version", pa.int64()),
        ("state", pa.string()),
        ("intent", pa.string()),
    ]
)
# The columns that are needed to find a load and to number the next; state and intent are read only
# for the few rows that need them.
LIGHT_COLUMNS = tuple(name for name in LOG_SCHEMA.names if name not in ("state", "intent"))

STATUS_LOADED = 0
STATUS_RELEASE = 1
"""The row moves the rows of blocked loads to a quarantine table; dlt counts status 0 as loads."""


@dataclass(frozen=True)
class Load:
    """One row of the log.

    Attributes:
        seq: The load's place in the total order, counted from 1; 0 before it is committed.
        settled_seq: Every load up to this one was settled when the row was written.
        state: The pipeline's whole state document in dlt's JSON, None if it did not change.
        committed_at: When the row was appended, by the clock of the process that appended it.
    """

    load_id: str
    load_uid: str
    schema_name: str | None
    schema_version_hash: str | None
    pipeline_name: str
    intent: LoadIntent = field(default_factory=LoadIntent)
    state: str | None = None
    state_version: int | None = None
    seq: int = 0
    settled_seq: int = 0
    committed_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def touches(self, tree: str) -> bool:
        """Return whether the load does something to the tree of tables with that root."""
        return any(intent.tree == tree for intent in self.intent.tables)

    def as_row(self) -> pa.Table:
        """Return the row that is appended to the log."""
        row = {
            "load_id": self.load_id,
            "schema_name": self.schema_name,
            "status": STATUS_RELEASE if self.intent.releases else STATUS_LOADED,
            "inserted_at": self.committed_at,
            "schema_version_hash": self.schema_version_hash,
            "format_version": FORMAT_VERSION,
            "written_by": writer(),
            "load_uid": self.load_uid,
            "seq": self.seq,
            "settled_seq": self.settled_seq,
            "pipeline_name": self.pipeline_name,
            "state_version": self.state_version,
            "state": self.state,
            "intent": self.intent.model_dump_json(),
        }
        return pa.Table.from_pylist([row], schema=LOG_SCHEMA)


def load_from_row(log: str, row: dict[str, Any]) -> Load:
    """Return the load of a row.

    Args:
        log: The log's name, for the error.
        row: The row; a heavy column that was not read is empty in the load.

    Raises:
        UnknownLogFormat: The intent has a field or a value that this release does not know.
    """
    encoded = row.get("intent")
    try:
        intent = LoadIntent.model_validate_json(encoded) if encoded else LoadIntent()
    except ValidationError:
        # Without its cause, which would quote what the row holds.
        raise UnknownLogFormat(
            log, row["format_version"], row["written_by"], FORMAT_VERSION
        ) from None
    return Load(
        load_id=row["load_id"],
        load_uid=row["load_uid"],
        schema_name=row["schema_name"],
        schema_version_hash=row["schema_version_hash"],
        pipeline_name=row["pipeline_name"],
        intent=intent,
        state=row.get("state"),
        state_version=row["state_version"],
        seq=row["seq"],
        settled_seq=row["settled_seq"],
        committed_at=row["inserted_at"],
    )


def require_known_properties(log: str, properties: Mapping[str, str]) -> None:
    """Check that this release can read the properties of a log.

    Raises:
        UnknownLogFormat: A newer release has changed their meaning.
    """
    version, _, release = properties.get(PROPERTIES_FORMAT, "0").partition(" ")
    if not version.isdecimal() or int(version) > FORMAT_VERSION:
        found = int(version) if version.isdecimal() else None
        raise UnknownLogFormat(
            log, found, release, FORMAT_VERSION, what=f"the property `{PROPERTIES_FORMAT}`"
        )


def require_known_format(log: str, rows: pa.Table) -> None:
    """Check that this release can read rows of a log.

    Args:
        log: The log's name, for the error.
        rows: Rows with the columns `format_version` and `written_by`.

    Raises:
        UnknownLogFormat: A newer release wrote one of them, or another program did.
    """
    versions, releases = rows["format_version"].to_pylist(), rows["written_by"].to_pylist()
    for version, release in zip(versions, releases, strict=True):
        if version is None or version > FORMAT_VERSION:
            raise UnknownLogFormat(log, version, release, FORMAT_VERSION)


@cache
def writer() -> str:
    """Return the name and version of this release, as stored in the log."""
    name = "floe-ingestion-defs"
    return f"{name} {metadata.version(name)}"
