"""The location of a new table: a free one, since catalogs derive it from the name alone.

A table that was renamed keeps its location, and one that was dropped may leave its files there.
The next table of that name gets the first free one of `orders`, `orders-2`, `orders-3` and so on.
Loads that stage the same new table at the same time choose the same location: staged files do not
occupy it, and the credentials that a catalog vends for the table are valid for all of their files.
"""

from __future__ import annotations

import logging
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from floe_ingestion_defs.destinations.impl.iceberg.catalog.pyiceberg_internals import file_io
from floe_ingestion_defs.destinations.impl.iceberg.errors import LocationInUse
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import list_files
from floe_ingestion_defs.destinations.impl.iceberg.files.names import is_data_file

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import CreateTableTransaction

logger = logging.getLogger(__name__)

# A name under which so many tables were dropped gets a random suffix.
_MOST_NUMBERED = 20


def stage_creation(
    catalog: Catalog, identifier: tuple[str, ...], location: str | None = None, **arguments: Any
) -> CreateTableTransaction:
    """Stage the creation of a table at a location without files of another table.

    Args:
        catalog: The catalog.
        identifier: The table's identifier.
        location: The location that was free when the table's files were staged there, used without
            another check: a creation that died may have left metadata. None for a free one.
        arguments: Those of pyiceberg's `Catalog.create_table_transaction`.

    Raises:
        LocationInUse: The catalog accepts only its own location, which has files of another table.
    """
    from pyiceberg.exceptions import BadRequestError, ForbiddenError, ValidationException

    staged = catalog.create_table_transaction(identifier, location=location, **arguments)
    if location is not None:
        return staged
    first = staged.table_metadata.location.rstrip("/")
    for number in count(2):
        try:
            taken_by = _foreign_file(staged)
        except OSError as error:
            # S3 Tables cannot list files, and gives each table a location of its own.
            logger.debug("%s cannot be listed: %s", staged.table_metadata.location, error)
            return staged
        if taken_by is None:
            return staged
        suffix = str(number) if number <= _MOST_NUMBERED else uuid4().hex
        wanted, rejection = f"{first}-{suffix}", None
        try:
            staged = catalog.create_table_transaction(identifier, location=wanted, **arguments)
        except (BadRequestError, ForbiddenError, ValidationException) as error:
            rejection = error
        if rejection or staged.table_metadata.location.rstrip("/") != wanted:
            msg = (
                f"Table `{'.'.join(identifier)}` cannot be created: the catalog accepts only "
                f"{first}, which has files of another table, such as {taken_by}. Move or delete "
                "them, or allow the catalog to create tables at other locations."
            )
            raise LocationInUse(msg) from rejection
    msg = "unreachable"
    raise AssertionError(msg)


def _foreign_file(staged: CreateTableTransaction) -> str | None:
    """Return a file at the location that no load has staged there for a future table."""
    files = list_files(file_io(staged), staged.table_metadata.location)
    return next((file.path for file in files if not is_data_file(file.path)), None)
