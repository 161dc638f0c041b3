"""Runs that overlap: extracted beforehand, and loaded when a gate opens."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.pipeline.exceptions import PipelineStepFailed

from faults.boundaries import wait_for
from faults.cases import Case
from faults.contents import Contents, read_contents
from faults.loads import Row, pipeline
from floe_ingestion_defs.destinations.impl.iceberg.errors import StateConflict

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from servers.stack import Stack

MOST_RUNS = 20


@dataclass(frozen=True)
class Work:
    """What one process loads.

    Attributes:
        pipeline: The pipeline's name.
        table: The table, and the resource.
        first: Its first id.
        last: Its last id.
        merge: Merge by id rather than append what is past the cursor.
    """

    pipeline: str
    table: str
    first: int
    last: int
    merge: bool = False

    def resource(self) -> Any:
        """The rows past the cursor; the value names the pipeline."""

        def rows(
            cursor: Any = dlt.sources.incremental("id", initial_value=0),  # noqa: B008
        ) -> Iterator[list[Row]]:
            start = max(self.first, cursor.last_value + 1)
            yield [{"id": n, "by": self.pipeline} for n in range(start, self.last + 1)]

        disposition: Any = "merge" if self.merge else "append"
        return dlt.resource(rows, name=self.table, write_disposition=disposition, primary_key="id")


def load_when_open(work: Work, namespace: str, folder: Path, gate: Path) -> tuple[int, float]:
    """Extracts, waits for the gate, and loads; after a conflict it runs again.

    Returns:
        The number of runs, and the time at which the last was done.
    """
    runs = pipeline(namespace, folder, work.pipeline)
    runs.extract(work.resource())
    runs.normalize()
    Path(f"{gate}.{folder.name}").touch()
    wait_for(gate)
    for count in range(1, MOST_RUNS):
        try:
            if count == 1:
                runs.load()
            else:
                runs.run(work.resource())
        except PipelineStepFailed as failed:
            if not isinstance(failed.exception, StateConflict):
                raise
        else:
            return count, time.time()
    msg = f"a state conflict in each of {MOST_RUNS} runs"
    raise AssertionError(msg)


def run_together(stack: Stack, works: Sequence[Work]) -> tuple[Contents, list[int], float]:
    """Runs each work in a process of its own, all loads starting at once.

    Returns:
        What the dataset then holds, how often each ran, and the seconds until all were done.
    """
    case = Case(stack)
    gate = stack.folder / "gate"
    folders = [stack.folder / f"work-{number}" for number in range(len(works))]
    children = [
        case.start(load_when_open, work, stack.namespace, folder, gate)
        for work, folder in zip(works, folders, strict=True)
    ]
    for folder in folders:
        wait_for(Path(f"{gate}.{folder.name}"))
    gate.touch()
    started = time.time()
    results = [child.result() for child in children]
    contents: Contents = case.start(read_contents, stack.namespace).result()
    assert contents.settled
    assert len(set(contents.load_uids)) == len(contents.load_uids)
    return contents, [runs for runs, _ in results], max(end for _, end in results) - started


def ids(contents: Contents, table: str) -> list[int]:
    """The ids in a table."""
    return sorted(row["id"] for row in contents.tables[table])
