"""Keeps every digit of the numbers in JSON, of which Arrow makes doubles.

A new column with integers of more than 64 bits becomes a decimal. An integer that a double cannot
represent fails the file where its column also has fractions, or is a column of doubles already.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import Block, rows_of
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import TOO_NARROW, BrokenFile
from floe_ingestion_defs.dlt_plugin.sources.files.exact_numbers import (
    LONG_INTEGER,
    NOT_EXACT,
    NOT_EXACT_ADVICE,
    has_large,
    is_rounded,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes

_LONG = re.compile(rb"\d{16}")
_LARGEST = 2**63


def keep_json_digits(
    table: pa.Table,
    block: Block,
    types: KnownTypes,
    parse_as: Callable[[Mapping[str, pa.DataType]], pa.Table],
) -> pa.Table:
    """Return the rows of a block of JSON lines, with all digits of their numbers.

    Args:
        table: The rows as Arrow reads them.
        block: The text that they were read from.
        types: Types of the table's columns.
        parse_as: Parses the block with the given types of some columns.

    Raises:
        BrokenFile: A double would round an integer.
    """
    declared = types.declared_among(table.schema.names)
    large = [
        field.name
        for field in table.schema
        if field.name not in declared
        and any(has_large(leaf) for leaf in _doubles(table[field.name].combine_chunks()))
    ]
    if not large or not _LONG.search(block.data):
        return table
    known = types.of(large)
    for name in large:
        kept = None
        if types.nested and pa.types.is_nested(table.schema.field(name).type):
            _reject_rounded(name, block)
            continue
        if pa.types.is_nested(table.schema.field(name).type):
            # It is stored as JSON, which has all digits.
            kept = pa.array([as_json(row.get(name)) for _, row in _rows(block)], pa.string())
        elif name not in known:
            try:
                kept = parse_as({name: LONG_INTEGER})[name]
            except BrokenFile:  # It also has fractions, or more digits than a decimal.
                kept = None
        if kept is None:
            _reject_rounded(name, block)
        else:
            table = table.set_column(table.schema.get_field_index(name), name, kept)
    return table


def not_an_integer(block: Block, wanted: Mapping[str, pa.DataType]) -> BrokenFile | None:
    """Return the error for the first value that does not fit a column of integers, if any."""
    integers = [name for name, kind in wanted.items() if pa.types.is_integer(kind)]
    for line, row in _rows(block):
        for name in integers:
            value = row.get(name)
            if isinstance(value, int) and not -_LARGEST <= value < _LARGEST:
                return BrokenFile(
                    "an integer of more than 64 bits in a column of bigint",
                    [f"{block.unit} {line}", f"column {name!r}"],
                    "; declare the column under `columns` as decimal with precision: 38, and run a "
                    "full refresh if the table has it as bigint",
                )
            if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
                return BrokenFile(
                    "a value that is not an integer in a column of bigint",
                    [f"{block.unit} {line}", f"column {name!r}"],
                    TOO_NARROW,
                )
    return None


def _reject_rounded(name: str, block: Block) -> None:
    for line, row in _rows(block):
        if any(isinstance(leaf, int) and is_rounded(leaf) for leaf in _leaves(row.get(name))):
            raise BrokenFile(
                NOT_EXACT, [f"{block.unit} {line}", f"column {name!r}"], NOT_EXACT_ADVICE
            )


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)
    else:
        yield value


def _rows(block: Block) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows with their line numbers; Python's own parser keeps all digits."""
    for line, text in rows_of(block):
        try:
            row = json.loads(text)
        except ValueError:  # The caller's own parser reports it.
            return
        yield line, row if isinstance(row, dict) else {}


def as_json(value: Any) -> str | None:
    """Return a value as JSON with all digits; None if it is missing."""
    if value is None:
        return None
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _doubles(values: pa.Array) -> Iterator[pa.Array]:
    """Yield all doubles of a column, including those in nested values."""
    if pa.types.is_floating(values.type):
        yield values
    elif pa.types.is_struct(values.type):
        for child in values.flatten():
            yield from _doubles(child)
    elif pa.types.is_list(values.type):
        yield from _doubles(values.flatten())
