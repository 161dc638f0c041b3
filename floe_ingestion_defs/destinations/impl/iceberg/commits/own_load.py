"""What the process that staged and committed a load knows when it publishes the load.

Reading a table again, or requesting its creation again, takes a catalog as long as the commit
itself. A commit asserts the state that it was computed from, so an attempt on a state that was read
a second ago is safe: where another writer has changed the table, it conflicts, and the next attempt
reads the table.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from floe_ingestion_defs.destinations.impl.iceberg.catalog.open_catalog import is_remote
from floe_ingestion_defs.destinations.impl.iceberg.commits.deadline import Since

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyiceberg.catalog import Catalog
    from pyiceberg.table import CreateTableTransaction, Table

    from floe_ingestion_defs.destinations.impl.iceberg.intent import TableIntent
    from floe_ingestion_defs.destinations.impl.iceberg.log.format import Load
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

# A table that other writers commit to is read again after this time: an attempt that conflicts
# costs more than a read.
READ_AGAIN_SECONDS = 3.0
# Credentials that a catalog vends with a creation are valid for longer.
CREATE_WITHIN_SECONDS = 300.0
# The log is read again after this time: all loads of the dataset are committed to it.
READ_LOG_AGAIN_SECONDS = 1.0
# A load whose own commit is older is looked up in the log before a table is created for it.
CONFIRM_SECONDS = 1.0


def is_recent(catalog: Catalog, view: LogView) -> bool:
    """Return whether a commit to the log is attempted on what was read of it a second ago.

    Only where a request is needed to read it again.
    """
    return is_remote(catalog) and view.read.seconds < READ_LOG_AGAIN_SECONDS


class _Staged(Protocol):
    """What is known of a table for which rows were staged."""

    @property
    def intent(self) -> TableIntent: ...
    @property
    def current(self) -> Table | None: ...
    @property
    def creation(self) -> CreateTableTransaction | None: ...
    @property
    def read(self) -> Since: ...


@dataclass
class OwnLoad:
    """The tables of a load as they were staged, each for the first attempt to publish to it.

    Attributes:
        load: The load.
        confirmed: When it was last known to be in the log.
    """

    load: Load
    confirmed: Since = field(default_factory=Since)
    _staged: dict[str, _Staged] = field(default_factory=dict)

    @classmethod
    def of(cls, catalog: Catalog, load: Load, staged: Iterable[_Staged]) -> OwnLoad:
        """Return what is known of a load that was committed just now.

        A table that exists is known only where a request is needed to read it.
        """
        tables = {
            table.intent.table: table
            for table in staged
            if table.current is None or is_remote(catalog)
        }
        return cls(load, _staged=tables)

    def take(self, load: Load, intent: TableIntent) -> _Staged | None:
        """Return a table as it was staged for the load, None where it must be read.

        A table is returned once, and not after another load was published to it.
        """
        staged = self._staged.pop(intent.table, None)
        if staged is None or load.load_uid != self.load.load_uid or staged.intent != intent:
            return None
        limit = READ_AGAIN_SECONDS if staged.current is not None else CREATE_WITHIN_SECONDS
        return staged if staged.read.seconds < limit else None

    def confirm(self, load: Load, looked_up: Since) -> None:
        """Note when a load was found in the log, so that one look is valid for several tables."""
        if load.load_uid == self.load.load_uid:
            self.confirmed = looked_up

    def is_confirmed(self, load: Load) -> bool:
        """Return whether the load was in the log a second ago."""
        is_own = load.load_uid == self.load.load_uid
        return is_own and self.confirmed.seconds < CONFIRM_SECONDS
