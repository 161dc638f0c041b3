"""Writing to S3 through PyArrow with one request per small file.

pyiceberg 0.12 requests the metadata and a listing before it creates a file, and PyArrow starts a
multipart upload even for a small file: five requests for each manifest, where one is sufficient.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyiceberg.io import PY_IO_IMPL, S3_RETRY_STRATEGY_IMPL, WAREHOUSE
from pyiceberg.io.pyarrow import PyArrowFile, PyArrowFileIO

if TYPE_CHECKING:
    from pyarrow.fs import FileSystem
    from pyiceberg.catalog import Catalog
    from pyiceberg.io import OutputStream

_SCHEMES = ("s3://", "s3a://", "s3n://")
_UNIQUE = re.compile(r"[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}")


class _UniqueFile(PyArrowFile):
    def create(self, overwrite: bool = False) -> OutputStream:
        # No other file has a name with a new uuid.
        is_unique = _UNIQUE.search(self.location.rpartition("/")[2]) is not None
        return super().create(overwrite=overwrite or is_unique)


class S3FileIO(PyArrowFileIO):
    """PyArrow's FileIO, which uploads a small file in one request."""

    def new_output(self, location: str) -> PyArrowFile:
        """Return a file to write, whose existence is not checked if its name has a uuid."""
        file = super().new_output(location)
        return _UniqueFile(file.location, file._path, file._filesystem, file._buffer_size)  # noqa: SLF001

    def _initialize_s3_fs(self, netloc: str | None) -> FileSystem:
        filesystem = super()._initialize_s3_fs(netloc)
        if S3_RETRY_STRATEGY_IMPL in self.properties:  # Its copy would lack the strategy.
            return filesystem
        rebuild, (options,) = filesystem.__reduce__()
        # A multipart upload begins when more than a part is written.
        return rebuild({**options, "allow_delayed_open": True})


def upload_small_files_at_once(catalog: Catalog) -> Catalog:
    """Return the catalog, whose tables on S3 are written with few requests from now on.

    A configured `py-io-impl` is kept.
    """
    if str(catalog.properties.get(WAREHOUSE, "")).startswith(_SCHEMES):
        implementation = f"{S3FileIO.__module__}.{S3FileIO.__qualname__}"
        catalog.properties.setdefault(PY_IO_IMPL, implementation)
    return catalog
