"""Reads JSONL files and JSON arrays as Arrow tables, a block of whole rows at a time."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.json as pa_json

from floe_ingestion_defs.dlt_plugin.sources.arrow_types import NESTED_ADVICE, cast_column
from floe_ingestion_defs.dlt_plugin.sources.files.blocks import (
    UTF8_MARK,
    Block,
    read_blocks,
    rows_of,
)
from floe_ingestion_defs.dlt_plugin.sources.files.broken_files import (
    BrokenFile,
    column_of,
    not_utf8,
    parse_block,
)
from floe_ingestion_defs.dlt_plugin.sources.files.exact_json import (
    keep_json_digits,
    not_an_integer,
)
from floe_ingestion_defs.dlt_plugin.sources.files.json_arrays import read_array_blocks
from floe_ingestion_defs.dlt_plugin.sources.nested_types import in_utc

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from floe_ingestion_defs.dlt_plugin.config.source_options.filesystem import FilesystemOptions
    from floe_ingestion_defs.dlt_plugin.sources.files.known_types import KnownTypes

# Arrow's messages for a nested value in a column whose requested type is string.
_NESTED = ("changed from string to array", "changed from string to object")


class MixedTypes(BrokenFile):
    """The values of a field inside of a nested column have several types.

    Args:
        path: The column and the field, as Arrow names them.
    """

    def __init__(self, path: str) -> None:
        path = path.replace("/[]", ".element").replace("/", ".")
        super().__init__(
            "the values of a nested field have several types",
            [f"column {path!r}"],
            f"; correct the file, or {NESTED_ADVICE}",
        )


def read_json(
    stream: pa.NativeFile, options: FilesystemOptions, types: KnownTypes
) -> Iterator[pa.Table]:
    """Yield the rows of a stream of JSON lines, or of a JSON array.

    Args:
        stream: The text, as UTF-8.
        options: Options of the source.
        types: Types of the table's columns.

    Raises:
        BrokenFile: A block cannot be parsed.
        LongRow: A row does not fit into a block.
    """
    is_array = options.format == "json"
    for block in (read_array_blocks if is_array else read_blocks)(stream, options.block_size):
        block = replace(block, data=block.data.removeprefix(UTF8_MARK))
        if block.data.strip():
            if not is_array and block.first_line == 1 and block.data.lstrip().startswith(b"["):
                msg = "a JSON array instead of one JSON object per line"
                raise BrokenFile(msg, ["line 1"], "; set source_config.format: json")
            try:
                block.data.decode()
            except UnicodeDecodeError:
                # Arrow would pass the bytes on unchanged, and a later step would fail.
                raise not_utf8(block) from None
            try:
                yield _read_block(block, types)
            except MixedTypes:
                if not types.lenient:
                    raise
                # The contract judges each row, which has a type of its own.
                for line, text in rows_of(block):
                    row = replace(block, data=text, first_line=line)
                    yield _read_block(row, types)


def _read_block(block: Block, types: KnownTypes) -> pa.Table:
    table = keep_json_digits(_parse(block, types), block, types, partial(_parse, block, types))
    return _zoned(table, nested=types.nested)


def _parse(
    block: Block, types: KnownTypes, exact: Mapping[str, pa.DataType] | None = None
) -> pa.Table:
    def wanted() -> dict[str, pa.DataType]:
        return dict(exact or {}) | {
            name: kind
            for name, kind in types.of(types.names()).items()
            # Other types are read from several JSON types, and cast afterwards.
            if kind in (pa.string(), pa.int64(), pa.float64(), pa.bool_())
            and not types.is_nested(name)
        }

    def parse(block: Block, threads: bool) -> pa.Table:
        return pa_json.read_json(
            pa.BufferReader(block.data),
            read_options=pa_json.ReadOptions(use_threads=threads, block_size=len(block.data) + 1),
            parse_options=pa_json.ParseOptions(
                explicit_schema=pa.schema(wanted()), unexpected_field_behavior="infer"
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
            elif name and (texts := _with_nested_as_text(block, name)) is not None:
                if types.nested:
                    raise MixedTypes(name) from None
                block = texts
            elif types.lenient or is_text:
                return _parse_loosely(block, types)
            else:
                raise not_an_integer(block, wanted()) or broken from None


def _with_nested_as_text(block: Block, path: str) -> Block | None:
    from floe_ingestion_defs.dlt_plugin.sources.files.loose_json import with_nested_as_text

    try:
        return with_nested_as_text(block, path)
    except (ValueError, AttributeError):  # A line that is not an object, which Arrow reports.
        return None


def _parse_loosely(block: Block, types: KnownTypes) -> pa.Table:
    from floe_ingestion_defs.dlt_plugin.sources.files.loose_json import parse_loosely

    try:
        return parse_loosely(block, types)
    except ValueError as error:
        raise BrokenFile(str(error)) from None


def _zoned(table: pa.Table, *, nested: bool) -> pa.Table:
    """Return timestamps in UTC: Arrow converts them to UTC, but drops the time zone."""
    if nested:
        for index, field in enumerate(table.schema):
            wanted = in_utc(field.type)
            if pa.types.is_nested(wanted) and wanted != field.type:
                column = cast_column(field, table.column(index), wanted)
                table = table.set_column(index, field.with_type(wanted), column)
    fields = [
        field.with_type(pa.timestamp("us", "UTC")) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields))
