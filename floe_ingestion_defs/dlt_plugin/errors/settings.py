"""Explains errors of dlt and the destination whose cause is a setting, in terms of that setting."""

from __future__ import annotations

from typing import Any


def explain_setting(error: BaseException) -> str | None:
    """Return what is wrong with which setting; None for an error with another cause.

    Args:
        error: The error; its class is recognized by name.
    """
    about: Any = error
    match type(error).__name__:
        case "IncrementalCursorPathMissing":
            return (
                f"cursor_field of resource {about.pipe_name!r} names {about.json_path!r}, which a "
                "row does not have; correct it, or set on_cursor_value_missing if rows may lack it"
            )
        case "UnboundColumnException":
            return _unbound(about)
        case "InvalidHint" if "cannot be partitioned" in str(error):
            return f"partition_by: {error}"
        case "InvalidHint":
            return str(error)
        case _:
            return None


def _unbound(error: Any) -> str | None:
    keys = [
        str(column["name"])
        for column in getattr(error, "columns", ())
        if column.get("primary_key") or column.get("merge_key")
    ]
    if not keys:
        return None
    return (
        f"primary_key or merge_key names {', '.join(keys)}, of which no row of table "
        f"{error.table_name!r} has a value; use the names of its columns"
    )
