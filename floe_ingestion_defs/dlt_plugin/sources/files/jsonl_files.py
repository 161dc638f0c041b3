"""Reads JSONL files as Arrow tables, a block of whole lines at a time."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pa_json

from floe_ingestion_defs.dlt_plugin.sources.files.blocks import UTF8_MARK, Block, read_blocks
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import (
    BrokenFile,
    column_of,
    not_utf8,
    parse_block,
)
from floe_ingestion_defs.dlt_plugin.sources.files.exact_numbers import LONG_INTEGER

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes

# Arrow's messages for a nested value in a column whose requested type is string.
_NESTED = ("changed from string to array", "changed from string to object")

_TWO_TO_63 = 2.0**63
# The digits of such an integer.
_LONG = re.compile(rb"\d{19}")


def read_jsonl(
    stream: pa.NativeFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Yield the rows of a stream of JSON lines.

    Args:
        stream: The text, as UTF-8.
        options: Options of the source.
        types: Types of the table's columns.

    Raises:
        BrokenFile: A block cannot be parsed.
    """
    for block in read_blocks(stream, options.block_size):
        block = Block(block.data.removeprefix(UTF8_MARK), block.first_line)
        if block.data.strip():
            try:
                block.data.decode()
            except UnicodeDecodeError:
                # Arrow would pass the bytes on unchanged, and a later step would fail.
                raise not_utf8(block) from None
            yield _zoned(_parse_exactly(block, types))


def _parse_exactly(block: Block, types: KnownTypes) -> pa.Table:
    """Parse a block; a new column with integers of more than 64 bits becomes a decimal."""
    table = _parse(block, types)
    known = types.of(table.schema.names)
    doubles = [
        field.name
        for field in table.schema
        if pa.types.is_floating(field.type)
        and field.name not in known
        # A null is not larger either.
        and (pc.max(pc.abs(table[field.name])).as_py() or 0) >= _TWO_TO_63
    ]
    if not doubles or not _LONG.search(block.data):
        return table
    for name in doubles:
        try:
            exact = _parse(block, types, {name: LONG_INTEGER})
        except BrokenFile:  # It also has fractions, or more digits than a decimal.
            continue
        table = table.set_column(table.schema.get_field_index(name), name, exact[name])
    return table


def _parse(
    block: Block, types: KnownTypes, exact: Mapping[str, pa.DataType] | None = None
) -> pa.Table:
    def parse(block: Block, threads: bool) -> pa.Table:
        wanted = dict(exact or {}) | {
            name: kind
            for name, kind in types.of(types.names()).items()
            # Other types are read from several JSON types, and cast afterwards.
            if kind in (pa.string(), pa.int64(), pa.float64(), pa.bool_())
            and not types.is_nested(name)
        }
        return pa_json.read_json(
            pa.BufferReader(block.data),
            read_options=pa_json.ReadOptions(use_threads=threads, block_size=len(block.data) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=pa.schema(wanted), unexpected_field_behavior="infer"
            ),
        )

    while True:
        try:
            return types.without_repeated(parse_block(parse, block))
        except BrokenFile as broken:
            text = str(broken)
            name = column_of(text) if "changed from" in text else None
            is_text = name is not None and types.of([name]).get(name) == pa.string()
            if (
                name is not None
                and any(words in text for words in _NESTED)
                and not types.is_nested(name)
            ):
                # A nested value is stored as text, so text is the type of its column in the table.
                types.learn_nested(name)
            elif types.lenient or is_text:
                return _parse_loosely(block, types)
            else:
                raise


def _parse_loosely(block: Block, types: KnownTypes) -> pa.Table:
    from floe_ingestion_defs.dlt_plugin.sources.files.loose_json import parse_loosely

    try:
        return parse_loosely(block, types)
    except ValueError as error:
        raise BrokenFile(str(error)) from None


def _zoned(table: pa.Table) -> pa.Table:
    """Return timestamps in UTC: Arrow converts them to UTC, but drops the time zone."""
    fields = [
        field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
