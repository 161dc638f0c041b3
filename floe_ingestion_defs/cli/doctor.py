"""`floe doctor`: checks whether catalog, storage and permissions allow a load."""

from __future__ import annotations

import platform
import time
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING
from uuid import uuid4

import click

from floe_ingestion_defs.cli.failures import Failure, describe
from floe_ingestion_defs.dlt_plugin import ErrorCategory

if TYPE_CHECKING:
    from collections.abc import Callable

    from floe_ingestion_defs.cli.session import Row, Session
    from floe_ingestion_defs.destinations import Dataset

_DISTRIBUTIONS = ("floe-ingestion-defs", "dlt", "pyiceberg", "pyarrow", "dagster", "dagster-dlt")


@click.command(short_help="Check catalog, storage and permissions.")
@click.argument("dataset", required=False)
@click.pass_obj
def doctor(session: Session, dataset: str | None) -> None:
    """Check catalog, storage and permissions of DATASET, or of all datasets, and list versions.

    Writes a small file next to the log of each dataset, reads it and deletes it. The exit code
    is not 0 if a check fails.
    """
    report = _Report(session)
    report.check("catalog", partial(_ask, session))
    if report.failed is None:
        for each in [session.dataset(dataset)] if dataset else session.datasets():
            report.check(f"log of {each.name}", partial(_read_log, each))
            report.check(f"storage of {each.name}", partial(_use_storage, each))
    session.show("checks", report.rows, **_versions())
    if report.failed is not None:
        raise click.exceptions.Exit(report.failed.exit_code)


class _Report:
    def __init__(self, session: Session) -> None:
        self._session = session
        self.rows: list[Row] = []
        self.failed: Failure | None = None

    def check(self, name: str, run: Callable[[], str]) -> None:
        """Run a check and note its result."""
        began = time.perf_counter()
        remedy = ""
        try:
            result, found = "ok", run()
        except Exception as error:
            # A boundary: catalogs and stores raise any exception of their drivers.
            failure = describe(error, self._session.catalog_name)
            self.failed = self.failed or failure
            result, found, remedy = failure.category.value, failure.reason, failure.remedy
        milliseconds = round((time.perf_counter() - began) * 1000)
        self.rows.append(
            {
                "check": name,
                "result": result,
                "found": found,
                "remedy": remedy,
                "milliseconds": milliseconds,
            }
        )


def _versions() -> dict[str, str | None]:
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in _DISTRIBUTIONS:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def _ask(session: Session) -> str:
    namespaces = session.catalog.list_namespaces()
    kind = session.catalog.properties.get("type", type(session.catalog).__name__)
    return f"type {kind}, {len(namespaces)} namespaces"


def _read_log(dataset: Dataset) -> str:
    view = dataset.log.read()
    if view is None:
        return "no load yet"
    if lost := view.lost_seqs:
        msg = f"the log has lost the rows of {len(lost)} loads, the first of which is {lost[0]}"
        raise Failure(
            msg,
            ErrorCategory.PERMANENT,
            "Roll the log back to the snapshot that has them; loads are rejected until then.",
            dataset.name,
        )
    if view.blocked:
        msg = f"blocked tables: {', '.join(sorted(view.blocked))}"
        raise Failure(
            msg,
            ErrorCategory.PERMANENT,
            f"`floe status {dataset.name}` shows why, and the remedy.",
            dataset.name,
        )
    return f"{view.last_seq} loads, settled through {view.settled_seq}"


def _use_storage(dataset: Dataset) -> str:
    view = dataset.log.read()
    if view is None:
        return "no load yet"
    io, content = view.table.io, b"floe doctor"
    path = f"{view.table.location()}/metadata/floe-doctor-{uuid4().hex}.txt"
    with io.new_output(path).create() as sink:
        sink.write(content)
    with io.new_input(path).open() as stream:
        is_equal = stream.read() == content
    io.delete(path)
    if not is_equal:
        msg = "a file was read back with other contents"
        raise Failure(msg, ErrorCategory.PERMANENT)
    return "wrote, read and deleted a file"
