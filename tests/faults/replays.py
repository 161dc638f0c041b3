"""Replays of quarantined rows that faults are tried on, and how a process runs them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from faults import boundaries
from floe_ingestion_defs.dlt_plugin import DltIngestionPlugin

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin import LoadResult

NAME = "items"
_LANDING = Path("landing")
_BEFORE = "id,amount,note\n1,10,\n2,20,late\n3,lots,\n4,40,late\n"
# What a later load adds: a row to the table, and one to the quarantine.
_LATER = "id,amount,note,more\n5,50,,\n6,60,,x\n"


def _plugin(namespace: str, *, repaired: bool) -> DltIngestionPlugin:
    columns = {"id": "bigint", "amount": "bigint"}
    source = {
        "name": NAME,
        "source_type": "filesystem",
        "source_config": {"bucket_url": str(_LANDING), "file_glob": "*.csv", "format": "csv"},
        "destination_table": f"{namespace}.{NAME}",
        "columns": {**columns, "note": "text"} if repaired else columns,
        "schema_contract": "discard_row",
        "quarantine": True,
    }
    retry = {"initial_delay_seconds": 0.01}
    return DltIngestionPlugin({"sources": [source], "retry_config": retry})


def load_rejected(namespace: str) -> None:
    """Loads a file of which three rows are quarantined; two of them fit after the repair."""
    _LANDING.mkdir(exist_ok=True)
    (_LANDING / "before.csv").write_text(_BEFORE)
    load(namespace, repaired=False)


def load_later(namespace: str) -> None:
    """Loads a later file, of which one row is quarantined."""
    (_LANDING / "later.csv").write_text(_LATER)
    load(namespace)


def load(namespace: str, *, repaired: bool = True, **request: Any) -> None:
    """Loads what is new, or what is requested."""
    plugin = _plugin(namespace, repaired=repaired)
    plugin.load(plugin.create_pipeline(plugin.source(NAME), **request))


def refresh(namespace: str) -> None:
    """Loads the later file and the first one again, from the beginning."""
    from floe_ingestion_defs.dlt_plugin import LoadRequest

    (_LANDING / "later.csv").write_text(_LATER)
    load(namespace, request=LoadRequest(refresh="drop_data"))


def replay(namespace: str) -> int:
    """Replays the quarantined rows, and returns how many were loaded."""
    plugin = _plugin(namespace, repaired=True)
    result: LoadResult = plugin.replay_quarantined(plugin.source(NAME))
    return result.rows_loaded


def list_boundaries(namespace: str) -> list[str]:
    """The names of the boundaries that the replay passes."""
    names: list[str] = []
    boundaries.watch(boundaries.record(names))
    replay(namespace)
    return names


def replay_and_die_at(boundary: int, namespace: str) -> None:
    """Replays the quarantined rows and kills this process at a boundary."""
    boundaries.watch(boundaries.kill_at(boundary))
    replay(namespace)


def replay_held(name: str, gate: Path, namespace: str) -> None:
    """Replays the quarantined rows, held at a boundary until the file `gate` exists."""
    boundaries.watch(boundaries.hold_when(name, gate))
    replay(namespace)
