"""The loads that faults are tried on, and how a process runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt
from dlt.destinations.adapters import iceberg_adapter

from faults import boundaries
from floe_ingestion_defs.destinations import iceberg_window
from floe_ingestion_defs.destinations.impl.iceberg.log import compaction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

Row = dict[str, Any]
PIPELINE = "shop"


def _events(last: int) -> Any:
    @dlt.resource(name="events", write_disposition="append")
    def events(
        cursor: Any = dlt.sources.incremental("id", initial_value=0),  # noqa: B008
    ) -> Iterator[list[Row]]:
        yield [{"id": n, "what": f"event {n}"} for n in range(cursor.last_value + 1, last + 1)]

    return events


def _countries(rows: Sequence[str]) -> Any:
    @dlt.resource(name="countries", write_disposition="replace")
    def countries() -> Iterator[list[Row]]:
        yield [{"code": code} for code in rows]

    return countries


def _users(rows: list[Row]) -> Any:
    @dlt.resource(
        name="users",
        write_disposition={"disposition": "merge", "strategy": "delete-insert"},
        primary_key="id",
    )
    def users() -> Iterator[list[Row]]:
        yield rows

    return users


def _deleted_in_place(resource: Any) -> Any:
    return iceberg_adapter(resource, table_properties={"write.merge.mode": "merge-on-read"})


def _versions(rows: list[Row]) -> Any:
    @dlt.resource(name="versions", write_disposition={"disposition": "merge", "strategy": "scd2"})
    def versions() -> Iterator[list[Row]]:
        yield rows

    return versions


def _sales(amount: int) -> Any:
    @dlt.resource(name="sales", write_disposition="append")
    def sales() -> Iterator[list[Row]]:
        yield [{"day": day, "amount": amount} for day in range(2, 4)]

    return iceberg_window(sales, "day", 2, 4)


_BASE_USERS: list[Row] = [
    {"id": 1, "name": "Ada", "tags": [{"tag": "a"}, {"tag": "b"}]},
    {"id": 2, "name": "Bob", "tags": [{"tag": "c"}]},
    {"id": 3, "name": "Cyd", "tags": []},
]
_NEXT_USERS: list[Row] = [
    {"id": 2, "name": "Bea", "tags": [{"tag": "d"}, {"tag": "e"}]},
    {"id": 3, "name": "Cyd", "tags": [{"tag": "f"}]},
    {"id": 4, "name": "Dan", "tags": [{"tag": "g"}]},
]

# So many that the next load deletes fewer than 30 % of them and of their tags.
_MANY_USERS = [
    *_BASE_USERS,
    *({"id": n, "name": f"User {n}", "tags": [{"tag": "t"}]} for n in range(10, 20)),
]

# For each kind of load its resources: those of the load before, and those of the one disturbed.
LOADS: dict[str, tuple[Callable[[], list[Any]] | None, Callable[[], list[Any]]]] = {
    "first": (None, lambda: [_events(4)]),
    "append": (lambda: [_events(2)], lambda: [_events(5)]),
    "compacted": (lambda: [_events(2)], lambda: [_events(5)]),
    "replace": (lambda: [_countries("abc")], lambda: [_countries("xy")]),
    "merge": (lambda: [_users(_BASE_USERS)], lambda: [_users(_NEXT_USERS)]),
    "merge on read": (
        lambda: [_deleted_in_place(_users(_MANY_USERS))],
        lambda: [_deleted_in_place(_users(_NEXT_USERS))],
    ),
    "scd2": (
        lambda: [_versions([{"id": 1, "city": "Rome"}, {"id": 2, "city": "Oslo"}])],
        lambda: [_versions([{"id": 1, "city": "Bonn"}, {"id": 3, "city": "Lima"}])],
    ),
    "window": (lambda: [_sales(1)], lambda: [_sales(2)]),
    "three tables": (
        lambda: [_events(2), _countries("abc"), _users(_BASE_USERS)],
        lambda: [_events(5), _countries("xy"), _users(_NEXT_USERS)],
    ),
}


def pipeline(
    namespace: str, folder: Path, name: str = PIPELINE, destination: Any = "iceberg"
) -> dlt.Pipeline:
    """A pipeline with its working directory below the folder."""
    return dlt.pipeline(
        name,
        destination=destination,
        dataset_name=namespace,
        pipelines_dir=str(folder),
    )


def run_before(kind: str, namespace: str, folder: Path) -> None:
    """Run the load before the one to be disturbed."""
    before, _ = LOADS[kind]
    if before:
        pipeline(namespace, folder).run(before())


def run_disturbed(kind: str, namespace: str, folder: Path, hook: boundaries.Hook) -> None:
    """Runs the load to be disturbed, under a hook."""
    if kind == "compacted":
        compaction.COMPACT_AFTER_FILES = 2
    boundaries.watch(hook)
    pipeline(namespace, folder).run(LOADS[kind][1]())


def list_boundaries(kind: str, namespace: str, folder: Path) -> list[str]:
    """The names of the boundaries that the load passes."""
    names: list[str] = []
    run_disturbed(kind, namespace, folder, boundaries.record(names))
    return names


def run_and_die_at(boundary: int, kind: str, namespace: str, folder: Path) -> None:
    """Runs the load and kills this process at a boundary."""
    run_disturbed(kind, namespace, folder, boundaries.kill_at(boundary))


def run_and_die_when(name: str, kind: str, namespace: str, folder: Path) -> None:
    """Runs the load and kills this process at the first boundary of that name."""
    run_disturbed(kind, namespace, folder, boundaries.kill_when(name))


def run_again(kind: str, namespace: str, folder: Path) -> int:
    """Run the pipeline as the next run does: what is pending first, then the source."""
    again = pipeline(namespace, folder)
    runs = 1
    while again.has_pending_data:
        again.run()
        runs += 1
    again.run(LOADS[kind][1]())
    return runs
