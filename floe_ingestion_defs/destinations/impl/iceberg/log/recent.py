"""What dlt's first call has read of a dataset, for the calls that follow at once.

To restore a working directory, dlt asks one client for the pipeline's state, and right after it
another client for each schema. The log that the state was read from, at most a second ago, serves
for the schemas, too, as if the process had begun a second earlier. `_dlt_version`, which they are
in, is read while the files of the log are, where a store is far away.
"""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING

from cachetools import TTLCache

from floe_ingestion_defs.destinations.impl.iceberg.catalog.ahead import (
    begin,
    is_unread,
    read_manifests,
)
from floe_ingestion_defs.destinations.impl.iceberg.commits.own_load import (
    READ_LOG_AGAIN_SECONDS,
    is_recent,
)

if TYPE_CHECKING:
    from concurrent.futures import Future

    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

# By `LoadLog.key`; each for as long as a log counts as recent.
_opened: TTLCache[tuple[object, ...], Opened] = TTLCache(16, READ_LOG_AGAIN_SECONDS)
_lock = Lock()


def _forget_all() -> None:
    """Forget what the parent process has read, or is reading in threads that the child lacks."""
    global _lock
    _lock = Lock()
    _opened.clear()


os.register_at_fork(after_in_child=_forget_all)


class Opened:
    """A dataset as it was opened.

    Args:
        dataset: The dataset.
        version_table: The name of the table of schemas.
        lacks_schemas: Whether schemas will be asked for.
    """

    def __init__(
        self, dataset: Dataset, version_table: str, *, lacks_schemas: bool = False
    ) -> None:
        self._dataset = dataset
        self._version_table = version_table
        self._lacks_schemas = lacks_schemas
        self._versions: Future[Table | None] | None = None
        self._view: LogView | None = None

    def read_schemas_beside(self, log: Table) -> None:
        """Begin to read the table of schemas if the log's files have to be read from a store."""
        if self._lacks_schemas and self._versions is None and is_unread(log):
            self._versions = begin(self._read_versions)

    def _read_versions(self) -> Table | None:
        table = self.load_versions()
        if table is not None:
            read_manifests(table)
        return table

    def load_versions(self) -> Table | None:
        """Return the table of schemas as it is now; with one request if the log was found."""
        return self._dataset.load_table(self._version_table)

    def keep(self, view: LogView) -> None:
        """Keep what was read, the log's state among it, until this process commits a load."""
        self._view = view
        with _lock:
            _opened[self._dataset.log.key] = self

    def view(self) -> LogView | None:
        """Return the log, None where it may be out of date."""
        view = self._view
        return view if view and is_recent(self._dataset.catalog, view) else None

    def versions(self) -> Table | None:
        """Return the table of schemas, None where it was not read, or could not be."""
        if self._versions is None or self._versions.exception() is not None:
            return None
        return self._versions.result()


def recently_opened(dataset: Dataset, version_table: str) -> Opened:
    """Return a dataset as it was opened within the last second, if it was."""
    with _lock:
        return _opened.get(dataset.log.key) or Opened(dataset, version_table)


def forget_opened(key: tuple[object, ...]) -> None:
    """Forget what was read of a dataset, whose log changes."""
    with _lock:
        _opened.pop(key, None)
