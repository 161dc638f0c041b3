"""One table of a branch: production's metadata under another name, with paths of its own.

And the probe that a catalog has to pass before a branch relies on it for that.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import pyarrow as pa

from floe_ingestion_defs.destinations.impl.iceberg.commits.attempts import (
    COMMIT_DEADLINE_SECONDS,
    commit_certainly,
)
from floe_ingestion_defs.destinations.impl.iceberg.errors import CommitContention
from floe_ingestion_defs.destinations.impl.iceberg.files.listing import list_files

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset

CLONE_PROPERTY = "floe.cloned-by-log"
# On the branch's log: a JSON list of production's folders that its tables refer to, beside those of
# the tables that were cloned.
SHARED_PROPERTY = "floe.shared-locations"
PROBE_PREFIX = "floe_probe_"


def own_locations(table: Table) -> set[str]:
    """Return the folders that hold a table's files and no other table's.

    A clone's own location is that of production's table: the files there are not the clone's.
    """
    paths = {table.properties.get(f"write.{kind}.path") for kind in ("data", "metadata")}
    own = {path for path in paths if path}
    return own if CLONE_PROPERTY in table.properties else {*own, table.location()}


def register(dataset: Dataset, name: str, metadata_location: str) -> None:
    """Register a table under that name, unless another process has done so already.

    Raises:
        TableAlreadyExistsError: The catalog does not accept a second table with that metadata.
    """
    from pyiceberg.exceptions import TableAlreadyExistsError

    if dataset.load_table(name) is None:
        try:
            dataset.catalog.register_table(dataset.identifier(name), metadata_location)
        except TableAlreadyExistsError:
            if dataset.load_table(name) is None:
                raise


def separate_from_production(
    dataset: Dataset,
    name: str,
    path: str,
    log_uuid: str,
    watermark: dict[str, str],
    deadline_seconds: float = COMMIT_DEADLINE_SECONDS,
) -> None:
    """Give a clone paths of its own, and keep every tool from deleting what it refers to."""

    def attempt() -> None:
        table = dataset.load_table(name)
        if table is None or table.properties.get(CLONE_PROPERTY) == log_uuid:
            return
        with table.transaction() as transaction:
            transaction.set_properties(
                {
                    "write.data.path": f"{path}/data",
                    "write.metadata.path": f"{path}/metadata",
                    "write.metadata.delete-after-commit.enabled": "false",
                    # Iceberg's property for tables that share files: no engine purges or sweeps.
                    "gc.enabled": "false",
                    CLONE_PROPERTY: log_uuid,
                    **watermark,
                }
            )

    commit_certainly(f"Cloning {dataset.qualified(name)}", attempt, deadline_seconds)


def reason_against_cloning(dataset: Dataset) -> str | None:
    """Clone an empty table as a probe, and return why it fails; None if it succeeds.

    Only responses about what the catalog supports count; if the catalog is down, its error is
    raised.
    """
    from pyiceberg import exceptions

    name, catalog = f"{PROBE_PREFIX}{uuid4().hex[:10]}", dataset.catalog
    original = catalog.create_table(dataset.identifier(name), pa.schema([("x", pa.int64())]))
    copy, path = f"{name}_clone", f"{original.location()}/clone"
    try:
        for part in (False, True):
            register(dataset, copy, original.metadata_location)
            if part:
                separate_from_production(dataset, copy, path, name, {}, deadline_seconds=5)
            if not _is_dropped(dataset, copy):
                return "a registered table cannot be dropped"
            if not original.io.new_input(original.metadata_location).exists():
                return "dropping a table deletes files that another table uses, too"
        return None
    except (
        exceptions.BadRequestError,
        exceptions.ForbiddenError,
        exceptions.TableAlreadyExistsError,
        exceptions.ValidationException,
        NotImplementedError,
    ) as rejection:
        return f"{type(rejection).__name__}: {rejection}"
    except CommitContention:  # No other writer knows the table.
        return "a registered table accepts no commit"
    finally:
        for left in (name, copy):
            with suppress(exceptions.NoSuchTableError):
                catalog.drop_table(dataset.identifier(left))
        for file in list(list_files(original.io, original.location())):
            original.io.delete(file.path)


def _is_dropped(dataset: Dataset, name: str) -> bool:
    """Drop a table, and return whether the catalog did; it may fail transiently."""
    from pyiceberg.exceptions import ServerError
    from tenacity import (
        Retrying,
        retry_if_exception_type,
        stop_after_attempt,
        wait_chain,
        wait_fixed,
    )

    retrying = Retrying(
        retry=retry_if_exception_type(ServerError),
        stop=stop_after_attempt(3),
        wait=wait_chain(wait_fixed(0.2), wait_fixed(1.0)),
        reraise=True,
    )
    try:
        retrying(dataset.catalog.drop_table, dataset.identifier(name))
    except ServerError:
        return False
    return True
