"""fsspec's FileIO with a memory of immutable files; apart, because fsspec is an optional extra."""

from __future__ import annotations

from urllib.parse import urlparse

from pyiceberg.io.fsspec import FsspecFileIO

from floe_ingestion_defs.destinations.impl.iceberg.catalog.s3_file_io import RemembersFiles


class RememberingFsspecFileIO(RemembersFiles, FsspecFileIO):
    """fsspec's FileIO, which already uploads a small file in one request."""

    def read_start(self, location: str, count: int) -> bytes:
        """Return the first bytes of a file on S3; s3fs sends one request, for that range."""
        filesystem = self.get_fs(urlparse(location).scheme)
        return bytes(filesystem.cat_file(location, start=0, end=count))
