"""fsspec's FileIO with a memory of immutable files; apart, because fsspec is an optional extra."""

from __future__ import annotations

from pyiceberg.io.fsspec import FsspecFileIO

from floe_ingestion_defs.destinations.impl.iceberg.catalog.s3_file_io import RemembersFiles


class RememberingFsspecFileIO(RemembersFiles, FsspecFileIO):
    """fsspec's FileIO, which already uploads a small file in one request."""
