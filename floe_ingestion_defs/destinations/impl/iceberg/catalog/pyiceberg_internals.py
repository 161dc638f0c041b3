"""The private parts of pyiceberg that the destination needs, in one place."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.table import Table, Transaction


def table_of(transaction: Transaction) -> Table:
    """Return the table that a transaction changes or creates.

    pyiceberg 0.12 has no public name for it, and a table that is being created is not in the
    catalog yet. When a release has one, use it and delete this function.
    """
    return transaction._table  # noqa: SLF001


def file_io(transaction: Transaction) -> FileIO:
    """Return the FileIO that a transaction's table is written with."""
    return table_of(transaction).io
