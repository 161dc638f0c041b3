"""Reads JSON lines whose columns have several types, so that a contract can judge their values."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.json as pa_json

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import rows_of
from floe_ingestion_defs.dlt_plugin.sources.files.exact_json import as_json

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.sources.files.blocks import Block
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes


def with_nested_as_text(block: Block, path: str) -> Block | None:
    """Return a block in which the nested values of one column are JSON texts.

    Arrow has no type for lists whose items have several types, and the column is stored as text.

    Args:
        block: JSON lines.
        path: The path in Arrow's error, such as `tags/[]`.

    Returns:
        The block; None if the column has no nested values.
    """
    lines = []
    changed = False
    for _, line in rows_of(block):
        row = json.loads(line)
        for name, value in row.items():
            if path.startswith(f"{name}/") and isinstance(value, (dict, list)):
                row[name] = as_json(value)
                changed = True
        lines.append(json.dumps(row, ensure_ascii=False))
    return replace(block, data="\n".join(lines).encode()) if changed else None


def parse_loosely(block: Block, types: KnownTypes) -> pa.Table:
    """Parse lines one by one; a column with several types becomes text.

    Arrow's own reader rejects such a block as a whole.

    Raises:
        ValueError: A line is not a JSON object.
    """
    rows: list[dict[str, Any]] = []
    for number, line in rows_of(block):
        try:
            # Python's own parser keeps all digits of integers.
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict):
            msg = f"{block.unit} {number}: not a JSON object"
            raise ValueError(msg)
        rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    wanted = types.of(names)
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for name in names:
        values = [row.get(name) for row in rows]
        kind = wanted.get(name)
        if kind == pa.int64() and any(isinstance(value, float) for value in values):
            kind = None  # Arrow would truncate 1.5 to 1.
        try:
            columns[name] = pa.array(values, type=kind)
            if name not in wanted and pa.types.is_string(columns[name].type):
                columns[name] = _inferred(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            texts = [v if v is None or isinstance(v, str) else as_json(v) for v in values]
            columns[name] = pa.array(texts, type=pa.string())
    return pa.table(columns)


def _inferred(values: list[str | None]) -> pa.ChunkedArray:
    """Return a column of strings as Arrow's reader does, which infers timestamps."""
    lines = "\n".join(json.dumps({"value": value}) for value in values).encode()
    options = pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1)
    return pa_json.read_json(pa.BufferReader(lines), read_options=options)["value"]
