"""A load package as dlt passes it to the destination."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from dlt.common.destination import DestinationCapabilitiesContext
    from dlt.common.schema import Schema
    from dlt.common.schema.typing import TTableSchema

    from floe_ingestion_defs.destinations.impl.iceberg.intent import Window
    from floe_ingestion_defs.destinations.impl.iceberg.log.pipeline_state import ExtractedState


@dataclass(frozen=True)
class Package:
    """A load package, extracted and normalized by dlt.

    Attributes:
        load_uid: Derived from the content of the package, so that its copies share it; dlt's load
            id is a timestamp that two runs can share.
        jobs: The local Parquet files of each table.
        truncated: Tables whose rows are deleted before the load's are added
            (`refresh="drop_data"`).
        dropped: Tables that are dropped before the load's rows are added
            (`refresh="drop_sources"` and similar).
        windows: The windows that resources overwrite, by the resource's name.
        read_tables: The tables whose rows the load depends on, each with the seq that it was read
            at.
        state: The pipeline's state as the package carries it, None if it did not change.
        merge_mode: The merge mode of tables that have no such hint, None to keep their own.
    """

    load_id: str
    load_uid: str
    pipeline_name: str
    created_at: datetime
    schema: Schema
    capabilities: DestinationCapabilitiesContext
    prepare_table: Callable[[str], TTableSchema]
    jobs: Mapping[str, Sequence[Path]]
    truncated: AbstractSet[str] = frozenset()
    dropped: AbstractSet[str] = frozenset()
    windows: Mapping[str, Window] = field(default_factory=dict)
    read_tables: Mapping[str, int] = field(default_factory=dict)
    state: ExtractedState | None = None
    merge_mode: str | None = None


AroundPhase = Callable[[str], AbstractContextManager[Any]]
"""Return the context manager that a phase of a load runs in, by the phase's name."""
