"""The loads behind the golden rows of the log, and what publishing them gives.

Each kind is a few runs of one pipeline. The last value is what the tables hold in the end, without
dlt's own columns, written down by hand.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dlt

from floe_ingestion_defs.destinations import iceberg_window

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]
Runs = list[dict[str, Any]]


def _resource(name: str, rows: list[Row], **hints: Any) -> Any:
    return dlt.resource(rows, name=name, **hints)


def _merges(
    strategy: str, *loads: list[Row], options: dict[str, Any] | None = None, **hints: Any
) -> Runs:
    disposition = {"disposition": "merge", "strategy": strategy, **(options or {})}
    return [
        {"data": _resource("users", rows, write_disposition=disposition, **hints)} for rows in loads
    ]


def _window(rows: list[Row]) -> dict[str, Any]:
    resource = _resource("days", rows, columns={"day": {"data_type": "bigint"}})
    return {"data": iceberg_window(resource, "day", 2, 4)}


_ADA, _BOB, _BEA = {"id": 1, "name": "Ada"}, {"id": 2, "name": "Bob"}, {"id": 2, "name": "Bea"}
_CYD = {"id": 3, "name": "Cyd"}

KINDS: dict[str, tuple[Callable[[], Runs], dict[str, list[Row]]]] = {
    "append": (
        lambda: [{"data": [_ADA], "table_name": "users"}, {"data": [_BOB], "table_name": "users"}],
        {"users": [_ADA, _BOB]},
    ),
    "replace": (
        lambda: [
            {"data": [_ADA], "table_name": "users", "write_disposition": "replace"},
            {"data": [_BOB], "table_name": "users", "write_disposition": "replace"},
        ],
        {"users": [_BOB]},
    ),
    "delete_insert": (
        lambda: _merges("delete-insert", [_ADA, _BOB], [_BEA, _CYD], primary_key="id"),
        {"users": [_ADA, _BEA, _CYD]},
    ),
    "upsert": (
        lambda: _merges("upsert", [_ADA, _BOB], [_BEA, _CYD], primary_key="id"),
        {"users": [_ADA, _BEA, _CYD]},
    ),
    "insert_only": (
        lambda: _merges("insert-only", [_ADA, _BOB], [_BEA, _CYD], primary_key="id"),
        {"users": [_ADA, _BOB, _CYD]},
    ),
    "cdc": (
        lambda: _merges("cdc", [_ADA, _BOB], [_BEA, _CYD], primary_key="id"),
        {"users": [_BEA, _CYD]},
    ),
    "scope": (
        lambda: _merges(
            "delete-insert",
            [_ADA, _BOB],
            [_CYD],
            options={"destination_scope": "name = 'Bob'"},
            primary_key="id",
        ),
        {"users": [_ADA, _CYD]},
    ),
    # Rows that are the same by the compared column stay as they are.
    "unchanged": (
        lambda: _merges(
            "upsert",
            [{**_ADA, "n": 1}, {**_BOB, "n": 1}],
            [{**_BEA, "n": 1}, {**_CYD, "n": 1}],
            options={"skip_unchanged_rows": True, "row_version_column_name": "n"},
            primary_key="id",
        ),
        {"users": [{**_ADA, "n": 1}, {**_BOB, "n": 1}, {**_CYD, "n": 1}]},
    ),
    "scd2": (
        lambda: _merges("scd2", [_ADA, _BOB], [_ADA, _BEA]),
        {"users": [_ADA, _BEA, _BOB]},
    ),
    "nested": (
        lambda: _merges(
            "delete-insert",
            [{"id": 1, "tags": ["a", "b"]}, {"id": 2, "tags": ["c"]}],
            [{"id": 1, "tags": ["d"]}],
            primary_key="id",
        ),
        {"users": [{"id": 1}, {"id": 2}], "users__tags": [{"value": "c"}, {"value": "d"}]},
    ),
    "window": (
        lambda: [
            {"data": [{"day": n, "n": 0} for n in range(1, 6)], "table_name": "days"},
            _window([{"day": 3, "n": 7}]),
        ],
        {"days": [{"day": 1, "n": 0}, {"day": 3, "n": 7}, {"day": 4, "n": 0}, {"day": 5, "n": 0}]},
    ),
    "truncate": (
        lambda: [
            {"data": _resource("users", [_ADA])},
            {"data": _resource("users", [_BOB]), "refresh": "drop_data"},
        ],
        {"users": [_BOB]},
    ),
    "drop": (
        lambda: [
            {"data": _resource("users", [_ADA])},
            {"data": _resource("users", [{"id": 2}]), "refresh": "drop_resources"},
        ],
        {"users": [{"id": 2}]},
    ),
    "release": (
        lambda: [{"data": [_ADA], "table_name": "users"}, {"data": [_BOB], "table_name": "users"}],
        {"users": [_ADA], "users____blocked": [_BOB]},
    ),
    "branch": (
        lambda: [{"data": [_ADA], "table_name": "users"}, {"data": [_BOB], "table_name": "users"}],
        {"users": [_ADA, _BOB]},
    ),
}
