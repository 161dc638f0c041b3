"""Which catalogs can hold a log: those whose commits are conditional on what was read.

`docs/guarantees.md` has the table of catalogs that follows from it.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING

from floe_ingestion_defs.destinations.impl.iceberg.errors import UnsupportedCatalog

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog

logger = logging.getLogger(__name__)

# By module, since importing a catalog needs its driver. pyiceberg 0.12.
_WITHOUT_COMMITS = {
    "pyiceberg.catalog.dynamodb": "DynamoDB",
    "pyiceberg.catalog.bigquery_metastore": "BigQuery",
}
_WITHOUT_CONDITIONAL_COMMITS = {"pyiceberg.catalog.hive": "Hive"}


def require_supported(catalog: Catalog) -> Catalog:
    """Return a catalog that tables can be loaded into, with a warning where no promise holds.

    Raises:
        UnsupportedCatalog: pyiceberg cannot commit to a table of such a catalog.
    """
    modules = [cls.__module__ for cls in type(catalog).__mro__]
    for module in modules:
        if kind := _WITHOUT_COMMITS.get(module):
            msg = (
                f"Catalog `{catalog.name}` is a {kind} catalog, and pyiceberg cannot commit to a "
                "table of one (`commit_table` is not implemented). Use a REST, SQL or Glue catalog."
            )
            raise UnsupportedCatalog(msg)
        if kind := _WITHOUT_CONDITIONAL_COMMITS.get(module):
            _warn_once(kind, catalog.name)
    return catalog


def is_glue(catalog: Catalog) -> bool:
    """Return whether a catalog is one of AWS Glue, or of a subclass such as a branch's."""
    return any(cls.__module__ == "pyiceberg.catalog.glue" for cls in type(catalog).__mro__)


@cache
def _warn_once(kind: str, name: str) -> None:
    logger.warning(
        "Catalog %s is a %s catalog. Its commits are not conditional: pyiceberg locks the table "
        "and does not renew the lock, so a writer that is suspended for longer than the lock lasts "
        "can overwrite another writer's commit. Loads can then be lost or duplicated; run "
        "one writer at a time, or use a REST, SQL or Glue catalog.",
        name,
        kind,
    )
