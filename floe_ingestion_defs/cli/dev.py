"""`floe dev`, which is `make dev`: the Dagster UI on a local instance."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from floe_ingestion_defs.cli.only_once import AlreadyRunningError, only_once

_WORKSPACE = "workspace.yaml"
# Dagster recommends `dg dev`, which is in the extra `dg`.
DAGSTER_DEV = (
    *(sys.executable, "-W", "ignore:Function `dev_command` is superseded"),
    *("-m", "dagster", "dev", "-w", _WORKSPACE),
)


@click.command(short_help="Open the Dagster UI of this project.")
@click.option("--port", type=int, help="Port of the UI [default: 3000, or a free one]")
def dev(port: int | None) -> None:
    """Open the Dagster UI of the project in this folder, until Ctrl-C.

    Its instance is stored in $FLOE_HOME/dagster, by default .floe/dagster.
    """
    if not Path(_WORKSPACE).exists():
        msg = f"{_WORKSPACE} does not exist here; run this command in the folder of a project"
        raise click.UsageError(msg)
    home = Path(os.environ.get("FLOE_HOME") or ".floe").absolute()
    instance = home / "dagster"
    instance.mkdir(parents=True, exist_ok=True)
    try:
        with only_once("dev", home) as lock:
            # Dagster replaces this process, and holds the lock until it ends.
            os.set_inheritable(lock.fileno(), True)
            os.execve(  # noqa: S606 - our own interpreter and arguments
                sys.executable,
                [*DAGSTER_DEV, *(["--port", str(port)] if port else [])],
                {**os.environ, "FLOE_HOME": str(home), "DAGSTER_HOME": str(instance)},
            )
    except AlreadyRunningError as error:
        raise click.ClickException(str(error)) from error
