"""A stack: an Iceberg catalog with its storage, as the environment that opens it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlparse
from uuid import uuid4

import pyarrow.fs as fs

from floe_ingestion_defs.destinations import open_catalog
from servers.seaweedfs import PLAIN_BUCKET, SeaweedFS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyiceberg.catalog import Catalog

    from servers.postgres import Postgres

StackKind = Literal["sqlite", "postgres", "rest", "postgres_s3"]


@dataclass(frozen=True)
class Stack:
    """One catalog, and a namespace in it that no other test uses.

    Attributes:
        kind: `sqlite` and `postgres` are SQL catalogs with local files, `rest` is a REST catalog
            with an S3 store, `postgres_s3` a SQL catalog with one.
        properties: The pyiceberg properties that open the catalog.
        namespace: dlt's dataset name for the test.
        folder: A folder of the test's own.
    """

    kind: StackKind
    properties: Mapping[str, str]
    folder: Path
    namespace: str = field(default_factory=lambda: f"lake_{uuid4().hex[:10]}")

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every pyiceberg tool, and this project, opens the catalog."""
        return {
            "PYICEBERG_HOME": str(self.folder),
            "FLOE_HOME": str(self.folder / "floe"),
            **{
                f"PYICEBERG_CATALOG__FLOE__{name.replace('.', '__').replace('-', '_').upper()}": v
                for name, v in self.properties.items()
            },
        }

    @property
    def log(self) -> str:
        """The name of the table `_dlt_loads`; SeaweedFS takes none that begins with `_`."""
        return "dlt_loads" if self.kind == "rest" else "_dlt_loads"

    def catalog(self) -> Catalog:
        """Opens the catalog in this process."""
        return open_catalog("floe", dict(self.properties))

    def list_files(self, location: str) -> set[str]:
        """All files under a table's location, named as Iceberg names them."""
        url = urlparse(location)
        if "s3.endpoint" not in self.properties:
            if not url.scheme:
                files = (self.folder / url.path).rglob("*")
                return {str(path.relative_to(self.folder)) for path in files if path.is_file()}
            return {path.as_uri() for path in Path(url.path).rglob("*") if path.is_file()}
        store = fs.S3FileSystem(
            access_key=self.properties["s3.access-key-id"],
            secret_key=self.properties["s3.secret-access-key"],
            endpoint_override=self.properties["s3.endpoint"],
            region=self.properties["s3.region"],
        )
        selector = fs.FileSelector(f"{url.netloc}{url.path}", recursive=True, allow_not_found=True)
        found = store.get_file_info(selector)
        return {f"s3://{info.path}" for info in found if info.type == fs.FileType.File}


def sqlite_stack(folder: Path) -> Stack:
    """A new catalog in a SQLite file, with a warehouse beside it."""
    home = folder / "floe"
    properties = {
        "type": "sql",
        "uri": f"sqlite:///{home / 'catalog.db'}",
        "warehouse": (home / "warehouse").as_uri(),
    }
    return Stack("sqlite", properties, folder)


def movable_sqlite_stack(folder: Path, namespace: str) -> Stack:
    """A catalog that names its files relative to the folder, so that a copy of it is one too.

    Only processes that work in the folder can open it.
    """
    properties = {
        "type": "sql",
        "uri": "sqlite:///floe/catalog.db",
        "warehouse": "floe/warehouse",
    }
    return Stack("sqlite", properties, folder, namespace)


def postgres_stack(server: Postgres, folder: Path, store: SeaweedFS | None = None) -> Stack:
    """A new catalog in a database of its own; its files in the folder, or in an S3 store."""
    database = server.new_database()
    properties = {"type": "sql", "uri": server.url(database, "postgresql+psycopg2")}
    if store is None:
        properties["warehouse"] = (folder / "floe" / "warehouse").as_uri()
        return Stack("postgres", properties, folder)
    properties["warehouse"] = f"s3://{PLAIN_BUCKET}/{database}"
    return Stack("postgres_s3", {**properties, **store.s3_properties}, folder)


def rest_stack(server: SeaweedFS, folder: Path, catalog_uri: str | None = None) -> Stack:
    """A new namespace on a server, whose catalog may be reached by another address."""
    return Stack("rest", server.catalog_properties(catalog_uri), folder)
