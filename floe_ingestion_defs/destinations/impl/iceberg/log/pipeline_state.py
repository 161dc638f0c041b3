"""The pipeline's state across runs that overlap.

dlt writes a pipeline's whole state with every load, so of two overlapping runs the last would undo
the other's cursors and the next run would load the other's rows again. Here a load replaces only
what it changed itself, upon the newest state that is committed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import pyarrow.compute as pc
from dlt.common.json import json
from dlt.common.schema.typing import PIPELINE_STATE_TABLE_NAME
from dlt.common.versioned_state import (
    compress_state,
    decompress_state,
    generate_state_version_hash,
)

from floe_ingestion_defs.destinations.impl.iceberg.errors import StateConflict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dlt.common.storages.load_package import TPipelineStateDoc

    from floe_ingestion_defs.destinations.impl.iceberg.dataset import Dataset
    from floe_ingestion_defs.destinations.impl.iceberg.log.view import LogView

State = dict[str, Any]
Cell = tuple[str, ...]


@dataclass(frozen=True)
class ExtractedState:
    """The pipeline's state as stored in a load package.

    Attributes:
        document: The state after the extraction.
        before: The state that the extraction began with, with its local section.
        schema: The package's schema; rows of it are what the package loads.
        is_own: Whether dlt put the document into this package, and not into another one of the
            same extraction.
        pending: The schemas of other packages that are still to be loaded.
    """

    document: TPipelineStateDoc
    before: State
    schema: str
    is_own: bool = True
    pending: frozenset[str] = frozenset()


def rebase_state(
    extracted: ExtractedState, newest: TPipelineStateDoc | None
) -> TPipelineStateDoc | None:
    """Apply a load's changes of the state to the newest committed document.

    Args:
        extracted: The state in the load's package.
        newest: The newest committed state of the pipeline, None if there is none.

    Returns:
        The newest state with the cells that the load changed; a cell is the state of one resource,
        or one entry of a source's own state. Cells of a schema whose package is still to be loaded
        are left to that load. None where there is nothing to commit.

    Raises:
        StateConflict: Another run changed one of those cells since the extraction began.
    """
    document = extracted.document
    after: State = decompress_state(document["state"])
    base: State = decompress_state(newest["state"]) if newest else {}
    was, is_now, committed = _cells(_ancestor(extracted, after, base)), _cells(after), _cells(base)
    changed = [
        cell
        for cell in was.keys() | is_now.keys()
        if was.get(cell) != is_now.get(cell) and _is_for(extracted, cell[0])
    ]
    moved = sorted(
        cell
        for cell in changed
        if committed.get(cell) != was.get(cell)
        # Cells of another schema may be committed already, by a package of the same extraction.
        and (cell[0] == extracted.schema or committed.get(cell) != is_now.get(cell))
    )
    if newest is not None and moved:
        raise _conflict(document, moved)
    if not changed and not extracted.is_own:
        return None
    for cell in changed:
        if cell in is_now:
            committed[cell] = is_now[cell]
        else:
            committed.pop(cell, None)
    schemas = _schema_names(extracted, after, base)
    unmerged = committed == is_now and schemas == set(after.get("schema_names", ()))
    if unmerged and after["_state_version"] >= base.get("_state_version", 0):
        return document
    merged = {**after, "sources": _nested(committed), "schema_names": sorted(schemas)}
    # Every working directory with an older state must consider this one newer.
    merged["_state_version"] = max(after["_state_version"], base.get("_state_version", 0) + 1)
    return _with_state(document, merged)


def _is_for(extracted: ExtractedState, source: str) -> bool:
    """Return whether a package commits the changes of a source's state."""
    if source == extracted.schema:
        return True
    return extracted.is_own and source not in extracted.pending


def _ancestor(extracted: ExtractedState, after: State, base: State) -> State:
    """Return the state that `after` was derived from.

    It is what the extraction began with, unless that was edited: `dlt pipeline drop` and a user's
    `managed_state` change a working directory's state without an extraction. An edit of the newest
    committed state is derived from that.

    Raises:
        StateConflict: Another run committed a state after `dlt pipeline drop` had read it.
    """
    before = extracted.before
    last_extracted = before.get("_local", {}).get("_last_extracted_hash")
    if not base or last_extracted == before.get("_version_hash"):
        return before
    if last_extracted is not None:
        return base if last_extracted == base["_version_hash"] else before
    if before.get("_version_hash") != after["_version_hash"]:
        return before
    # The state was edited and its extraction forced; it has no other base than the newest version.
    if after["_state_version"] > base["_state_version"] or _cells(after) == _cells(base):
        return base
    raise _conflict(extracted.document, sorted(_cells(base)))


def _conflict(document: TPipelineStateDoc, moved: Sequence[Cell]) -> StateConflict:
    names = ", ".join(f"`{'.'.join(cell)}`" for cell in moved)
    msg = (
        f"While pipeline `{document['pipeline_name']}` was extracting, another run of it "
        f"committed {names}. Nothing of this load was published. Run the pipeline again: it "
        "continues from the newer state."
    )
    return StateConflict(msg)


def state_for_dataset(document: TPipelineStateDoc, dataset_name: str) -> TPipelineStateDoc:
    """Return the state document for another dataset: dlt would continue in the one it names."""
    state: State = decompress_state(document["state"])
    return _with_state(document, {**state, "dataset_name": dataset_name})


def _with_state(document: TPipelineStateDoc, state: State) -> TPipelineStateDoc:
    state["_version_hash"] = generate_state_version_hash(
        cast("Any", {k: v for k, v in state.items() if k != "_local"})
    )
    return cast(
        "TPipelineStateDoc",
        {
            **document,
            "state": compress_state(cast("Any", state)),
            "version": state["_state_version"],
            "version_hash": state["_version_hash"],
        },
    )


def _schema_names(extracted: ExtractedState, after: State, base: State) -> set[str]:
    """Return the committed schemas of the pipeline, with those that the load added or dropped.

    The next run restores the schemas that the state names, and from them it knows which tables are
    nested in one that it merges.
    """
    was, is_now, committed = (
        set(s.get("schema_names", ())) for s in (extracted.before, after, base)
    )
    return (committed | (is_now - was - extracted.pending)) - (was - is_now)


def _cells(state: State) -> dict[Cell, Any]:
    cells: dict[Cell, Any] = {}
    for source, content in state.get("sources", {}).items():
        for key, value in content.items():
            if key == "resources":
                cells.update({(source, key, name): cell for name, cell in value.items()})
            else:
                cells[(source, key)] = value
    return cells


def _nested(cells: dict[Cell, Any]) -> State:
    sources: State = {}
    for cell, value in sorted(cells.items()):
        source = sources.setdefault(cell[0], {})
        if len(cell) == 3:
            source.setdefault(cell[1], {})[cell[2]] = value
        else:
            source[cell[1]] = value
    return sources


def newest_document(
    dataset: Dataset, view: LogView, pipeline_name: str
) -> TPipelineStateDoc | None:
    """Return the newest committed state document of a pipeline, None if there is none.

    It contains the id of its load as `_dlt_load_id`. Where the log has lost rows, the newest
    document may be among them; dlt's own table of states has it too, once it is published.
    """
    newest = view.newest_state(pipeline_name)
    document = None
    if newest is not None and newest.state is not None:
        document = {**decode_document(newest.state), "_dlt_load_id": newest.load_id}
    if view.lost_seqs and (table := dataset.load_table(PIPELINE_STATE_TABLE_NAME)) is not None:
        states = table.scan().to_arrow()
        rows = states.filter(pc.field("pipeline_name") == pipeline_name).to_pylist()
        found = max(rows, key=lambda row: row["version"], default=None)
        if found and (document is None or found["version"] > document["version"]):
            columns = ("version", "engine_version", "pipeline_name", "state", "created_at")
            document = {key: found[key] for key in (*columns, "version_hash", "_dlt_load_id")}
    return cast("TPipelineStateDoc | None", document)


def encode_document(document: TPipelineStateDoc) -> str:
    """Return a state document in the form stored in the log."""
    return json.dumps(document)


def decode_document(encoded: str) -> TPipelineStateDoc:
    """Return the state document of a value that `encode_document` returned."""
    return cast("TPipelineStateDoc", json.loads(encoded))
