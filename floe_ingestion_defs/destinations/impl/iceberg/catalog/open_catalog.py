"""Opening the one pyiceberg catalog that everything uses.

The catalog is configured as for every pyiceberg tool, by `PYICEBERG_CATALOG__FLOE__URI` and
similar variables or in `.pyiceberg.yaml`. With nothing configured, it is a SQLite file and a local
warehouse under `$FLOE_HOME`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from floe_ingestion_defs.destinations.impl.iceberg.catalog.client_commits import correct_commits
from floe_ingestion_defs.destinations.impl.iceberg.catalog.confinement import confine
from floe_ingestion_defs.destinations.impl.iceberg.catalog.supported import require_supported

if TYPE_CHECKING:
    from pyiceberg.catalog import Catalog
    from pyiceberg.table import Table
    from pyiceberg.typedef import Identifier

DEFAULT_CATALOG_NAME = "floe"


def floe_home() -> Path:
    """Return the folder of the embedded catalog: `$FLOE_HOME`, or `.floe` beside `pyproject.toml`.

    The nearest `pyproject.toml` at or above the working directory counts; where there is none,
    the folder is in the working directory.
    """
    if configured := os.environ.get("FLOE_HOME"):
        return Path(configured).absolute()
    here = Path.cwd()
    project = next((p for p in (here, *here.parents) if (p / "pyproject.toml").exists()), here)
    return project / ".floe"


def embedded_catalog_properties() -> dict[str, str]:
    """Return the properties of the catalog that is used where none is configured."""
    home = floe_home()
    warehouse = str(home / "warehouse")
    return {
        "type": "sql",
        "uri": f"sqlite:///{home / 'catalog.db'}",
        # pyiceberg takes the path of a URI literally: `%20` would be part of a folder's name, and
        # what follows a `#` would not be part of the path.
        "warehouse": warehouse if "#" in warehouse else f"file://{warehouse}",
    }


def catalog_properties(name: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return the properties that `open_catalog` opens a catalog with; they may hold secrets.

    Args:
        name: The catalog's name in pyiceberg's own configuration.
        overrides: Properties that take precedence over it; None is the same as absent.

    Returns:
        Strings by their names, and mappings for pyiceberg's `auth` and `ssl`.
    """
    from pyiceberg.utils.config import Config

    # Read again instead of from pyiceberg's import-time copy: tests, notebooks and run workers
    # set the environment after the import.
    configured: dict[str, Any] = dict(Config().get_catalog_config(name) or {})
    configured.update({key: value for key, value in overrides.items() if value is not None})
    if "uri" not in configured and configured.get("type", "sql") == "sql":
        configured = {**embedded_catalog_properties(), **configured}
    uri = str(configured.get("uri", ""))
    if uri.startswith("http") and "py-catalog-impl" not in configured:
        configured["type"] = str(configured.get("type", "rest")).lower()
    if uri.startswith("postgresql"):
        # A connection that broke while the rows were staged is replaced before it is used.
        configured.setdefault("pool_pre_ping", "true")
    return {
        key: dict(value) if isinstance(value, Mapping) else str(value)
        for key, value in configured.items()
    }


def open_catalog(
    name: str = DEFAULT_CATALOG_NAME, overrides: Mapping[str, Any] | None = None
) -> Catalog:
    """Open a pyiceberg catalog, creating the embedded one on first use.

    Args:
        name: The catalog's name in pyiceberg's own configuration.
        overrides: Catalog properties that take precedence over it.

    Returns:
        A catalog of whichever type the configuration names. In a branch deployment it rejects
        every change outside of the branch's own namespaces.

    Raises:
        UnsupportedCatalog: pyiceberg cannot commit to tables of this type of catalog.
    """
    from floe_ingestion_defs.destinations.impl.iceberg.catalog.s3_file_io import (
        send_few_requests,
    )

    opened = require_supported(_open_catalog(name, overrides))
    return confine(correct_commits(send_few_requests(opened)))


def open_destination_catalog(
    catalog_name: str,
    catalog_type: str | None = None,
    catalog_uri: str | None = None,
    warehouse: str | None = None,
    catalog_properties: Mapping[str, Any] | None = None,
) -> Catalog:
    """Open the catalog that the destination `iceberg` loads into, given the same arguments.

    Args:
        catalog_name: The catalog's name in pyiceberg's own configuration.
        catalog_type: Its type, such as `sql` or `rest`.
        catalog_uri: Its URI.
        warehouse: Where it puts new tables.
        catalog_properties: Further catalog properties, which take precedence.
    """
    named = {"type": catalog_type, "uri": catalog_uri, "warehouse": warehouse}
    return open_catalog(catalog_name, {**named, **(catalog_properties or {})})


def _open_catalog(name: str, overrides: Mapping[str, Any] | None) -> Catalog:
    from pyiceberg.catalog import load_catalog

    properties = catalog_properties(name, overrides or {})
    uri = properties.get("uri", "")
    if uri.startswith("sqlite:///"):
        Path(uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
    if uri.startswith(("sqlite", "postgresql")):
        return _open_sql_catalog(name, properties)
    if properties.get("type") == "rest" and uri:
        from floe_ingestion_defs.destinations.impl.iceberg.catalog.rest import BoundedRestCatalog

        return BoundedRestCatalog(name, **properties)
    return load_catalog(name, **properties)


def is_remote(catalog: Catalog) -> bool:
    """Return whether each look at a table is a request to a server that may be far away."""
    return bool(catalog.properties.get("type") == "rest")


_ADMITS: dict[tuple[str | None, str | None], bool] = {}


def admits_leading_underscores(
    catalog: Catalog, namespace: tuple[str, ...], looked_up: dict[Identifier, Table | None]
) -> bool:
    """Return whether table names may begin with an underscore, as those of dlt's own tables do.

    Only a REST catalog is queried, once per process.

    Args:
        catalog: The catalog.
        namespace: A namespace, in which the dataset's log is looked up.
        looked_up: Gets what was found under the names of the log.
    """
    from pyiceberg.exceptions import BadRequestError

    properties = catalog.properties
    if properties.get("type") != "rest":
        return True
    key = (properties.get("uri"), properties.get("warehouse"))
    if key not in _ADMITS:
        expected, other = (*namespace, "_dlt_loads"), (*namespace, "dlt_loads")
        try:
            looked_up[expected] = _look_up(catalog, expected)
            _ADMITS[key] = True
        except BadRequestError:
            # A catalog that currently calls every request bad must not be taken for one that
            # rejects the name: the dataset would get a second log. This raises if it does.
            looked_up.update({other: _look_up(catalog, other), expected: None})
            _ADMITS[key] = False
    return _ADMITS[key]


def _look_up(catalog: Catalog, identifier: Identifier) -> Table | None:
    from pyiceberg.exceptions import NoSuchNamespaceError, NoSuchTableError

    with suppress(NoSuchTableError, NoSuchNamespaceError):
        return catalog.load_table(identifier)
    return None


def _open_sql_catalog(name: str, properties: dict[str, Any]) -> Catalog:
    from pyiceberg.catalog import load_catalog
    from sqlalchemy.exc import DBAPIError
    from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_incrementing

    def lost_the_race(error: BaseException) -> bool:
        # pyiceberg 0.12 creates its two tables without IF NOT EXISTS, so of two processes that open
        # a new database together one gets "table iceberg_tables already exists", from PostgreSQL as
        # a ProgrammingError or, for the type of the table's rows, an IntegrityError: a second
        # attempt finds the tables.
        return isinstance(error, DBAPIError) and "already exists" in str(error)

    retrying = Retrying(
        retry=retry_if_exception(lost_the_race),
        stop=stop_after_attempt(5),
        wait=wait_incrementing(start=0.05, increment=0.05),
        reraise=True,
    )
    return retrying(load_catalog, name, **properties)
