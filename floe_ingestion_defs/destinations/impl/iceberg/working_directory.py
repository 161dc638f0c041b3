"""The load packages of a pipeline's working directory, and the state that each of them contains.

dlt extracts one package per schema, and puts the pipeline's state into that of the default schema
only. Each package is a load of its own here, so each commits the cursors of its own schema.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import dlt
from dlt.common.configuration.container import Container
from dlt.common.pipeline import PipelineContext
from dlt.common.storages import LoadStorage, LoadStorageConfiguration
from dlt.common.storages.load_package import PackageStorage
from dlt.common.versioned_state import json_decode_state, json_encode_state
from dlt.load.exceptions import LoadPackageAborted

from floe_ingestion_defs.destinations.impl.iceberg.errors import StateConflict
from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import ExtractedState

if TYPE_CHECKING:
    from dlt.common.pipeline import TPipelineState
    from dlt.common.storages.load_package import TPipelineStateDoc
    from dlt.load.exceptions import LoadClientJobFailed


def lacks_schemas() -> bool:
    """Return whether the working directory of the active pipeline is a new one, without schemas."""
    context = Container()[PipelineContext]
    return context.is_active() and not cast("dlt.Pipeline", context.pipeline()).schema_names


def extracted_state(packages: PackageStorage, load_id: str) -> ExtractedState | None:
    """Return the state that a package commits, None where its extraction did not change any.

    Args:
        packages: The pending packages of the working directory.
        load_id: The package.
    """
    own = packages.get_load_package_state(load_id).get("pipeline_state")
    before = _snapshot(packages, load_id)
    document = own or _document_of_run(packages, load_id, before)
    if document is None:
        return None
    schema = packages.schema_name(load_id)
    pending = {packages.schema_name(other) for other in packages.list_packages()}
    return ExtractedState(
        document=document,
        before=before,
        schema=schema,
        is_own=own is not None,
        pending=frozenset(pending - {schema}),
    )


def _document_of_run(
    packages: PackageStorage, load_id: str, before: dict[str, Any]
) -> TPipelineStateDoc | None:
    """Return the state document of a package that the same extraction made for another schema.

    The packages of one extraction have different schemas, are loaded in a row, and began with the
    same state. So no search goes past another package of this schema: a working directory keeps
    the packages of all loads.
    """
    schema = packages.schema_name(load_id)
    pending = sorted(i for i in packages.list_packages() if i != load_id)
    began_alike = [i for i in pending if _snapshot(packages, i) == before]
    if schema in map(packages.schema_name, began_alike):
        # A later extraction of this schema began with the same state: this one did not change it.
        return None
    loaded = _load_storage(packages).loaded_packages
    for storage, load_ids in (
        (packages, began_alike),
        (loaded, sorted(loaded.list_packages(), reverse=True)),
    ):
        for other in load_ids:
            if storage.schema_name(other) == schema or _snapshot(storage, other) != before:
                break
            if document := storage.get_load_package_state(other).get("pipeline_state"):
                return document
    return None


def _snapshot(packages: PackageStorage, load_id: str) -> dict[str, Any]:
    """Return the pipeline's state when the package's extraction began."""
    if not packages.can_restore_pipeline_state(load_id):
        return {}
    blob, _ = packages.load_pipeline_state(load_id)
    return json_decode_state(blob) if blob else {}


def reject(packages: PackageStorage, load_id: str, error: Exception) -> NoReturn:
    """Abort a package, so that the next run extracts its rows again.

    Args:
        packages: The pending packages of the working directory.
        load_id: The package.
        error: Why it is rejected.

    Raises:
        LoadPackageAborted: Always; carries the error, which dlt raises once it has restored the
            state and the schemas that the extraction began with.
    """
    rewind(packages, load_id, is_overtaken=isinstance(error, StateConflict))
    abort(packages, load_id)
    raise LoadPackageAborted(load_id, cast("LoadClientJobFailed", error)) from error


def abort(packages: PackageStorage, load_id: str) -> None:
    """Move a package to the aborted ones; left pending, it would fail every run to come."""
    _load_storage(packages).complete_load_package(load_id, aborted=True)


def rewind(packages: PackageStorage, load_id: str, *, is_overtaken: bool) -> None:
    """Reset the working directory's cursors to those that a package's extraction began with.

    dlt restores its state and schemas, but only after the package was aborted: a process that died
    in between would leave cursors past rows that were never loaded. The schemas are kept until
    then, since without them dlt ignores a package that is still pending.

    Args:
        packages: The pending packages of the working directory.
        load_id: The package that was rejected.
        is_overtaken: Whether the newest committed state must replace the working directory's, as
            it does not when that was edited.
    """
    pipeline = dlt.current.pipeline()
    pipeline._state_restored = False  # noqa: SLF001
    if not packages.can_restore_pipeline_state(load_id):
        return
    before = _snapshot(packages, load_id)
    if is_overtaken:
        before["_state_version"] = 0
        folder = Path(load_id, PackageStorage.RESTORE_FOLDER)
        path = str(folder / PackageStorage.RESTORE_STATE_FILE_NAME)
        packages.storage.save(path, json_encode_state(cast("TPipelineState", before)))
    rewound = {
        "sources": before.get("sources", {}),
        "_state_version": before.get("_state_version", 0),
        "_version_hash": before.get("_version_hash"),
    }
    # dlt 1.31 has no public way to write a working directory's state outside of a step; when it
    # has one, use it.
    state = cast("TPipelineState", {**pipeline._get_state(), **rewound})  # noqa: SLF001
    pipeline._save_state(state)  # noqa: SLF001


def _load_storage(packages: PackageStorage) -> LoadStorage:
    volume = str(Path(packages.storage.storage_path).parent)
    return LoadStorage(False, ["parquet"], LoadStorageConfiguration(load_volume_path=volume))
