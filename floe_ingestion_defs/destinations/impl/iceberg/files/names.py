"""The names of the files that a dataset writes, by which its sweep recognizes them.

    data file       floe-<dataset id>-<origin>-<random>.parquet
    manifest        <commit uuid>-m<number>.avro
    manifest list   snap-<snapshot id>-<attempt>-<commit uuid>.avro

The dataset id is the first half of the uuid of the dataset's log, `_dlt_loads`; it exists from the
first load on, and every table that the dataset publishes to has it in its properties. The commit
uuid begins with the same 16 digits, so that manifests keep the names that Iceberg's tools expect.
The origin is the load's uid for a staged file, and a word for a file that is written from others.
Names are unique, so two paths that end in the same name are two spellings of one file.

Metadata files (`<version>-<uuid>.metadata.json`) are named by the catalog: their content shows
which table they belong to.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from floe_ingestion_defs.destinations.impl.iceberg.log.format import LOG_UUID

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadata

_ID_DIGITS = 16
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_MANIFEST = re.compile(rf"(?:snap-\d+-\d+-)?({_UUID})(?:-m\d+)?\.avro")
# Iceberg's layout for object stores may put its hash, of zeros and ones, before the name.
_DATA_FILE = re.compile(
    rf"(?:[01]+-)?floe-([0-9a-f]{{{_ID_DIGITS}}})-[0-9a-z]+-[0-9a-f]{{32}}\.parquet"
)


def dataset_id(log_uuid: str) -> str:
    """Return the id that is part of the names of a dataset's files.

    Args:
        log_uuid: The uuid of the dataset's log.
    """
    return UUID(log_uuid).hex[:_ID_DIGITS]


def data_file_name(metadata: TableMetadata, origin: str) -> str:
    """Return a unique name for a data file.

    Args:
        metadata: The table, with the dataset's log in its properties; or the log itself.
        origin: The load's uid, or a word for what the file is written from.

    Raises:
        ValueError: The origin has characters other than lower-case letters and digits.
    """
    name = f"floe-{_id_of(metadata)}-{origin}-{uuid4().hex}.parquet"
    if _DATA_FILE.fullmatch(name) is None:
        msg = f"{origin!r} is not a valid origin of a data file; use [0-9a-z]+."
        raise ValueError(msg)
    return name


def commit_uuid(metadata: TableMetadata) -> UUID:
    """Return a new uuid for a snapshot, by which pyiceberg names its manifests."""
    return UUID(_id_of(metadata) + uuid4().hex[_ID_DIGITS:])


def is_named_by(log_uuid: str, name: str) -> bool:
    """Return whether a file's name shows that the dataset of that log wrote it."""
    if found := _DATA_FILE.fullmatch(name):
        return found[1] == dataset_id(log_uuid)
    if found := _MANIFEST.fullmatch(name):
        return UUID(found[1]).hex.startswith(dataset_id(log_uuid))
    return False


def is_data_file(path: str) -> bool:
    """Return whether a file has the name of some dataset's data file."""
    return _DATA_FILE.fullmatch(path.rpartition("/")[2]) is not None


def _id_of(metadata: TableMetadata) -> str:
    return dataset_id(metadata.properties.get(LOG_UUID) or str(metadata.table_uuid))
