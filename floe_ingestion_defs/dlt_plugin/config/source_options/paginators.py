"""Paginators of dlt's declarative REST source: their types, and the fields of each.

dlt validates them when the source is built, which a run does. Here a typo is an error when the
code location is loaded, without importing dlt.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from typing import Any

_JSON_LINK = frozenset({"next_url_path"})
PAGINATORS: Mapping[str, frozenset[str]] = {
    "auto": frozenset(),
    "cursor": frozenset(
        {
            "cursor_path",
            "cursor_param",
            "cursor_body_path",
            "stop_after_empty_page",
            "has_more_path",
        }
    ),
    "header_cursor": frozenset({"cursor_key", "cursor_param"}),
    "header_link": frozenset({"links_next_key"}),
    "json_link": _JSON_LINK,
    "json_response": _JSON_LINK,
    "offset": frozenset(
        {
            "limit",
            "offset",
            "offset_param",
            "limit_param",
            "total_path",
            "maximum_offset",
            "stop_after_empty_page",
            "has_more_path",
            "offset_body_path",
            "limit_body_path",
        }
    ),
    "page_number": frozenset(
        {
            "base_page",
            "page",
            "page_param",
            "total_path",
            "maximum_page",
            "stop_after_empty_page",
            "has_more_path",
            "page_body_path",
        }
    ),
    "single_page": frozenset(),
}
REQUIRED: Mapping[str, str] = {"offset": "limit"}


def check_paginator(value: Any) -> Any:
    """Reject a paginator of an unknown type, and fields that its type does not have."""
    fields: Mapping[str, Any] = value if isinstance(value, Mapping) else {}
    kind = fields.get("type", "auto") if isinstance(value, Mapping) else value
    if not isinstance(kind, str):
        return value
    if kind not in PAGINATORS:
        msg = f"{kind!r} is not a type of paginator; {_known(kind, PAGINATORS)}"
        raise ValueError(msg)
    known = PAGINATORS[kind]
    for name in fields:
        if name not in known and name != "type":
            msg = f"a paginator of type {kind!r} has no field {name!r}; {_known(name, known)}"
            raise ValueError(msg)
    required = REQUIRED.get(kind)
    if required is not None and required not in fields:
        msg = f"a paginator of type {kind!r} requires {required!r}, such as {required}: 100"
        raise ValueError(msg)
    return value


def _known(name: str, known: Collection[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return (
        f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known)) or 'none'}"
    )
