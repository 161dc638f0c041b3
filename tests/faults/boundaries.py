"""The boundaries of a load's steps: where a process can be killed, held, or made to fail.

`watch` wraps what the four steps are made of, in this process only, and calls a hook at each
boundary with its number and its name. Between two boundaries nothing is written that another
process could see, so a kill at each of them is a kill anywhere.
"""

from __future__ import annotations

import inspect
import os
import signal
import time
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyiceberg.catalog.rest import RestCatalog
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.table.update import AssertCreate

from floe_ingestion_defs.destinations.impl.iceberg import client, load, working_directory
from floe_ingestion_defs.destinations.impl.iceberg.changes import change, file_changes
from floe_ingestion_defs.destinations.impl.iceberg.files import staged_files as stage
from floe_ingestion_defs.destinations.impl.iceberg.maintenance import orphans, rewrite

if TYPE_CHECKING:
    from pyiceberg.table import Table

Hook = Callable[[int, str], None]


def watch(hook: Hook) -> None:
    """Calls the hook at every boundary that this process reaches from now on."""
    numbers = count()

    def reach(name: str) -> None:
        hook(next(numbers), name)

    _around(client, "run_load", reach, lambda *a: "the load")
    _around(load, "audit", reach, lambda *a: "the audit")
    _around(working_directory, "abort", reach, lambda *a: "aborting the package")
    _halfway_through_uploads(reach)
    for writer in ("write_data_file", "write_staged", "write_position_deletes"):
        what = "deleting in place" if writer == "write_position_deletes" else "rewriting"
        _around(file_changes, writer, reach, lambda *a, what=what: what, before=False)
    for module in (change, rewrite):
        _around(module, "write_staged", reach, lambda *a: "rewriting", before=False)
    _around(rewrite, "write_data_file", reach, lambda *a: "rewriting", before=False)
    _around(orphans, "delete_orphan", reach, lambda *a: "deleting a file")
    for catalog in (SqlCatalog, RestCatalog):
        _around(catalog, "commit_table", reach, _name_of_commit)
        _around(catalog, "create_namespace", reach, lambda *a: "creating the namespace")
    # The metadata is written and the catalog does not point to it yet.
    _around(SqlCatalog, "_write_metadata", reach, lambda *a: "writing metadata", before=False)


def _name_of_commit(_: Any, table: Table, requirements: Sequence[Any], *rest: Any) -> str:
    """A load's commit to the log is its commit point; the log's creation is none of a load."""
    name = str(table.name()[-1])
    creates = any(isinstance(requirement, AssertCreate) for requirement in requirements)
    is_log = name.lstrip("_") == "dlt_loads"
    return f"creating {name}" if creates and is_log else f"a commit of {name}"


def _around(
    owner: Any,
    name: str,
    reach: Callable[[str], None],
    describe: Callable[..., str],
    *,
    before: bool = True,
) -> None:
    original = getattr(owner, name)

    def wrapped(*arguments: Any, **keywords: Any) -> Any:
        what = describe(*arguments)
        if before:
            reach(f"before {what}")
        value = original(*arguments, **keywords)
        reach(f"after {what}")
        return value

    static = isinstance(inspect.getattr_static(owner, name), staticmethod)
    setattr(owner, name, staticmethod(wrapped) if static else wrapped)


def _halfway_through_uploads(reach: Callable[[str], None]) -> None:
    original: Callable[..., int] = vars(stage)["upload"]

    def upload(io: Any, local: Path, path: str, *footer: Any) -> int:
        half = local.read_bytes()[: local.stat().st_size // 2]
        with io.new_output(path).create(overwrite=True) as sink:
            sink.write(half)
        reach(f"inside the upload of {local.name.split('.')[0]}")
        return original(io, local, path, *footer)

    setattr(stage, "upload", upload)  # noqa: B010


def record(names: list[str]) -> Hook:
    """A hook that notes the boundaries' names."""
    return lambda number, name: names.append(name)


def kill_at(boundary: int) -> Hook:
    """A hook that kills this process at a boundary, as `kill -9` or a power cut would."""

    def hook(number: int, name: str) -> None:
        if number == boundary:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def kill_when(name: str) -> Hook:
    """A hook that kills this process when a boundary of that name is first reached."""

    def hook(number: int, reached: str) -> None:
        if reached == name:
            os.kill(os.getpid(), signal.SIGKILL)

    return hook


def hold_when(name: str, gate: Path, seconds: float = 60) -> Hook:
    """A hook that holds this process at a boundary until the file `gate` exists.

    To wait for it to arrive there, look for the file `gate` with `.reached` appended.
    """

    def hook(number: int, reached: str) -> None:
        if reached == name and not gate.exists():
            Path(f"{gate}.reached").touch()
            wait_for(gate, seconds)

    return hook


def wait_for(path: Path, seconds: float = 60) -> None:
    """Waits until a file exists."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        if time.monotonic() > deadline:
            msg = f"{path.name} did not appear in {seconds} s"
            raise AssertionError(msg)
        time.sleep(0.01)
