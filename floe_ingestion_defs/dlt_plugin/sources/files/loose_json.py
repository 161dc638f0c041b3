"""Reads JSON lines whose columns have several types, so that a contract can judge their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pyarrow as pa

if TYPE_CHECKING:
    from floe_ingestion_defs.dlt_plugin.sources.files.blocks import Block
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes


def parse_loosely(block: Block, types: KnownTypes) -> pa.Table:
    """Parse lines one by one; a column with several types becomes text.

    Arrow's own reader rejects such a block as a whole.

    Raises:
        ValueError: A line is not a JSON object.
    """
    from dlt.common.json import json

    rows: list[dict[str, Any]] = []
    for number, line in enumerate(block.data.split(b"\n"), block.first_line):
        if line.strip():
            try:
                row = json.loadb(line)
            except ValueError:
                row = None
            if not isinstance(row, dict):
                msg = f"line {number}: not a JSON object"
                raise ValueError(msg)
            rows.append(row)
    names = list(dict.fromkeys(name for row in rows for name in row))
    wanted = types.of(names)
    columns = {}
    for name in names:
        values = [row.get(name) for row in rows]
        try:
            columns[name] = pa.array(values, type=wanted.get(name))
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            texts = [v if v is None or isinstance(v, str) else json.dumps(v) for v in values]
            columns[name] = pa.array(texts, type=pa.string())
    return pa.table(columns)
